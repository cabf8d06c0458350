"""Cheap: the control plane is small, true, linked, enforced, and apart from the data plane."""

import pytest

from lifeos.operations.agent.contract_checks import contracts_verdict
from lifeos.operations.as_of import read_as_of
from lifeos.operations.guard.checkout import Checkout
from lifeos.operations.guard.context_budget import budget_verdict
from lifeos.operations.guard.freshness import freshness_verdict
from lifeos.operations.guard.links import links_verdict
from lifeos.operations.guard.planes import control_plane_verdict
from lifeos.operations.guard.preflight import answer, ledger_verdict
from lifeos.operations.guard.rules import rules_verdict

pytestmark = pytest.mark.cheap


@pytest.fixture(scope="module")
def checkout(inputs):
    return Checkout(inputs.project.root)


def test_control_plane(gate, checkout):
    gate(control_plane_verdict(checkout))


def test_control_links(gate, checkout):
    gate(links_verdict(checkout))


def test_rules_enforced(gate, checkout):
    gate(answer(lambda: rules_verdict(checkout)))


def test_context_budget(gate, checkout):
    gate(budget_verdict(checkout))


def test_freshness(gate, checkout):
    gate(answer(lambda: freshness_verdict(checkout, read_as_of(None, checkout.root), control=True)))


def test_docs_freshness(gate, checkout):
    gate(answer(lambda: freshness_verdict(checkout, read_as_of(None, checkout.root), control=False)))


def test_ledger_reads(gate, checkout):
    gate(answer(lambda: ledger_verdict(checkout.root)))


def test_agent_contract(gate, checkout):
    gate(contracts_verdict(checkout.root))
