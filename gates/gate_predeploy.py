"""Predeploy: what can be seen before money is spent."""

import pytest

from evals.verdict import passed
from lifeos.pods.dependencies import dependencies_verdict
from lifeos.pods.requirements import requirements_verdict
from lifeos.pods.spec import load_pod

pytestmark = pytest.mark.predeploy


def test_requirements_parse(gate, inputs):
    gate(requirements_verdict(inputs.requirements))


def test_pod_dependencies(gate, inputs):
    gate(dependencies_verdict(inputs.requirements, lambda: load_pod(inputs.pod), inputs.artifacts / "pods"))


def test_weights_sane(gate, given):
    verdicts = given.weights.verdicts
    blocking = next((verdict for verdict in verdicts.values() if verdict.blocks), None)
    gate(blocking or passed(f"{len(verdicts)} weights checks passed"))
