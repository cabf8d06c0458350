"""Every gate of phase pod is seen to block, alone, on a simulated pod: ``breach_<gate id>`` breaks what it watches."""

import pytest

from evals.verdict import Outcome
from lifeos.pods.probe.gates import CHECKS
from lifeos.pods.probe.machine import GIB
from tests.lifeos.pods.probe.simulated_pod import SimulatedPod


def breach_gpu_driver(pod):
    pod.torch_cuda, pod.cuda = "13.0", 12080


def breach_gpu_is_the_pods(pod):
    pod.cards[0].name = "NVIDIA GeForce RTX 3090"


def breach_gpu_memory_free(pod):
    pod.cards[0].used, pod.cards[0].processes = 20 * GIB, 1


def breach_disk_free(pod):
    pod.space = pod.space._replace(free=2 * GIB)


def breach_storage_persists(pod):
    pod.variables["HF_HOME"] = str(pod.folder / "root" / ".cache" / "huggingface")


def breach_pod_environment(pod):
    pod.providers["onnxruntime"] = ["onnxruntime-gpu", "onnxruntime"]


def breach_pod_imports(pod):
    error = "ImportError: cannot import name 'HybridCache' from 'transformers'"
    pod.answer("imports", results=[{"name": "peft.LoraConfig", "problem": error}])


def breach_bf16_matmul(pod):
    pod.answer("matmul", finite=False, error_share=None)


def breach_onnxruntime_cuda(pod):
    pod.answer("onnxruntime", providers=["CPUExecutionProvider"])


def breach_xformers_kernel(pod):
    pod.answer("xformers", "xFormers can't load C++/CUDA extensions. xFormers was built for:")


def breach_bitsandbytes_step(pod):
    pod.answer("bitsandbytes", moved=0.0, smaller=False)


def breach_training_smoke(pod):
    pod.answer("training", file={"weights_effect": ["failed", "3 of 56 modules change nothing"]})


def breach_insightface_pack(pod):
    pod.answer("insightface", findings=["det_10g.onnx has 1024 of 16923827 bytes"])


def breach_gpu_present(pod):
    pod.init_error = "Driver Not Loaded"


BREACHES = {name: function for name, function in globals().items() if name.startswith("breach_")}


@pytest.fixture
def pod(tmp_path, monkeypatch):
    return SimulatedPod(tmp_path, monkeypatch)


@pytest.mark.parametrize("name", sorted(set(BREACHES) - {"breach_gpu_present"}))
def test_it_blocks_alone(name, pod):
    assert {gate for gate, verdict in pod.verdicts().items() if verdict.blocks} == set()
    BREACHES[name](pod)
    blocking = {gate: verdict for gate, verdict in pod.verdicts().items() if verdict.blocks}
    assert set(blocking) == {name.removeprefix("breach_")}, blocking
    assert next(iter(blocking.values())).outcome is Outcome.FAILED


def test_without_a_gpu_no_gate_of_the_pod_is_evaluated(pod):
    breach_gpu_present(pod)
    verdicts = pod.verdicts()
    assert {verdict.outcome for verdict in verdicts.values()} == {Outcome.NOT_EVALUATED}
    assert all("Driver Not Loaded" in verdict.reason for verdict in verdicts.values())
    assert not pod.asked


def test_every_check_has_a_breach():
    assert {name.removeprefix("breach_") for name in BREACHES} == set(CHECKS)
