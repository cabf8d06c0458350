"""From the declared inputs to one verdict a gate, on a simulated pod and on this very machine."""

from datetime import UTC, datetime

import pytest

from evals.verdict import Outcome
from lifeos.manifest import default_manifest, load_manifest
from lifeos.pods.probe import gates
from lifeos.pods.probe.gates import CHECKS, PodMachine, pod_gate
from lifeos.pods.probe.machine import GIB
from lifeos.pods.probe.nvml import read_machine
from lifeos.pods.probe.storage import Space
from lifeos.runner import run_gate
from lifeos.settings import project_root


def test_checks_and_manifest_name_the_same_gates_in_the_same_order():
    assert [row.id for row in load_manifest(default_manifest()).phase("pod")] == list(CHECKS)


def test_every_gate_of_the_pod_is_described():
    described = (project_root() / "docs" / "pods.md").read_text(encoding="utf-8")
    assert not [gate for gate in CHECKS if f"| `{gate}` |" not in described]


def test_a_sound_pod_passes_every_gate(pod):
    assert {verdict.outcome for verdict in pod.verdicts().values()} == {Outcome.PASSED}
    assert set(pod.asked) == {"imports", "matmul", "onnxruntime", "xformers", "bitsandbytes", "training", "insightface"}
    assert pod.asked["training"]["settings"]["family"] == "tiny_base"
    assert pod.asked["insightface"]["folder"] == str(pod.folder / "pack")
    assert ["insightface.app", "FaceAnalysis"] in pod.asked["imports"]["targets"]


def test_every_probe_may_crash_or_hang(pod):
    probed = {
        "imports": "pod_imports", "matmul": "bf16_matmul", "onnxruntime": "onnxruntime_cuda",
        "xformers": "xformers_kernel", "bitsandbytes": "bitsandbytes_step", "training": "training_smoke",
        "insightface": "insightface_pack",
    }  # fmt: skip
    for subject, gate in probed.items():
        pod.dies(subject)
        assert pod.verdict(gate).outcome is Outcome.FAILED
        pod.dies(subject, "gave no answer within 200 s and was ended", crashed=False)
        assert pod.verdict(gate).outcome is Outcome.NOT_EVALUATED


def test_without_a_declared_pod(pod, monkeypatch):
    assert pod.verdict("gpu_is_the_pods", pod="").outcome is Outcome.NOT_EVALUATED
    monkeypatch.setattr(gates, "DEFAULT_VOLUME", pod.folder / "none")
    unknown = pod.verdict("storage_persists", pod="")
    assert unknown.outcome is Outcome.NOT_EVALUATED
    assert "--pod NAME" in unknown.reason
    monkeypatch.setattr(gates, "DEFAULT_VOLUME", pod.volume)
    assert pod.verdict("storage_persists", pod="").outcome is Outcome.PASSED
    assert pod.verdict("disk_free", pod="").outcome is Outcome.PASSED


def test_a_pod_that_nobody_knows_and_one_without_a_volume(pod):
    unknown = pod.verdict("gpu_is_the_pods", pod="toaster")
    assert unknown.outcome is Outcome.NOT_EVALUATED
    assert "toaster" in unknown.reason
    text = pod.pod.read_text(encoding="utf-8").replace("volume_gib = 100", "volume_gib = 0")
    pod.pod.write_text(text, encoding="utf-8")
    assert "has no volume" in pod.verdict("storage_persists").reason
    assert pod.verdict("disk_free").outcome is Outcome.PASSED


def test_a_volume_that_is_not_mounted_and_a_cluster_behind_it(pod):
    pod.space = Space(400_000 * GIB, 200_000 * GIB)
    assert pod.verdict("disk_free").value == pytest.approx(100.0)
    pod.mounted = False
    assert "goes with the pod" in pod.verdict("storage_persists").reason


def test_a_recipe_that_wants_bfloat16_of_a_gpu_without(pod):
    pod.answer("matmul", native=False)
    assert pod.verdict("bf16_matmul").outcome is Outcome.PASSED
    recipe = pod.persona / "recipe.toml"
    recipe.write_text(recipe.read_text(encoding="utf-8") + 'dtype = "bfloat16"\n', encoding="utf-8")
    assert pod.verdict("bf16_matmul").outcome is Outcome.FAILED


def test_inputs_that_cannot_be_read_leave_a_gate_not_evaluated(pod):
    (pod.persona / "recipe.toml").write_text("steps = many\n", encoding="utf-8")
    assert pod.verdict("training_smoke").outcome is Outcome.NOT_EVALUATED
    inputs = pod.inputs()
    pod.requirements.unlink()
    assert pod_gate("pod_imports", inputs, pod.machine()).outcome is Outcome.NOT_EVALUATED


@pytest.mark.skipif(read_machine().problem is None, reason="this machine has a GPU")
def test_here_without_a_gpu_the_phase_is_not_evaluated(tmp_path):
    options = {"history": str(tmp_path / "history.jsonl"), "artifacts": str(tmp_path / "artifacts"), "pod": "a40"}
    run = run_gate("pod", options, now=lambda: datetime(2026, 11, 23, tzinfo=UTC))
    assert (run.verdict, run.exit_code) == ("not_evaluated", 2)
    assert [result.id for result in run.results] == list(CHECKS)
    expected = {Outcome.NOT_EVALUATED, Outcome.NOT_APPLICABLE}
    assert {result.verdict.outcome for result in run.results} == expected
    applicable = [result for result in run.results if result.verdict.outcome is Outcome.NOT_EVALUATED]
    assert all("no GPU" in result.verdict.reason for result in applicable)
    assert len(applicable) >= 11


@pytest.mark.skipif(read_machine().problem is not None, reason="this machine has no GPU")
@pytest.mark.parametrize("gate", ["gpu_present", "gpu_driver", "bf16_matmul", "training_smoke"])
def test_on_a_machine_with_a_gpu_the_probes_run_for_real(tmp_path, gate):
    from lifeos.inputs import read_inputs

    verdict = pod_gate(gate, read_inputs({"artifacts": str(tmp_path)}), PodMachine())
    assert verdict.outcome is Outcome.PASSED, verdict.reason
