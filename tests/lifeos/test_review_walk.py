from pathlib import Path

import pytest

from evals.history import read
from lifeos.review_walk import WalkedImage, images_of, walk
from lifeos.reviews import REASONS, Draft
from tests.lifeos.report.recorded_release import record

IMAGES = [WalkedImage(f"{n:064x}", Path(f"{n}.png"), f"P{n}", n, 0.1 * n) for n in range(1, 4)]


def walked(*answers, images=IMAGES):
    lines, shown, looked = iter(answers), [], []

    def answer(question):
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    return walk(images, show=shown.append, answer=answer, look=looked.append), shown, looked


def test_each_image_is_opened_and_what_is_said_of_it_is_a_rating_of_a_review():
    ratings, shown, looked = walked("2", "2 1", "cheek", "s", "5", "", "")
    assert looked == [image.path for image in IMAGES]
    assert ratings == [
        {"image": IMAGES[0].image, "rating": 2, "reasons": [REASONS[1], REASONS[0]], "note": "cheek"},
        {"image": IMAGES[2].image, "rating": 5, "reasons": [], "note": ""},
    ]
    assert "2 of 3: prompt P2, seed 2, likeness 0.200" in shown
    Draft.model_validate({"schema": "lifeos.review-draft/1", "row": "x", "row_hash": "a" * 64, "reviewer": "Ana",
                          "verdict": "reject", "ratings": ratings})  # fmt: skip


@pytest.mark.parametrize("answers", [("q",), (), ("3",), ("3", "1")])
def test_quitting_or_an_end_of_input_keeps_what_was_said_of_whole_images(answers):
    assert walked(*answers)[0] == []
    assert [each["rating"] for each in walked("4", "", "", *answers)[0]] == [4]


def test_what_means_nothing_is_asked_again():
    ratings, shown, _ = walked("6", "good", "1", "9", "0", "x", "8 8,1", "", "q")
    assert ratings == [{"image": IMAGES[0].image, "rating": 1, "reasons": [REASONS[7], REASONS[0]], "note": ""}]
    assert sum("accepted 1 to 5" in line for line in shown) == 2
    assert sum("accepted numbers from 1 to 8" in line for line in shown) == 3


def test_a_picture_that_is_gone_is_passed_over():
    ratings, shown, looked = walked("1", "", "", images=[WalkedImage("a" * 64, None, "P", 1, None), IMAGES[0]])
    assert len(ratings) == len(looked) == 1
    assert any("gone" in line for line in shown)


def test_the_images_of_a_release_come_as_its_report_shows_them(tmp_path):
    folder, artifacts, row = record(tmp_path)
    found = images_of(row, read(folder / "h.jsonl"), artifacts)
    assert len(found) == 4
    assert [image.likeness for image in found] == sorted(image.likeness for image in found) or row["champion"]
    assert all(image.path is None or image.path.is_file() for image in found)
