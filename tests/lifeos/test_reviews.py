import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evals import history
from evals.errors import InputError
from lifeos.cli import main
from lifeos.report.page import page
from lifeos.reviews import REASONS, Draft, agreement, read_draft, record_review, reviews
from tests.lifeos.report.recorded_release import gathered, record
from tests.lifeos.test_champion import scorecard

TIME = "2026-11-25T10:00:00Z"


@pytest.fixture
def place(tmp_path):
    return record(tmp_path)


def content(place, **changes):
    _, artifacts, row = place
    first = json.loads((artifacts / "runs" / row["release"] / "metrics.jsonl").read_text().splitlines()[0])["image"]
    rating = {"image": first, "rating": 2, "reasons": ["plastic_skin"], "note": "cheek"}
    return {
        "schema": "lifeos.review-draft/1", "row": row["id"], "row_hash": row["hash"], "reviewer": "Ana",
        "verdict": "reject", "ratings": [rating], **changes,
    }  # fmt: skip


def kept(place, **changes):
    folder, artifacts, _ = place
    draft = Draft.model_validate(content(place, **changes))
    return record_review(folder / "h.jsonl", artifacts, draft, time=TIME)


def test_a_review_stands_beside_the_verdict_and_changes_no_byte_of_it(place):
    folder, _, row = place
    before = (folder / "h.jsonl").read_bytes()
    made, is_new = kept(place)
    assert is_new
    assert (folder / "h.jsonl").read_bytes().startswith(before)
    assert (made["reviewer"], made["verdict"], made["measured"]) == ("Ana", "reject", "rejected")
    assert made["row"] == row["id"]
    assert made["ratings"][0]["reasons"] == ["plastic_skin"]
    assert history.verify(folder / "h.jsonl").problems == ()
    assert reviews(history.read(folder / "h.jsonl")) == [made]


def test_the_same_review_is_recorded_once_and_another_again(place):
    first, _ = kept(place)
    assert kept(place) == (first, False)
    assert kept(place, verdict="unsure")[1]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"row_hash": "f" * 64}, "got another"),
        ({"row": "20261123T202900Z-ffffffff"}, "got another"),
        ({"ratings": [{"image": "f" * 64, "rating": 1, "reasons": [], "note": ""}]}, "did not judge"),
    ],
)
def test_a_review_of_something_else_is_refused(place, changes, why):
    with pytest.raises(InputError, match=why):
        kept(place, **changes)
    (rating,) = content(place)["ratings"]
    with pytest.raises(InputError, match="twice"):
        kept(place, ratings=[rating, rating])


def test_a_row_of_another_phase_has_no_samples_to_review(place):
    cheap = history.append(place[0] / "h.jsonl", scorecard(phase="predeploy"))
    with pytest.raises(InputError, match="phase predeploy"):
        kept(place, row=cheap["id"], row_hash=cheap["hash"], ratings=[])


def test_a_file_that_is_too_large_is_not_read(place, tmp_path, monkeypatch):
    path = tmp_path / "draft.json"
    path.write_text(json.dumps(content(place)), encoding="utf-8")
    assert read_draft(path).reviewer == "Ana"
    monkeypatch.setattr("lifeos.reviews.LARGEST_DRAFT", path.stat().st_size - 1)
    with pytest.raises(InputError, match="MiB"):
        read_draft(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"verdict": "approved"}, {"reviewer": ""}, {"reviewer": "  "}, {"reviewer": "x" * 81}, {"extra": 1},
        {"ratings": [{"image": "x"}]}, {"schema": "lifeos.review-draft/2"}, {"row_hash": "F" * 64},
    ],
)  # fmt: skip
def test_what_is_no_review_is_one_clear_line(place, tmp_path, changes):
    path = tmp_path / "draft.json"
    path.write_text(json.dumps(content(place, **changes)), encoding="utf-8")
    with pytest.raises(InputError) as raised:
        read_draft(path)
    assert "\n" not in str(raised.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_no_file_crashes_the_reader(tmp_path, data):
    path = tmp_path / "any.json"
    path.write_bytes(data)
    with pytest.raises(InputError):
        read_draft(path)


def test_agreement_counts_where_both_said_yes_or_no():
    said = [("approved", "approve"), ("approved", "reject"), ("rejected", "reject"), ("not_evaluated", "approve"),
            ("rejected", "unsure")]  # fmt: skip
    found = agreement([{"measured": measured, "verdict": verdict} for measured, verdict in said])
    assert (found.same, found.compared) == (2, 3)
    assert found.interval.low < 2 / 3 < found.interval.high
    assert agreement([]).interval is None


def test_the_commands_record_and_list(place, tmp_path, capsys):
    folder, artifacts, row = place
    where = ["--history", str(folder / "h.jsonl")]
    path = tmp_path / "review.json"
    path.write_text(json.dumps(content(place, reviewer="An\x1b[31ma")), encoding="utf-8")
    ask = ["review-samples", row["id"], *where, "--artifacts", str(artifacts)]
    assert main([*ask, "--apply", str(path)]) == 0
    assert main([*ask, "--reviewer", "Ben", "--verdict", "approve"]) == 0
    capsys.readouterr()
    assert main(["history", "reviews", *where]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "reject (1 plastic_skin)" in out
    assert "Ben: approve" in out
    assert "the same in 1 of 2" in out
    assert main(["history", *where]) == 0
    assert "  review  " in capsys.readouterr().out
    for wrong in ([], ["--verdict", "fine", "--reviewer", "x"], ["--apply", str(path), "--verdict", "reject"]):
        assert main([*ask, *wrong]) == 2
    other = history.append(folder / "h.jsonl", scorecard(time="2026-11-26T10:00:00Z"))
    assert main(["review-samples", other["id"], *where, "--apply", str(path)]) == 2


def test_values_that_go_with_a_reason_are_told_and_too_few_ratings_are_said(place, capsys):
    folder, artifacts, row = place
    where = ["--history", str(folder / "h.jsonl"), "--artifacts", str(artifacts)]
    path = artifacts / "runs" / row["release"] / "metrics.jsonl"
    first = json.loads(path.read_text().splitlines()[0])
    # The value follows the order of the images; whoever looks refuses the first half.
    images = [{**first, "image": f"{number:064x}", "seed": number, "metrics": {"skin_z": float(number)}}
              for number in range(20)]  # fmt: skip
    path.write_text("".join(json.dumps(image) + "\n" for image in images), encoding="utf-8")
    ratings = [{"image": image["image"], "rating": 2, "reasons": ["plastic_skin"] if number < len(images) // 2 else [],
                "note": ""} for number, image in enumerate(images)]  # fmt: skip
    kept(place, ratings=ratings[:2], reviewer="Ben")
    assert main(["history", "reviews", *where]) == 0
    assert "no measured value goes with a reason: 2 images rated" in capsys.readouterr().out
    kept(place, ratings=ratings)
    assert main(["history", "reviews", *where, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["rated_images"] == len(images) + 2
    found = {each["metric"]: each for each in answer["associations"]}
    assert (found["skin_z"]["reason"], found["skin_z"]["side"]) == ("plastic_skin", "lower")
    assert found["skin_z"]["auc"] < 0.15
    path.unlink()
    assert main(["history", "reviews", *where]) == 0
    assert "skin_z" not in capsys.readouterr().out


def test_the_page_offers_every_reason_for_every_image(place):
    text = page(gathered(place))
    assert text.count('class="review"') == 4
    assert all(text.count(f'value="{reason}"') == 4 for reason in REASONS)
    assert f'data-hash="{place[2]["hash"]}"' in text
