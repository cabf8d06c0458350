"""Every phase: the known failures, each a node of the gate that it blocks, named after its entry.

``pytest -m predeploy -k ort-cpu-gpu-clobber`` looks for that one alone.
"""

import pytest

from lifeos.known_failures.detection import entry_verdict
from lifeos.known_failures.gates import entry_parameters, recipe_verdict, training_log_verdict


@pytest.fixture(autouse=True)
def _walked_before_the_clock_runs(request):
    """Walk the release in a fixture where samples are looked at: a test has ten minutes, training and sampling more."""
    callspec = getattr(request.node, "callspec", None)
    if callspec is not None and callspec.params["entry"].looks_at == "samples":
        request.getfixturevalue("release")


@pytest.mark.predeploy
def test_recipe_sane(gate, given):
    gate(recipe_verdict(given))


@pytest.mark.predeploy
@pytest.mark.release
def test_training_log(gate, given):
    gate(training_log_verdict(given))


@pytest.mark.parametrize("entry", entry_parameters())
def test_known_failure(gate, given, entry):
    gate(entry_verdict(entry, given))
