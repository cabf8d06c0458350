"""Every phase: the known failures, each a node of the gate that it blocks, named after its entry.

``pytest -m predeploy -k ort-cpu-gpu-clobber`` looks for that one alone.
"""

import contextlib

import pytest

from lifeos.errors import InputError
from lifeos.known_failures.detection import entry_verdict
from lifeos.known_failures.gates import entry_parameters, recipe_verdict, training_log_verdict


@pytest.fixture(autouse=True)
def _walked_before_the_clock_runs(request):
    """Do in a fixture what takes long: a test has ten minutes; training, sampling and a large dataset take more."""
    callspec = getattr(request.node, "callspec", None)
    looks_at = None if callspec is None else callspec.params["entry"].looks_at
    if looks_at == "samples":
        request.getfixturevalue("release")
    elif looks_at == "dataset":
        with contextlib.suppress(InputError):  # the test asks again and says why
            request.getfixturevalue("given").lint  # noqa: B018 - kept once it was read


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
