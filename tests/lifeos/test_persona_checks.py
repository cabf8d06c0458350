import shutil

import pytest

from evals.verdict import Outcome
from lifeos.persona import load_persona
from lifeos.persona_checks import persona_verdict
from tests.lifeos import simulated_release as simulation


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return simulation.make_persona(tmp_path_factory.mktemp("made"))


@pytest.fixture
def persona(made, tmp_path):
    shutil.copytree(made, tmp_path / "persona")
    return load_persona(tmp_path / "persona")


def one_face(path):
    return 1


def found(persona, count=one_face):
    verdict = persona_verdict(persona, count)
    assert verdict.outcome is Outcome.FAILED
    return verdict.reason


def test_a_sane_persona(persona):
    assert persona_verdict(persona, one_face).outcome is Outcome.PASSED


def test_a_broken_image(persona):
    (persona.dataset / "0001.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert "0001.png" in found(persona)


def test_captions(persona):
    (persona.dataset / "0001.txt").write_text("photo of a person", encoding="utf-8")
    assert "0 times" in found(persona)
    (persona.dataset / "0001.txt").write_text("pstch and pstch", encoding="utf-8")
    assert "2 times" in found(persona)
    (persona.dataset / "0001.txt").unlink()
    assert "0001.txt" in found(persona)


def test_faces(persona):
    assert "shows 2 faces" in found(persona, lambda path: 2 if path.name == "0002.png" else 1)
    assert "shows 0 faces" in found(persona, lambda path: 0)


def test_a_reference_that_is_a_training_image_under_another_name_and_encoding(persona):
    from PIL import Image

    with Image.open(persona.dataset / "0003.png") as image:
        image.save(persona.references / "0007.png", compress_level=0)
    assert "references/0007.png is the training image 0003.png" in found(persona)


def test_an_empty_folder_is_not_evaluated(persona):
    shutil.rmtree(persona.references)
    assert persona_verdict(persona, one_face).outcome is Outcome.NOT_EVALUATED
