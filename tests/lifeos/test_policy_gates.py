"""Gates that stand in the policy alone: each has its own function and asserts its own verdict."""

from evals.verdict import passed
from lifeos.manifest import GateRow, Manifest, default_manifest
from lifeos.policy_gates import policy_gates

ROWS = tuple(GateRow(id=name, phases=["release"], severity="soft", proves="x") for name in ("gloss", "tone"))


def test_each_asserts_its_own_verdict(monkeypatch):
    monkeypatch.setattr("lifeos.policy_gates.load_manifest", lambda path: Manifest(path, ROWS, ROWS))
    tests = policy_gates()
    assert list(tests) == ["test_gloss", "test_tone"]

    class Release:
        def verdict(self, gate):
            return passed(gate)

    asserted = []
    for test in tests.values():
        test(asserted.append, Release())
    assert [verdict.reason for verdict in asserted] == ["gloss", "tone"]


def test_the_gate_file_holds_them():
    source = (default_manifest().parent / "gate_release.py").read_text(encoding="utf-8")
    assert "globals().update(policy_gates())" in source
