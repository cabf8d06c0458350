"""Driver against torch, machine against the declared pod, memory that is free."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.verdict import Outcome
from lifeos.pods.probe import machine as checks
from lifeos.pods.probe.machine import GIB, driver_verdict, installed_torch_cuda, memory_verdict, pod_verdict
from lifeos.pods.probe.nvml import Machine, read_machine
from lifeos.pods.spec import list_pods, load_pod
from tests.lifeos.pods.probe.simulated_pod import Card


@pytest.mark.parametrize(
    ("serves", "torch_cuda", "outcome", "said"),
    [
        ((12, 8), "13.0", Outcome.FAILED, "serves CUDA 12.8 at most"),
        ((11, 8), "12.1", Outcome.FAILED, "a torch for CUDA 11"),
        ((12, 2), "12.8", Outcome.PASSED, "serves CUDA 12.2, torch is built for 12.8"),
        ((13, 0), "12.8", Outcome.PASSED, "serves CUDA 13.0"),
        ((13, 0), "", Outcome.FAILED, "without CUDA"),
        ((13, 0), None, Outcome.NOT_EVALUATED, "torch is not installed"),
        (None, "12.8", Outcome.NOT_EVALUATED, "does not say"),
    ],
)
def test_the_driver_against_torch(serves, torch_cuda, outcome, said):
    verdict = driver_verdict(Machine(driver="550.54.14", cuda=serves), torch_cuda)
    assert verdict.outcome is outcome
    assert said in verdict.reason


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("cuda: Optional[str] = '12.8'", "12.8"),
        ("cuda = '13.0'", "13.0"),
        ("cuda: Optional[str] = None", ""),
        ("hip = None", None),
        ("cuda = compute()", None),
        ("cuda = (", None),
    ],
)
def test_torchs_cuda_is_read_without_importing_it(tmp_path, line, found):
    (tmp_path / "version.py").write_text(f"from typing import Optional\n__version__ = 'x'\n{line}\n", encoding="utf-8")
    assert installed_torch_cuda(tmp_path) == found


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_version_file_is_an_answer(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("torch")
    (folder / "version.py").write_bytes(content)
    assert installed_torch_cuda(folder) is None or isinstance(installed_torch_cuda(folder), str)


def test_the_installed_torch_here_and_none_elsewhere(tmp_path, monkeypatch):
    assert installed_torch_cuda() is not None
    assert installed_torch_cuda(tmp_path) is None
    monkeypatch.setattr(checks.importlib.util, "find_spec", lambda name: None)
    assert installed_torch_cuda() is None


def reason(pod, kind=None):
    verdict = pod_verdict(read_machine(), kind or pod.kind)
    return verdict.outcome, verdict.reason


def test_the_declared_pod_and_what_differs(pod):
    assert reason(pod)[0] is Outcome.PASSED
    pod.driver = "550.54.14"
    assert "this host has 550.54.14" in reason(pod)[1]
    pod.cards[0].total //= 2
    assert "of GPU memory, got 22" in reason(pod)[1]
    pod.cards[0].capability = (8, 0)
    assert "compute capability 8.6, got 8.0" in reason(pod)[1]
    pod.cards[0].name = "NVIDIA A10"
    outcome, said = reason(pod)
    assert outcome is Outcome.FAILED
    assert "accepted NVIDIA A40, got NVIDIA A10" in said
    assert "has 2 GPUs, the driver lists 1" in reason(pod, pod.kind.model_copy(update={"count": 2}))[1]


@pytest.mark.parametrize("kind", list_pods(), ids=lambda kind: kind.name)
def test_each_shipped_pod_knows_itself_and_no_other(pod, kind):
    gpu = kind.gpu
    machine = replace(
        read_machine(),
        driver="999.1",
        gpus=(replace(read_machine().gpus[0], name=gpu.driver_names[0], capability=gpu.capability,
                      total_bytes=int(gpu.memory_gib * GIB)),) * kind.count,
    )  # fmt: skip
    same = [other.name for other in list_pods() if other.gpu == gpu and other.count <= kind.count]
    fits = [other.name for other in list_pods() if pod_verdict(machine, other).outcome is Outcome.PASSED]
    assert fits == same


def test_memory_that_somebody_else_holds(pod):
    assert memory_verdict(read_machine()).outcome is Outcome.PASSED
    pod.cards.append(Card("NVIDIA A40", 48 * GIB, (8, 6), used=30 * GIB, processes=2))
    verdict = memory_verdict(read_machine())
    assert verdict.outcome is Outcome.FAILED
    assert "18.0 of 48.0 GiB" in verdict.reason
    assert "2 processes" in verdict.reason
    pod.cards[1].processes = None
    assert "processes" not in memory_verdict(read_machine()).reason
    pod.cards[1].total = 0
    assert memory_verdict(read_machine()).outcome is Outcome.FAILED


def test_load_pod_is_the_one_of_the_pods_folder():
    assert load_pod("a40").gpu.capability == (8, 6)
