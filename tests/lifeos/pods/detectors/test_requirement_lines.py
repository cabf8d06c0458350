"""Each of these names one failure: what is near it is not called by its name."""

from dataclasses import replace

import pytest

from evals.verdict import failed, not_evaluated
from lifeos.errors import InputError
from lifeos.pods.asked_set import read_asked
from lifeos.pods.dependencies import DependencyReport
from lifeos.pods.detectors import requirement_lines
from lifeos.pods.rule_checks import DependencyFinding
from lifeos.pods.spec import load_pod
from lifeos.pods.uv_resolver import Pinned

A40 = load_pod("a40")


def asked(tmp_path, *lines):
    path = tmp_path / "requirements.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_asked(path, "3.11")


def report(identity, *packages, **pins):
    from packaging.version import Version

    resolved = {name: Pinned(name, Version(version), "", None) for name, version in pins.items()}
    finding = DependencyFinding(identity, packages, "they disagree", "seen")
    return DependencyReport("a40", failed("x"), "made", (finding,), packages=resolved)


def test_a_conflict_of_others_is_not_torchvisions():
    detect = requirement_lines.torchvision_of_another_torch
    assert detect(report("resolver-conflict", "torch==2.10.0", "torchvision<0.20"))
    assert detect(report("resolver-conflict", "torch==2.10.0", "xformers==0.0.30")) is None
    assert detect(report("cuda-major-mismatch", "torch==2.10.0", "torchvision==0.20")) is None


def test_missing_libraries_are_torchs_fault_from_2_15_on():
    detect = requirement_lines.torch_without_curand
    assert detect(report("ort-cuda-libraries-missing", "onnxruntime-gpu==1.31.1", torch="2.15.0"))
    assert detect(report("ort-cuda-libraries-missing", "onnxruntime-gpu==1.31.1", torch="2.14.1")) is None
    assert detect(report("other", "onnxruntime-gpu==1.31.1", torch="2.15.0")) is None


def test_only_a_package_without_a_floor_fell_back(tmp_path):
    def detect(line, identity="diffusers-clipimageprocessor"):
        found = report(identity, "diffusers==0.42.1", "transformers==2.3.0")
        return requirement_lines.walked_back_without_a_floor(asked(tmp_path, "diffusers==0.42.1", line), found)

    assert detect("transformers<5").startswith("transformers==2.3.0")
    assert detect("transformers==2.3.0") is None
    assert detect("transformers>=2,<5") is None
    assert detect("transformers<5", "resolver-conflict") is None


def test_cuda_majors_are_compared_for_python_3_10_alone(tmp_path):
    lines = asked(tmp_path, "torch==2.14.1", "onnxruntime-gpu==1.23.2")
    old = A40.model_copy(update={"python": "3.10"})
    detect = requirement_lines.cuda_majors_for_old_python
    assert detect(lines, old) == "Python 3.10: torch==2.14.1 of CUDA 13 beside onnxruntime-gpu==1.23.2 of CUDA 12"
    assert detect(lines, A40) is None
    assert detect(asked(tmp_path, "torch==2.14.1"), old) is None
    assert detect(asked(tmp_path, "torch==2.10.0", "onnxruntime-gpu==1.23.2"), old) is None


@pytest.mark.parametrize("line", ["onnxruntime-gpu==1.27.0", "onnxruntime-gpu[cuda]==1.28.0", "onnxruntime-gpu[cuda]"])
def test_only_the_one_release_with_its_extra_is_broken(tmp_path, line):
    assert requirement_lines.ort_extra_nobody_can_install(asked(tmp_path, line)) is None
    assert requirement_lines.ort_extra_nobody_can_install(asked(tmp_path, "onnxruntime-gpu[cuda]==1.27.0"))


def test_a_set_that_nobody_judged_is_not_cleared(tmp_path):
    unknown = replace(report("x"), findings=(), verdict=not_evaluated("no index"))
    for detect in (requirement_lines.torchvision_of_another_torch, requirement_lines.torch_without_curand):
        with pytest.raises(InputError, match="no index"):
            detect(unknown)
