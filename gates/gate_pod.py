"""Pod: what the rented machine says once it is up; in the order of what it costs to ask."""

import pytest

from lifeos.pods.probe.gates import pod_gate

pytestmark = [pytest.mark.pod, pytest.mark.gpu]


def test_gpu_present(gate, inputs):
    gate(pod_gate("gpu_present", inputs))


def test_gpu_driver(gate, inputs):
    gate(pod_gate("gpu_driver", inputs))


def test_gpu_is_the_pods(gate, inputs):
    gate(pod_gate("gpu_is_the_pods", inputs))


def test_gpu_memory_free(gate, inputs):
    gate(pod_gate("gpu_memory_free", inputs))


def test_disk_free(gate, inputs):
    gate(pod_gate("disk_free", inputs))


def test_storage_persists(gate, inputs):
    gate(pod_gate("storage_persists", inputs))


def test_pod_environment(gate, inputs):
    gate(pod_gate("pod_environment", inputs))


def test_pod_imports(gate, inputs):
    gate(pod_gate("pod_imports", inputs))


def test_bf16_matmul(gate, inputs):
    gate(pod_gate("bf16_matmul", inputs))


def test_onnxruntime_cuda(gate, inputs):
    gate(pod_gate("onnxruntime_cuda", inputs))


def test_xformers_kernel(gate, inputs):
    gate(pod_gate("xformers_kernel", inputs))


def test_bitsandbytes_step(gate, inputs):
    gate(pod_gate("bitsandbytes_step", inputs))


def test_training_smoke(gate, inputs):
    gate(pod_gate("training_smoke", inputs))


def test_insightface_pack(gate, inputs):
    gate(pod_gate("insightface_pack", inputs))
