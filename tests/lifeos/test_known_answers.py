import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from evals.verdict import failed, not_evaluated, passed
from lifeos.errors import InputError
from lifeos.known_answers import FOLDER, instrument_key, remembered
from lifeos.strangers import IMPOSTORS_FILE

CONTENT = {
    "source": "lora", "engine": "e", "lora": "l", "training": None, "images": None, "base": "b", "plan": "p",
    "references": "r", "training_images": ["t"], "policy": "y", "calibration": "c", "faces": ["f"],
    "second_faces": None,
    "clip": None, "expressions": "x", "champion": None, "code": "k", "packages": {},
}  # fmt: skip


@dataclass
class Persona:
    folder: Path


@pytest.fixture
def persona(tmp_path):
    (tmp_path / IMPOSTORS_FILE).parent.mkdir()
    (tmp_path / IMPOSTORS_FILE).write_bytes(b"strangers")
    return Persona(tmp_path)


@pytest.fixture
def lora(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"lora")
    return path


def key(persona, lora, measured_by="m", **changed):
    return instrument_key({**CONTENT, **changed}, persona, lora, measured_by)


def test_whatever_a_control_sees_is_in_the_key(persona, lora):
    plain = key(persona, lora)
    for name in ("engine", "base", "plan", "references", "training_images", "policy", "calibration", "faces", "code",
                 "packages", "expressions"):  # fmt: skip
        assert key(persona, lora, **{name: "other"}) != plain, name
    assert key(persona, lora, "other") != plain
    assert key(persona, None) != plain
    (persona.folder / IMPOSTORS_FILE).write_bytes(b"others")
    assert key(persona, lora) != plain
    before = key(persona, lora)
    lora.write_bytes(b"another")
    assert key(persona, lora) != before


def test_what_is_judged_besides_is_not(persona, lora):
    changed = {"champion": "c", "clip": "c", "second_faces": "s", "images": "i", "training": "t", "source": "recipe"}
    assert key(persona, lora, **changed) == key(persona, lora)


def test_a_lora_that_is_gone_is_no_key(persona, tmp_path):
    with pytest.raises((InputError, OSError)):
        key(persona, tmp_path / "gone.safetensors")


@pytest.mark.parametrize("verdict", [passed("yes", value=0.0, threshold=0.0), failed("no", value=1.0, threshold=0.0)])
def test_an_answer_is_given_once(tmp_path, verdict):
    asked = []

    def judge():
        asked.append(1)
        return verdict

    assert remembered(tmp_path, "a" * 64, judge) == remembered(tmp_path, "a" * 64, judge) == verdict
    assert len(asked) == 1
    remembered(tmp_path, "b" * 64, judge)
    assert len(asked) == 2


def test_what_was_not_evaluated_is_asked_again(tmp_path):
    remembered(tmp_path, "a" * 64, lambda: not_evaluated("no strangers"))
    assert remembered(tmp_path, "a" * 64, lambda: passed("yes")).outcome.value == "passed"


@pytest.mark.parametrize("spoil", ["cut", "verdict", "key", "junk", "list"])
def test_a_spoiled_answer_is_no_answer(tmp_path, spoil):
    remembered(tmp_path, "a" * 64, lambda: failed("no"))
    (path,) = (tmp_path / FOLDER).glob("*.json")
    kept = json.loads(path.read_text(encoding="utf-8"))
    if spoil == "verdict":
        kept["verdict"]["verdict"] = "passed"
    elif spoil == "key":
        kept["key"] = "b" * 64
    text = {"cut": json.dumps(kept)[:-20], "junk": "no", "list": "[]"}.get(spoil, json.dumps(kept))
    path.write_text(text, encoding="utf-8")
    assert remembered(tmp_path, "a" * 64, lambda: failed("asked again")).reason == "asked again"
