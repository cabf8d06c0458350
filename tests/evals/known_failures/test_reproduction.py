"""An artefact is made by the files of its entry, or by a function; the value of the twin is all that differs."""

import pytest

from evals.errors import InputError
from evals.known_failures import Place, is_recorded, reproduce
from evals.known_failures.reproduction import REPRODUCERS
from lifeos.settings import project_root
from tests.evals.known_failures.test_entry import DEAD, SOUND, read

FUNCTION = """
def it_breaks(place, steps):
    return {"recipe": place.text("made/recipe.toml", f"made with {steps}")}
"""


def make(entry, root, folder, broken=True, there=True):
    folder.mkdir(parents=True)
    return reproduce(entry, Place(folder, root), broken=broken, available=lambda need: there)


def without_files(text):
    return text[: text.index("[inputs]")]


def test_files_are_filled_in_with_the_twins_value(tmp_path):
    (entry,) = read(tmp_path)
    for broken, text in ((True, "steps = 0"), (False, "steps = 10")):
        options = make(entry, tmp_path, tmp_path / f"out-{broken}", broken)
        assert list(options) == ["recipe"]
        with open(options["recipe"], encoding="utf-8") as file:
            assert file.read() == text


def test_a_function_is_called_with_the_twins_field(tmp_path):
    (entry,) = read(tmp_path, without_files(SOUND))
    with pytest.raises(InputError, match="a function it_breaks"):
        make(entry, tmp_path, tmp_path / "none")
    where = tmp_path / "root" / REPRODUCERS / "training"
    where.mkdir(parents=True)
    (where / "any.py").write_text(FUNCTION, encoding="utf-8")
    options = make(entry, tmp_path / "root", tmp_path / "out")
    with open(options["recipe"], encoding="utf-8") as file:
        assert file.read() == "made with 0"


def test_a_recording_stands_in_until_what_it_needs_is_here(tmp_path):
    text = SOUND.replace('fix = "mend it"', 'fix = "mend it"\nneeds = "gpu"\nrecorded = "from elsewhere"')
    (entry,) = read(tmp_path, text)
    where = tmp_path / "root" / REPRODUCERS / "training"
    where.mkdir(parents=True)
    assert is_recorded(entry, tmp_path / "root", lambda need: True)
    (where / "any.py").write_text(FUNCTION, encoding="utf-8")
    assert is_recorded(entry, tmp_path / "root", lambda need: False)
    assert not is_recorded(entry, tmp_path / "root", lambda need: True)
    assert "made" not in make(entry, tmp_path / "root", tmp_path / "recorded", there=False)["recipe"]
    assert "made" in make(entry, tmp_path / "root", tmp_path / "real", there=True)["recipe"]


def test_one_that_cannot_be_live_has_no_artefact(tmp_path):
    (entry,) = read(tmp_path, DEAD)
    with pytest.raises(InputError, match="nobody has such a machine"):
        make(entry, tmp_path, tmp_path / "out")


def test_without_the_demo_persona_that_is_said(tmp_path):
    with pytest.raises(InputError, match="a checkout of lifeos itself"):
        Place(tmp_path, tmp_path).demo_persona()


def test_raw_material_is_sound(tmp_path):
    place = Place(tmp_path, project_root())
    shapes = place.attention_shapes()
    tensors = place.attention_lora(rank=3)
    assert len(tensors) == 2 * len(shapes) > 20
    assert all(tensors[f"{name}.lora_A.weight"].shape == (3, columns) for name, (_, columns) in shapes.items())
    persona = place.demo_persona(images=2, references=1)
    assert len(list((persona / "dataset").iterdir())) == 4
    assert len(list((persona / "references").iterdir())) == 1
