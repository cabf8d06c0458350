"""What the driver says, and every way in which it may not."""

import sys

from lifeos.pods.probe.nvml import gpu_names, read_machine
from tests.lifeos.pods.probe.simulated_pod import Card


def test_a_machine_is_read_whole(pod):
    machine = read_machine()
    (gpu,) = machine.gpus
    assert (machine.driver, machine.cuda, machine.problem) == ("580.95.05", (13, 0), None)
    assert (gpu.name, gpu.capability, gpu.processes) == ("NVIDIA A40", (8, 6), 0)
    assert gpu.free_bytes == gpu.total_bytes
    assert gpu_names() == ["NVIDIA A40"]


def test_several_gpus_and_a_driver_that_says_little(pod):
    pod.cards.append(Card("NVIDIA T4", 100, (7, 5), used=40, processes=None))
    pod.driver, pod.cuda = b"450.1", None
    machine = read_machine()
    assert (machine.driver, machine.cuda) == ("450.1", None)
    assert (machine.gpus[1].free_bytes, machine.gpus[1].processes) == (60, None)


def test_cuda_12_8_is_read_as_such(pod):
    pod.cuda = 12080
    assert read_machine().cuda == (12, 8)


def test_no_library_no_driver_no_gpu(pod, monkeypatch):
    pod.cards = []
    assert "lists no GPU" in read_machine().problem
    pod.device_error = "GPU is lost"
    assert "GPU is lost" in read_machine().problem
    pod.init_error = "Driver Not Loaded"
    assert "Driver Not Loaded" in read_machine().problem
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "not installed" in read_machine().problem
    assert gpu_names() == []
