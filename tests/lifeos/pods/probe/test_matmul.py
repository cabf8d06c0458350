"""A product that is right, wrong, not finite, emulated, or on no GPU at all."""

import pytest

from evals.verdict import Outcome
from lifeos.pods.probe.matmul import computes_bfloat16, matmul_verdict, probe
from tests.lifeos.pods.probe.simulated_pod import SOUND


def test_it_multiplies_for_real_on_the_processor():
    body = probe({"device": "cpu"}, lambda what: None)
    assert 1e-4 < body["error_share"] < 0.02
    assert matmul_verdict(body).outcome is Outcome.PASSED


@pytest.mark.parametrize(("capability", "native"), [((7, 5), False), ((8, 0), True), ([8, 9], True), ((12, 0), True)])
def test_bfloat16_hardware_begins_with_ampere(capability, native):
    assert computes_bfloat16(capability) is native


@pytest.mark.parametrize(
    ("changes", "wanted", "outcome", "said"),
    [
        ({}, True, Outcome.PASSED, "right within 0.0030"),
        ({"available": False}, False, Outcome.FAILED, "sees no GPU although the driver lists one"),
        ({"finite": False, "error_share": None}, False, Outcome.FAILED, "not finite"),
        ({"error_share": 0.9}, False, Outcome.FAILED, "wrong by 0.900"),
        ({"error_share": float("nan")}, False, Outcome.NOT_EVALUATED, "nan"),
        ({"native": False}, False, Outcome.PASSED, "emulates it"),
        ({"native": False}, True, Outcome.FAILED, "by emulation only"),
    ],
)
def test_what_is_judged(changes, wanted, outcome, said):
    verdict = matmul_verdict({**SOUND["matmul"], **changes}, bfloat16_wanted=wanted)
    assert verdict.outcome is outcome
    assert said in verdict.reason
