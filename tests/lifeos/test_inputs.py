from dataclasses import replace

import pytest

from lifeos.errors import InputError
from lifeos.inputs import champion_file, declared_needs, read_inputs
from lifeos.settings import load_project
from tests.lifeos.simulated_release import make_persona


@pytest.fixture
def project(tmp_path):
    return load_project(tmp_path)


def test_defaults_come_from_the_settings_and_options_from_where_one_stands(project, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.safetensors").write_bytes(b"")
    inputs = read_inputs({"lora": "x.safetensors", "persona": None, "pod": ""}, project)
    assert inputs.lora == tmp_path / "x.safetensors"
    assert inputs.persona == tmp_path / "personas/pistachio"
    assert (inputs.images, inputs.recipe, inputs.champion, inputs.pod) == (None, None, None, "")


def test_one_artefact_at_a_time(project, tmp_path):
    with pytest.raises(InputError, match="--lora and --images"):
        read_inputs({"lora": "a", "images": "b"}, project)


@pytest.mark.parametrize("name", ["lora", "images", "recipe", "persona", "policy", "requirements", "champion"])
def test_what_was_typed_must_be_there(project, tmp_path, name):
    with pytest.raises(InputError, match=f"--{name}") as caught:
        read_inputs({name: str(tmp_path / "no such thing")}, project)
    assert "next: " in str(caught.value)


def test_a_file_is_no_folder(project, tmp_path):
    (tmp_path / "x").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="existing folder"):
        read_inputs({"images": str(tmp_path / "x")}, project)


def test_what_is_declared(project, tmp_path):
    persona = make_persona(tmp_path / "first")
    inputs = replace(read_inputs({}, project), persona=persona)
    lora, images = replace(inputs, lora=tmp_path), replace(inputs, images=tmp_path)
    assert declared_needs(inputs, "release") == {"recipe", "lora"}
    assert declared_needs(lora, "release") == {"lora"}
    assert declared_needs(images, "release") == {"images"}
    assert declared_needs(replace(lora, champion="x"), "release") == {"lora", "champion"}
    assert declared_needs(inputs, "predeploy") == frozenset()
    assert declared_needs(lora, "predeploy") == {"lora"}
    assert declared_needs(replace(inputs, pod="a40"), "predeploy") == {"pod"}
    (tmp_path / "requirements-pod.txt").write_text("torch==2.10.0\n", encoding="utf-8")
    assert declared_needs(inputs, "pod") == {"gpu", "training_smoke"}


def test_the_option_overrules_the_personas_champion(project, tmp_path):
    persona = make_persona(tmp_path / "second", champion="best.safetensors")
    inputs = replace(read_inputs({}, project), persona=persona)
    assert champion_file(inputs) == persona / "best.safetensors"
    assert champion_file(replace(inputs, champion="none")) is None
    assert declared_needs(inputs, "release") == {"recipe", "lora", "champion"}
