"""The session's own providers, and the numbers that come out."""

import pytest

from evals.verdict import Outcome
from lifeos.pods.probe.onnxruntime_cuda import CUDA, onnxruntime_verdict, probe
from tests.lifeos.pods.probe.simulated_pod import SOUND

CPU = "CPUExecutionProvider"


def test_it_runs_for_real_on_the_processor():
    body = probe({"provider": CPU}, lambda what: None)
    assert body["providers"] == [CPU]
    assert body["error_share"] < 1e-5
    assert onnxruntime_verdict(body, CPU).outcome is Outcome.PASSED
    assert "fell back" in onnxruntime_verdict(body).reason


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_asking_for_cuda_here_is_an_error_not_a_fallback():
    with pytest.raises(Exception, match="fallback to CPU EP has been explicitly disabled"):
        probe({}, lambda what: None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"providers": [CPU]}, "fell back to CPUExecutionProvider, it offers"),
        ({"providers": []}, "fell back to nothing"),
        ({"error_share": None}, "not finite"),
        ({"error_share": 0.5}, "is wrong by 0.5"),
        ({"error_share": float("nan")}, "is nan"),
    ],
)
def test_what_blocks(changes, said):
    verdict = onnxruntime_verdict({**SOUND["onnxruntime"], **changes})
    assert verdict.blocks
    assert said in verdict.reason


def test_cuda_first_passes():
    verdict = onnxruntime_verdict(SOUND["onnxruntime"])
    assert verdict.outcome is Outcome.PASSED
    assert CUDA in verdict.reason
