"""Predeploy: the pod that is to be rented, what the run costs on it, whether it fits there and the base can be had."""

import pytest

from lifeos.pods.base_model import HuggingFaceHub, base_verdict, named_bases
from lifeos.pods.consistency import pod_verdict
from lifeos.pods.cost import cost_verdict, estimate_inputs
from lifeos.pods.spec import load_pod
from lifeos.pods.vram import fit_inputs, memory_verdict

pytestmark = pytest.mark.predeploy


@pytest.fixture(scope="module")
def pod(inputs):
    return lambda: load_pod(inputs.pod)


def test_pod_known(gate, pod):
    gate(pod_verdict(pod))


def test_cost_within_budget(gate, inputs, pod):
    gate(cost_verdict(inputs.project.settings.budget, pod, lambda rented: estimate_inputs(inputs, rented)))


def test_memory_fits(gate, inputs, pod):
    gate(memory_verdict(lambda: fit_inputs(inputs, pod())))


def test_base_reachable(gate, inputs, pod):
    gate(base_verdict(lambda: named_bases(inputs), pod, HuggingFaceHub()))
