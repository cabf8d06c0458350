"""Every phase: the known failures, each a node of the gate that it blocks, named after its entry.

``pytest -m predeploy -k ort-cpu-gpu-clobber`` looks for that one alone.
"""

import pytest

from lifeos.known_failures.detection import entry_verdict
from lifeos.known_failures.gates import entry_parameters, recipe_verdict, training_log_verdict


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
