"""The gates about the pod that is to be rented are seen to block, alone: ``breach_<gate id>`` breaches it."""

import pytest

from evals.verdict import Outcome
from lifeos.inputs import read_inputs
from lifeos.pods.base_model import HubRepository, base_verdict, named_bases
from lifeos.pods.consistency import pod_verdict
from lifeos.pods.cost import cost_verdict, estimate_inputs
from lifeos.pods.spec import load_pod

GIB = 1024**3


class Rental:
    """Everything sound: an A40, a budget of twenty dollars, the demo's base."""

    def __init__(self, hub):
        self.pod, self.budget, self.hub = load_pod("a40"), "20 USD", hub
        self.inputs = read_inputs({})
        self.bases = named_bases(self.inputs)

    def verdicts(self):
        return {
            "pod_known": pod_verdict(lambda: self.pod),
            "cost_within_budget": cost_verdict(
                self.budget, lambda: self.pod, lambda rented: estimate_inputs(self.inputs, rented)
            ),
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


def breach_base_reachable(rental):
    rental.bases = ["hub:somebody/guarded"]


BREACHES = {name: function for name, function in globals().items() if name.startswith("breach_")}


@pytest.mark.parametrize("name", sorted(BREACHES))
def test_it_blocks_alone(name):
    rental = Rental(GatedHub())
    assert {gate: verdict.reason for gate, verdict in rental.verdicts().items() if verdict.blocks} == {}
    BREACHES[name](rental)
    blocking = {gate: verdict for gate, verdict in rental.verdicts().items() if verdict.blocks}
    assert set(blocking) == {name.removeprefix("breach_")}, blocking
    assert all(verdict.outcome is Outcome.FAILED for verdict in blocking.values())
