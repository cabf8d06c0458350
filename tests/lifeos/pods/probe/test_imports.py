"""Classes that import, that do not, that are placeholders; and which are asked for."""

import sys
import types

from evals.verdict import Outcome
from lifeos.pods.probe.ask import ask, judge
from lifeos.pods.probe.imports import TARGETS, imports_verdict, probe, targets_for


class DummyObject(type):
    """The metaclass under which diffusers hides what is missing."""


class Placeholder(metaclass=DummyObject):
    _backends = ("torch", "transformers")


def imported(monkeypatch, *targets, **attributes):
    module = types.ModuleType("made_library")
    for name, value in attributes.items():
        setattr(module, name, value)
    monkeypatch.setitem(sys.modules, "made_library", module)
    stages = []
    return probe({"targets": [["made_library", name] for name in targets]}, stages.append), stages


def test_what_is_there_what_is_not_and_a_placeholder(monkeypatch):
    body, stages = imported(monkeypatch, "Good", "Absent", "Pipeline", Good=int, Pipeline=Placeholder)
    assert stages == ["made_library.Good", "made_library.Absent", "made_library.Pipeline"]
    problems = {row["name"].split(".")[1]: row["problem"] for row in body["results"]}
    assert problems["Good"] is None
    assert "AttributeError" in problems["Absent"]
    assert problems["Pipeline"] == "a placeholder: it misses torch, transformers"
    verdict = imports_verdict(body)
    assert verdict.outcome is Outcome.FAILED
    assert "made_library.Absent" in verdict.reason
    assert "1 more" in verdict.reason


def test_nothing_imported_proves_nothing():
    assert imports_verdict({"results": []}).outcome is Outcome.NOT_EVALUATED
    assert imports_verdict({"results": [{"name": "x", "problem": None}]}).outcome is Outcome.PASSED


def test_what_is_asked_for_follows_the_requirements():
    always = [f"{module}.{attribute}" for module, attribute in targets_for([])]
    assert "diffusers.StableDiffusionPipeline" in always
    assert "transformers.CLIPTextModel" in always
    assert "peft.LoraConfig" in always
    assert "xformers.ops.memory_efficient_attention" not in always
    asked = [module for module, _ in targets_for(["xformers", "onnxruntime-gpu", "insightface", "jsonlines"])]
    assert asked[-1] == "insightface.app"
    assert "onnxruntime" in asked
    assert "xformers.ops" in asked
    every = {name for target in TARGETS for name in target.distributions}
    assert targets_for(every)[0][0] == "torch"


def test_a_library_that_ends_the_process_is_named(tmp_path, monkeypatch):
    (tmp_path / "crashing_library.py").write_text("import os\nos.abort()\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    answer = ask("imports", {"targets": [["json", "loads"], ["crashing_library", "x"]]}, 60.0)
    verdict = judge(answer, imports_verdict)
    assert verdict.outcome is Outcome.FAILED
    assert "SIGABRT at crashing_library.x" in verdict.reason


def test_a_library_that_warns_of_what_matters_and_imports(tmp_path, monkeypatch):
    source = 'import sys\nprint("xFormers can\'t load C++/CUDA extensions.", file=sys.stderr)\nx = 1\n'
    (tmp_path / "warning_library.py").write_text(source, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    answer = ask("imports", {"targets": [["warning_library", "x"]]}, 60.0)
    assert answer.body == {"results": [{"name": "warning_library.x", "problem": None}]}
    assert judge(answer, imports_verdict).outcome is Outcome.FAILED
