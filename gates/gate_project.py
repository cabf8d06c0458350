"""Cheap: the project itself."""

import pytest

from evals.policy import load_policy
from lifeos import project_checks
from lifeos.persona import load_persona
from lifeos.settings import load_project

pytestmark = pytest.mark.cheap


def test_architecture_imports(gate, inputs):
    gate(project_checks.architecture_verdict(inputs.project.root, inputs.artifacts))


def test_manifest_complete(gate, inputs, manifest):
    root = inputs.project.root
    written = project_checks.written_gates(root / "gates", manifest.from_policy)
    gate(project_checks.manifest_verdict(manifest, written, project_checks.must_block_ids(root / "tests/must_block")))


def test_history_chain(gate, inputs):
    gate(project_checks.history_verdict(inputs.history))


def test_settings_valid(gate, inputs):
    checks = [
        ("settings", lambda: load_project(inputs.project.root)),
        ("persona", lambda: load_persona(inputs.persona, inputs.project.root)),
        ("policy", lambda: load_policy(inputs.policy)),
    ]
    gate(project_checks.readable_verdict(checks))


def test_tree_size(gate, inputs):
    gate(project_checks.tree_size_verdict(inputs.project.root))
