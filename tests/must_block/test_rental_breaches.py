"""The gates about the pod that is to be rented are seen to block, alone: ``breach_<gate id>`` breaches it."""

from dataclasses import replace

import pytest

from evals.verdict import Outcome
from lifeos.inputs import read_inputs
from lifeos.pods.base_model import HubRepository, base_verdict, named_bases
from lifeos.pods.consistency import pod_verdict
from lifeos.pods.cost import cost_verdict, estimate_inputs
from lifeos.pods.spec import load_pod
from lifeos.pods.vram import fit_inputs, memory_verdict
from lifeos.pods.vram.limits import limit_bytes

GIB = 1024**3


class Rental:
    """Everything sound: an A40, a budget of twenty dollars, the demo's base."""

    def __init__(self, hub, artifacts):
        self.pod, self.budget, self.hub = load_pod("a40"), "20 USD", hub
        self.inputs = replace(read_inputs({}), artifacts=artifacts)
        self.bases = named_bases(self.inputs)
        self.fit = fit_inputs(self.inputs, self.pod)

    def verdicts(self):
        return {
            "pod_known": pod_verdict(lambda: self.pod),
            "cost_within_budget": cost_verdict(
                self.budget, lambda: self.pod, lambda rented: estimate_inputs(self.inputs, rented)
            ),
            "memory_fits": memory_verdict(lambda: self.fit),
            "base_reachable": base_verdict(lambda: self.bases, lambda: self.pod, self.hub),
        }


class GatedHub:
    def has_token(self):
        return False

    def repository(self, name, revision):
        return HubRepository(True, {"model_index.json": 1, "unet/weights.safetensors": GIB})

    def check_access(self, name):
        raise AssertionError("nothing is asked without a token")


def breach_pod_known(rental):
    # A driver of before Blackwell, which nothing else looks at.
    rental.pod = load_pod("rtx5090").model_copy(update={"driver": "565.57.01"})


def breach_cost_within_budget(rental):
    rental.budget = "0.01 USD"


def breach_memory_fits(rental):
    # What CUDA's context leaves of 600 MiB is less than the demo's smallest step.
    gpu = rental.pod.gpu.model_copy(update={"memory_mib": 600})
    rental.fit = replace(rental.fit, limit=limit_bytes(gpu))


def breach_base_reachable(rental):
    rental.bases = ["hub:somebody/guarded"]


BREACHES = {name: function for name, function in globals().items() if name.startswith("breach_")}


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    # Traced once for all of them.
    return tmp_path_factory.mktemp("artifacts")


@pytest.mark.parametrize("name", sorted(BREACHES))
def test_it_blocks_alone(name, artifacts):
    rental = Rental(GatedHub(), artifacts)
    assert {gate: verdict.reason for gate, verdict in rental.verdicts().items() if verdict.blocks} == {}
    BREACHES[name](rental)
    blocking = {gate: verdict for gate, verdict in rental.verdicts().items() if verdict.blocks}
    assert set(blocking) == {name.removeprefix("breach_")}, blocking
    assert all(verdict.outcome is Outcome.FAILED for verdict in blocking.values())
