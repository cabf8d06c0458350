"""The commands in a copy of the checkout's control files: nothing of the project itself is written."""

import json
import shutil

import pytest

from lifeos import cli, settings
from lifeos.operations.findings.ledger import append_items
from tests.lifeos.operations.findings.ledgers import record
from tests.lifeos.operations.findings.test_gate_findings import gate, row

DAY = ["--as-of", "2026-11-27"]
RULE = record("Ask for the tail", kind="rule")


@pytest.fixture
def root(tmp_path, monkeypatch):
    root = tmp_path / "check out"
    real = settings.project_root()
    for name in ("CLAUDE.md", "PROGRESS.md", "context/session-learnings.md", "gates/manifest.toml", "lifeos.toml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(real / name, root / name)
    (root / "evals").mkdir()
    monkeypatch.setattr(settings, "project_root", lambda: root)
    return root


def run(capsys, *arguments):
    code = cli.main([*arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_rejected_release_becomes_a_finding_with_a_reason_on_one_line(root, capsys):
    judged = row(root / "evals" / "eval_history.jsonl", 1, gate("likeness_tail"))
    code, out, _ = run(capsys, "promote-findings", *DAY)
    assert code == 0
    assert "not written" in out
    assert not (root / "context" / "ledger").exists()
    code, out, _ = run(capsys, "promote-findings", "--apply", *DAY)
    assert code == 0
    assert "1 new records, 1 items newly active, 1 files change" in out
    learned = (root / "context" / "session-learnings.md").read_text(encoding="utf-8")
    assert "A LoRA of pistachio was rejected by the gate likeness_tail" in learned
    code, out, _ = run(capsys, "promote-findings", "--apply", *DAY, "--json")
    answer = json.loads(out)
    assert (answer["new_records"], answer["changed"]) == (0, [])
    code, out, _ = run(capsys, "why", answer["entries"][0]["id"], *DAY)
    assert code == 0
    assert out.count("\n") == 1
    assert f"evidence evals/eval_history.jsonl#{judged['hash'][:8]}" in out
    assert "brought by lifeos-gates" in out
    code, out, _ = run(capsys, "promote-findings", *DAY)
    assert "nothing to promote" in out


def test_a_history_elsewhere_is_no_evidence(root, tmp_path, capsys):
    row(tmp_path / "other.jsonl", 1, gate("likeness_tail"))
    _, out, _ = run(capsys, "promote-findings", *DAY, "--history", str(tmp_path / "other.jsonl"), "--json")
    assert json.loads(out)["new_records"] == 0


def test_a_refused_briefing_is_said_with_its_lines(root, capsys):
    folder = root / "artifacts" / "briefings"
    folder.mkdir(parents=True)
    (folder / "b.md").write_text("# nothing\n", encoding="utf-8")
    code, out, _ = run(capsys, "promote-findings", *DAY)
    assert code == 1
    assert "refused: b.md\n  line 1: " in out
    assert (folder / "b.md").exists()
    code, _, _ = run(capsys, "promote-findings", *DAY, "--apply")
    assert code == 1
    assert (folder / "quarantine" / "b.md").exists()
    assert run(capsys, "promote-findings", *DAY)[0] == 0


def test_a_review_lists_and_applies(root, tmp_path, capsys):
    assert run(capsys, "review", *DAY)[1] == "nothing waits for a person\n"
    append_items(root, [RULE])
    code, out, _ = run(capsys, "review", *DAY, "--json")
    [waiting] = json.loads(out)["open"]
    assert (code, waiting["id"], waiting["status"]) == (0, RULE.id, "waiting")
    code, _, err = run(capsys, "review", *DAY)
    assert code == 2
    assert "--apply FILE" in err
    given = tmp_path / "said.json"
    said = {"item": RULE.id, "decision": "approve", "enforced_by": "no_gate"}
    given.write_text(json.dumps({"schema": "lifeos.review/1", "decisions": [said]}), encoding="utf-8")
    code, _, err = run(capsys, "review", "--apply", str(given), "--reviewer", "Ada", *DAY)
    assert code == 2
    assert "enforced_by" in err
    said["enforced_by"] = "likeness_tail"
    given.write_text(json.dumps({"schema": "lifeos.review/1", "decisions": [said]}), encoding="utf-8")
    code, out, _ = run(capsys, "review", "--apply", str(given), "--reviewer", "Ada", *DAY)
    assert (code, out) == (0, "1 decisions recorded; next: lifeos promote-findings --apply\n")
    run(capsys, "promote-findings", "--apply", *DAY)
    rules = (root / "CLAUDE.md").read_text(encoding="utf-8")
    assert f"- a.b: Ask for the tail ({RULE.id}, enforced by `likeness_tail`)" in rules


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["why", "F-00"], "accepted an id of the ledger, got none"),
        (["why", "R-"], "got 2 of them"),
        (["why", "F-00", "--as-of", "soon"], "--as-of: accepted a date"),
        (["promote-findings"], "git knows no commit"),
    ],
)
def test_what_cannot_be_answered_is_one_line(root, capsys, arguments, said):
    append_items(root, [RULE, record("Another", kind="rule", key="a.c")])
    day = [] if "--as-of" in arguments or arguments == ["promote-findings"] else DAY
    code, _, err = run(capsys, *arguments, *day)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
