import subprocess

from evals.verdict import Outcome
from lifeos.manifest import GateRow, load_manifest
from lifeos.project_checks import architecture_verdict, history_verdict, manifest_verdict, must_block_ids, written_gates
from lifeos.settings import project_root

MANIFEST = '[[gate]]\nid = "a"\nphases = ["cheap"]\nseverity = "hard"\nproves = "x"\n'


def house(tmp_path, source, fixture="def breach_a(x): pass\n"):
    for folder in ("gates", "must_block"):
        (tmp_path / folder).mkdir()
    (tmp_path / "gates" / "gate_x.py").write_text(source, encoding="utf-8")
    (tmp_path / "must_block" / "test_x.py").write_text(fixture, encoding="utf-8")
    (tmp_path / "manifest.toml").write_text(MANIFEST, encoding="utf-8")
    return manifest_verdict(
        load_manifest(tmp_path / "manifest.toml"),
        written_gates(tmp_path / "gates"),
        must_block_ids(tmp_path / "must_block"),
    )


GOOD = "import pytest\npytestmark = pytest.mark.cheap\ndef test_a(gate): pass\n"


def test_sets_that_agree(tmp_path):
    assert house(tmp_path, GOOD).outcome is Outcome.PASSED


def test_markers_on_functions_and_in_lists(tmp_path):
    source = "import pytest\n@pytest.mark.cheap\n@pytest.mark.gpu\ndef test_a(gate): pass\n"
    assert house(tmp_path, source).outcome is Outcome.PASSED


def reason(verdict):
    assert verdict.outcome is Outcome.FAILED
    return verdict.reason


def test_an_unlisted_gate(tmp_path):
    assert "b (gate_x.py) is not listed" in reason(house(tmp_path, GOOD + "def test_b(gate): pass\n"))


def test_a_listed_gate_that_nobody_wrote(tmp_path):
    assert "a is listed but not written" in reason(house(tmp_path, "x = 1\n"))


def test_another_phase(tmp_path):
    assert "marked ['pod']" in reason(house(tmp_path, GOOD.replace("mark.cheap", "mark.pod")))


def test_a_gate_never_seen_to_block(tmp_path):
    assert "no must-block fixture" in reason(house(tmp_path, GOOD, fixture="x = 1\n"))


def test_a_fixture_for_nothing(tmp_path):
    assert "z breaches no gate" in reason(house(tmp_path, GOOD, "def breach_a(): ...\ndef breach_z(): ...\n"))


def test_a_gate_written_twice(tmp_path):
    assert "written twice" in reason(house(tmp_path, GOOD + "def test_a(gate): pass\n"))


def test_a_file_that_asks_the_policy_for_gates_holds_them(tmp_path):
    (tmp_path / "gate_x.py").write_text(GOOD + "globals().update(policy_gates())\n", encoding="utf-8")
    soft = GateRow(id="gloss", phases=["cheap"], severity="soft", proves="x")
    assert [gate.id for gate in written_gates(tmp_path, [soft])] == ["a", "gloss"]
    (tmp_path / "gate_x.py").write_text(GOOD, encoding="utf-8")
    assert [gate.id for gate in written_gates(tmp_path, [soft])] == ["a"]


def test_the_contract_is_checked_once_for_equal_source(tmp_path, monkeypatch):
    root = project_root()
    assert architecture_verdict(root, tmp_path).outcome is Outcome.PASSED

    def never(*_, **__):
        raise AssertionError("it ran again")

    monkeypatch.setattr(subprocess, "run", never)
    assert architecture_verdict(root, tmp_path).outcome is Outcome.PASSED


def test_a_history_that_does_not_exist_yet(tmp_path):
    assert history_verdict(tmp_path / "none.jsonl").outcome is Outcome.PASSED
