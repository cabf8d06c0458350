"""A machine that was written down answers what it was asked, and refuses what it was not."""

import json

import pytest

from evals.verdict import Outcome
from lifeos.errors import InputError
from lifeos.inputs import read_inputs
from lifeos.pods.probe.gates import pod_gate
from lifeos.pods.probe.recorded import GIB, recorded_machine

GPU = {"name": "NVIDIA A40", "memory_gib": 45, "capability": [8, 6]}
RECORD = {
    "driver": "570.124.06", "cuda": [12, 8], "gpus": [GPU], "variables": {"HF_HOME": "/workspace/hub"},
    "installed": {"torch": "2.10.0"}, "providers": {"cv2": ["opencv-python"]}, "torch_cuda": "12.8",
    "volumes": ["/workspace"], "space": {"/workspace": [100, 20], "": [20, 5]},
    "answers": {"imports": {"body": {"results": []}, "notices": ["UserWarning: x"]},
                "matmul": {"body": None, "ending": "was ended by SIGSEGV", "crashed": True}},
}  # fmt: skip


def written(tmp_path, record):
    path = tmp_path / "machine.json"
    path.write_text(json.dumps(record), encoding="utf-8")
    return path


def test_everything_that_was_written_down_is_answered(tmp_path):
    on = recorded_machine(written(tmp_path, RECORD))
    machine = on.read()
    assert (machine.driver, machine.cuda, machine.problem) == ("570.124.06", (12, 8), None)
    assert (machine.gpus[0].capability, machine.gpus[0].free_bytes) == ((8, 6), 45 * GIB)
    answer = on.ask("imports", {}, 1.0)
    assert (answer.body, answer.notices) == ({"results": []}, ("UserWarning: x",))
    assert on.ask("matmul", {}, 1.0).crashed
    volume = tmp_path.anchor + "workspace"
    assert on.device(type(tmp_path)(volume) / "hub") != on.device(tmp_path)
    assert on.space(type(tmp_path)(volume) / "hub").free == 20 * GIB
    assert on.space(tmp_path).free == 5 * GIB
    assert (on.torch_cuda(), on.installed(), on.providers()) == (
        "12.8",
        {"torch": "2.10.0"},
        {"cv2": ["opencv-python"]},
    )


def test_a_machine_without_a_gpu_says_so(tmp_path):
    assert "the record lists none" in recorded_machine(written(tmp_path, {})).read().problem
    assert recorded_machine(written(tmp_path, {"problem": "no driver"})).read().problem == "no driver"


@pytest.mark.parametrize("record", [{"colour": 1}, [], "text"])
def test_what_is_no_record_is_refused(tmp_path, record):
    with pytest.raises(InputError, match=r"machine\.json"):
        recorded_machine(written(tmp_path, record))
    with pytest.raises(InputError, match="recorded machine as JSON"):
        recorded_machine(tmp_path / "absent.json")


def test_what_was_not_asked_is_not_evaluated(tmp_path):
    on = recorded_machine(written(tmp_path, {"driver": "570.124.06", "cuda": [12, 8], "gpus": [GPU]}))
    inputs = read_inputs({"artifacts": str(tmp_path / "artifacts")})
    for gate, missing in (("pod_imports", "answers"), ("gpu_driver", "torch_cuda"), ("pod_environment", "installed")):
        verdict = pod_gate(gate, inputs, on)
        assert verdict.outcome is Outcome.NOT_EVALUATED
        assert missing in verdict.reason
