"""The probe against an optimizer in bitsandbytes' place, and every branch of its verdict."""

import sys
import types

import pytest

from evals.verdict import Outcome
from lifeos.pods.probe.bitsandbytes_step import bitsandbytes_verdict, probe
from tests.lifeos.pods.probe.simulated_pod import SOUND


def library(monkeypatch, rate):
    import torch

    class AdamW8bit(torch.optim.Optimizer):
        def __init__(self, parameters, lr):
            super().__init__(parameters, {"lr": lr})

        def step(self, closure=None):
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.data -= rate * parameter.grad.sign()
                    self.state[parameter]["state1"] = torch.zeros(parameter.shape, dtype=torch.uint8)

    package, optimizers = types.ModuleType("bitsandbytes"), types.ModuleType("bitsandbytes.optim")
    package.__version__, package.optim = "0.50.2", optimizers
    optimizers.AdamW8bit = AdamW8bit
    monkeypatch.setitem(sys.modules, "bitsandbytes", package)
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", optimizers)


@pytest.mark.parametrize(
    ("rate", "outcome"),
    [(0.01, Outcome.PASSED), (0.0, Outcome.FAILED), (-0.01, Outcome.FAILED), (float("nan"), Outcome.FAILED)],
)
def test_a_step_is_taken_downhill(monkeypatch, rate, outcome):
    library(monkeypatch, rate)
    assert bitsandbytes_verdict(probe({"device": "cpu"}, lambda what: None)).outcome is outcome


def test_state_that_is_not_kept_in_8_bits():
    verdict = bitsandbytes_verdict({**SOUND["bitsandbytes"], "state": "float32"})
    assert verdict.outcome is Outcome.FAILED
    assert "float32" in verdict.reason
