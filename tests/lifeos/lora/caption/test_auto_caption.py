"""The way from a folder to captions, with a captioner and face records made up."""

import numpy as np
import pytest

from evals.atomic import write_bytes
from lifeos.lora.caption import auto_caption, measured_backend, text_backend
from lifeos.lora.caption.show import notes, show_captions
from lifeos.lora.sample import encode_png

HEAD = "photo of a pstch person"


@pytest.fixture
def folder(tmp_path):
    """Ten pictures of one colour each; the colour says which is which."""
    for number in range(10):
        write_bytes(tmp_path / "pics" / f"{number}.png", encode_png(np.full((32, 32, 3), number * 20, dtype=np.uint8)))
    return tmp_path / "pics"


class Model:
    """Says what it is asked; remembers how often."""

    def __init__(self, text=lambda number: f"a beautiful woman in a red coat, place {number}"):
        self.asked, self.text = [], text

    def identity(self):
        return "f" * 64

    def describe(self, image):
        number = int(image[0, 0, 0]) // 20
        self.asked.append(number)
        return self.text(number)


def run(folder, rules, model, tmp_path, force=False, write=True):
    return auto_caption(folder, rules, text_backend(model, tmp_path / "artifacts"), force=force, write=write)


def captions(folder):
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.txt"))}


def test_every_picture_gets_its_own_and_the_constant_goes(folder, rules, tmp_path):
    made = run(folder, rules, Model(), tmp_path)
    assert made.complete
    assert captions(folder) == {str(n): f"{HEAD}, place {n}\n" for n in range(10)}
    assert {row.status for row in made.rows} == {"written"}
    assert any("every caption says it" in line for line in notes(made.rows[0]))


def test_a_second_run_keeps_all_and_asks_nothing(folder, rules, tmp_path):
    run(folder, rules, Model(), tmp_path)
    (folder / "3.txt").write_text("mine")
    model = Model()
    made = run(folder, rules, model, tmp_path)
    assert {row.status for row in made.rows} == {"kept"}
    assert (model.asked, captions(folder)["3"], made.rows[3].caption) == ([], "mine", "mine")
    # Forced, the remembered texts do: the model is not asked twice for one picture.
    made = run(folder, rules, model, tmp_path, force=True)
    assert (model.asked, captions(folder)["3"]) == ([], f"{HEAD}, place 3\n")


def test_killed_while_writing_the_rest_is_as_it_would_have_been(folder, rules, tmp_path):
    run(folder, rules, Model(), tmp_path)
    whole = captions(folder)
    for stem in "456789":
        (folder / f"{stem}.txt").unlink()
    run(folder, rules, Model(), tmp_path)
    assert captions(folder) == whole


def test_killed_while_asking_nothing_is_written_and_nothing_asked_again(folder, rules, tmp_path):
    def stop(number):
        if number == 5:
            raise KeyboardInterrupt
        return f"place {number}"

    with pytest.raises(KeyboardInterrupt):
        run(folder, rules, Model(stop), tmp_path)
    assert captions(folder) == {}
    model = Model(lambda number: f"place {number}")
    run(folder, rules, model, tmp_path)
    assert model.asked == [5, 6, 7, 8, 9]


def test_a_dry_run_writes_nothing_beside_the_pictures(folder, rules, tmp_path):
    made = run(folder, rules, Model(), tmp_path, write=False)
    assert captions(folder) == {}
    assert (made.rows[0].status, made.rows[0].caption) == ("to write", f"{HEAD}, place 0")


def test_a_picture_that_cannot_be_read_loses_nothing_else(folder, rules, tmp_path, capsys):
    (folder / "4.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    made = run(folder, rules, Model(), tmp_path)
    assert not made.complete
    assert made.rows[4].status == "refused"
    assert "whole PNG or JPEG" in made.rows[4].reason
    assert "0x" not in made.rows[4].reason
    assert sorted(captions(folder)) == list("012356789")
    show_captions(made, folder)
    assert capsys.readouterr().out.splitlines()[-1].endswith("pics: 10 images, 9 written, 1 refused")


def test_a_model_that_runs_out_of_memory_on_one_picture(folder, rules, tmp_path):
    def heavy(number):
        if number == 2:
            raise RuntimeError("out of\nmemory")
        return f"place {number}"

    made = run(folder, rules, Model(heavy), tmp_path)
    assert made.rows[2].reason == "the model gave up: out of memory"
    assert len(captions(folder)) == 9


def test_a_models_text_is_data(folder, rules, tmp_path, capsys):
    evil = "[bold]red[/] {{ 7*7 }} </td><script>x</script> \x1b[2J ../../etc/passwd\n\npstch pstch"
    made = run(folder, rules, Model(lambda number: f"{evil} place {number}"), tmp_path)
    text = captions(folder)["0"]
    assert not set(text[:-1]) & set("[]{}<>/\x1b\n")
    assert text.count("pstch") == 1
    show_captions(made, folder)
    assert "\x1b" not in capsys.readouterr().out


def record(faces, reason=None):
    box, points = [4.0, 4.0, 28.0, 28.0], [[10, 12], [22, 12], [16, 17], [11, 22], [21, 22]]
    return {"faces": faces, "reason": reason, "boxes": [box] * faces, "points": [points] * faces}


def test_without_one_face_nothing_of_a_face_is_invented(folder, rules):
    records = {"1": record(0, "face too small, unscorable"), "2": record(2)}
    backend = measured_backend(lambda path: records.get(path.stem, record(1)), None, rendered=False)
    made = auto_caption(folder, rules, backend, force=False, write=True)
    assert [row.reason for row in made.rows[:3]] == [
        "", "face too small, unscorable", "2 faces: whose is meant is not known",
    ]  # fmt: skip
    assert not made.complete
    found = captions(folder)
    assert found["1"] == found["2"] == f"{HEAD}, black background\n"
    assert found["6"] == f"{HEAD}, grey background\n"
    # The ten colours lie more than a stop apart.
    assert found["9"] == f"{HEAD}, white background, bright light\n"
    # Every face here looks to the front, close up: that is the folder's, and no caption's.
    assert made.constant == {"facing": "facing front", "shot": "close-up"}


def test_kept_pictures_are_measured_too_for_what_varies(folder, rules):
    for number in range(9):
        (folder / f"{number}.txt").write_text("mine")
    made = auto_caption(
        folder, rules, measured_backend(lambda _: record(1), None, rendered=False), force=False, write=True
    )
    assert captions(folder)["9"] == f"{HEAD}, white background, bright light\n"
    assert made.constant["shot"] == "close-up"
