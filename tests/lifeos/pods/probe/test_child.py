"""The child's side: findings, errors with their causes, warnings once each."""

import json
import sys
import types
import warnings

import pytest

from lifeos.pods.probe import child


@pytest.fixture
def run(tmp_path, monkeypatch):
    def run(probe):
        module = types.ModuleType("made_probe")
        module.probe = probe
        monkeypatch.setitem(sys.modules, "made_probe", module)
        monkeypatch.setitem(child.SUBJECTS, "made", "made_probe")
        (tmp_path / "request.json").write_text('{"subject": "made", "number": 3}', encoding="utf-8")
        child.run(tmp_path)
        return json.loads((tmp_path / "answer.json").read_text(encoding="utf-8"))

    return run


def test_findings_and_the_stage_reached(run, tmp_path):
    def probe(request, stage):
        stage("first")
        stage("second")
        return {"twice": request["number"] * 2}

    assert run(probe) == {"twice": 6, "notices": []}
    assert (tmp_path / "stage").read_text(encoding="utf-8") == "second"


def test_warnings_are_caught_once_each_and_an_error_names_its_cause(run):
    def probe(request, stage):
        for text in ("beware", "beware", "of\nthe dog"):
            warnings.warn(text, UserWarning, stacklevel=1)
        try:
            raise OSError("libcudnn.so.9: cannot open shared object file")
        except OSError as error:
            raise ImportError("it is broken") from error

    answer = run(probe)
    assert answer["notices"] == ["UserWarning: beware", "UserWarning: of the dog"]
    assert answer["error"] == "ImportError: it is broken <- OSError: libcudnn.so.9: cannot open shared object file"


def test_every_subject_is_a_module_with_a_probe():
    import importlib

    for module in child.SUBJECTS.values():
        assert callable(importlib.import_module(module).probe)
