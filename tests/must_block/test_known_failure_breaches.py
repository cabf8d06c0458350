"""The gates that only the registry carries are seen to block, alone: by the reproducer of an entry of theirs."""

import pytest

from evals.known_failures import entry_of, read_entries
from evals.verdict import Outcome
from lifeos.known_failures.detection import entry_verdict
from lifeos.known_failures.gates import recipe_verdict, training_log_verdict
from lifeos.known_failures.liveness import reproduced

GATES = {"recipe_sane": recipe_verdict, "training_log": training_log_verdict}


def breach_recipe_sane():
    return "prodigy-lr-not-one"


def breach_training_log():
    return "loss-nan-run-completes"


BREACHES = {name: function for name, function in globals().items() if name.startswith("breach_")}


def blocking(given):
    """Gates that block: by their own verdict, or by an entry of theirs."""
    found = {gate: [verdict(given)] for gate, verdict in GATES.items()}
    for entry in read_entries():
        if entry.gate in GATES:
            found[entry.gate].append(entry_verdict(entry, given))
    return {gate for gate, verdicts in found.items() if Outcome.FAILED in {each.outcome for each in verdicts}}


@pytest.mark.parametrize("name", sorted(BREACHES))
def test_it_blocks_alone(name, tmp_path):
    entry = entry_of(BREACHES[name](), read_entries())
    given = {
        state: reproduced(entry, tmp_path / state, tmp_path / "artifacts", broken=state == "broken")
        for state in ("broken", "healthy")
    }
    assert blocking(given["healthy"]) == set()
    assert blocking(given["broken"]) == {name.removeprefix("breach_")}


def test_every_gate_of_the_registry_has_a_breach():
    assert {name.removeprefix("breach_") for name in BREACHES} == set(GATES)
