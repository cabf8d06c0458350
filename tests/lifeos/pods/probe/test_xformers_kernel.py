"""The probe against a library in xformers' place that attends rightly, wrongly, or not finitely."""

import sys
import types

import pytest

from evals.verdict import Outcome
from lifeos.pods.probe.xformers_kernel import probe, xformers_verdict

KINDS = {"right": Outcome.PASSED, "wrong": Outcome.FAILED, "nan": Outcome.FAILED}


def library(monkeypatch, kind):
    import torch

    def attend(query, key, value):
        moved = [tensor.transpose(1, 2) for tensor in (query, key, value)]
        out = torch.nn.functional.scaled_dot_product_attention(*moved).transpose(1, 2)
        return out * {"right": 1.0, "wrong": 2.0, "nan": float("nan")}[kind]

    package, operators = types.ModuleType("xformers"), types.ModuleType("xformers.ops")
    package.__version__, package.ops = "0.0.35", operators
    operators.memory_efficient_attention = attend
    monkeypatch.setitem(sys.modules, "xformers", package)
    monkeypatch.setitem(sys.modules, "xformers.ops", operators)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_attention_is_compared_with_torchs_own(monkeypatch, kind):
    library(monkeypatch, kind)
    stages = []
    body = probe({"device": "cpu"}, stages.append)
    assert len(stages) == 3
    assert xformers_verdict(body).outcome is KINDS[kind]


def test_a_missing_width_is_no_pass():
    with pytest.raises(KeyError):
        xformers_verdict({"version": "x", "widths": {"40": 0.0}})
