import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path

import psutil
import pytest

from evals.history import append
from lifeos.operations.agent.adapters import adapter_named
from lifeos.operations.agent.agent_run import RESULT_FILE, run_agent
from lifeos.operations.agent.contract import load_contract
from lifeos.operations.agent.worktree import fingerprint
from lifeos.operations.briefing import parse_briefing

ROOT = Path(__file__).resolve().parents[4]
FAKE = Path(__file__).with_name("fake_agent.py")
NOW = datetime(2026, 11, 27, 7, tzinfo=UTC)
# Long enough for a busy machine to start Python, short enough to wait for.
CLOCKS = {"wall_s": 60, "idle_s": 60, "grace_s": 5}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A small checkout with the project's own contract; HOME and TMPDIR are the test's."""
    root = tmp_path / "check out"
    for name in ("CLAUDE.md", "PROGRESS.md", "agents/pistachio-agent-v3.md", "gates/manifest.toml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    (root / ".gitignore").write_text("artifacts/\nSTOP\n*.lock\n", encoding="utf-8")
    (root / "lifeos").mkdir()
    (root / "lifeos" / "code.py").write_text("pass\n", encoding="utf-8")
    append(root / "evals" / "eval_history.jsonl", {"id": "1", "phase": "cheap"})
    git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Begin"]):
        subprocess.run([*git, *arguments], check=True)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("HOME", str(root))
    monkeypatch.setenv("MY_SECRET", "x")
    return root


def play(root, name, run="run-1", **clocks):
    return run_agent(
        root, load_contract(root), adapter_named("command", (sys.executable, str(FAKE), name)), run=run,
        as_of=date(2026, 11, 27), now=lambda: NOW, artifacts=root / "artifacts",
        history=root / "evals" / "eval_history.jsonl", seconds=CLOCKS | clocks,
    )  # fmt: skip


def tracked(root):
    return fingerprint(root, ("artifacts", ".git"))


@pytest.mark.parametrize(
    ("name", "outcome", "reason"),
    [
        ("success", "ok", "1 items"),
        ("partial", "partial", "1 items"),
        ("no_work", "no_work", "nothing to do"),
        ("good_but_status_1", "ok", "1 items"),
        ("blocked", "blocked", "needs a person"),
        ("terminated", "crashed", "status 143"),
        ("crash", "crashed", "status 3"),
        ("false_success", "invalid_output", "wrote no briefing"),
        ("empty", "invalid_output", "empty"),
        ("garbage", "invalid_output", "headings"),
        ("wrong_run", "invalid_output", "id: accepted run-1"),
        ("binary", "invalid_output", "UTF-8"),
        ("huge", "invalid_output", "bytes"),
        ("too_many", "invalid_output", "21 items"),
        ("inject_marker", "invalid_output", "marker"),
        ("inject_path", "invalid_output", "@path"),
        ("inject_comment", "invalid_output", "comment"),
        ("inject_bidi", "invalid_output", "U+202E"),
        ("edit_control", "denied", "CLAUDE.md (changed)"),
        ("delete", "denied", "PROGRESS.md (deleted)"),
        ("add", "denied", "lifeos/backdoor.py (added)"),
        ("move_branch", "denied", "refs/heads/mine (added) of the repository"),
        ("commit", "ok", "1 items"),
        ("two_files", "denied", "other.md (another file)"),
        ("link_out", "denied", "link (added)"),
        ("output_is_link", "denied", "real.txt (another file)"),
    ],
)
def test_the_file_decides_how_a_run_ended(root, tmp_path, name, outcome, reason):
    before = tracked(root)
    result = play(root, name)
    assert (result.outcome, reason in result.reason) == (outcome, True), result.reason
    assert tracked(root) == before
    taken = sorted(path.name for path in (root / "artifacts" / "briefings").glob("*.md"))
    assert taken == (["run-1.md"] if outcome in ("ok", "partial", "no_work") else [])
    assert (result.briefing is not None) == bool(taken)
    aside = root / "artifacts" / "briefings" / "quarantine" / "run-1.problems.txt"
    assert aside.exists() == (outcome == "invalid_output" and name != "false_success")
    assert not list((tmp_path / "tmp").iterdir())
    worktrees = subprocess.run(["git", "worktree", "list"], cwd=root, capture_output=True, text=True, check=True).stdout
    assert worktrees.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "clocks", "outcome"),
    [
        ("hang", {"idle_s": 0.5}, "stalled"),
        ("silent", {"idle_s": 3}, "stalled"),
        ("deaf", {"idle_s": 0.5, "grace_s": 0.3}, "stalled"),
        ("chatter", {"wall_s": 1.5}, "limit_time"),
        ("chatter_with_output", {"wall_s": 3}, "limit_time"),
    ],
)
def test_clocks_end_what_does_not_end(root, name, clocks, outcome):
    begin = time.monotonic()
    result = play(root, name, **clocks)
    assert result.outcome == outcome
    assert result.briefing is None
    assert time.monotonic() - begin < 45


def test_a_stop_file_ends_a_run(root):
    (root / "STOP").write_text("", encoding="utf-8")
    result = play(root, "hang")
    assert (result.outcome, result.exit_code) == ("operator_stop", 70)


def test_a_change_of_the_checkouts_own_control_files_is_named(root):
    result = play(root, "edit_checkout")
    assert result.outcome == "denied"
    assert "CLAUDE.md (changed) of the checkout" in result.forbidden
    assert not (root / "artifacts" / "briefings").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="process groups of POSIX")
@pytest.mark.parametrize("name", ["grandchild", "grandchild_of_its_own"])
def test_what_an_agent_leaves_running_is_ended_with_it(root, tmp_path, name):
    result = play(root, name)
    assert result.outcome == "ok"
    number = int((tmp_path / "tmp" / "grandchild.txt").read_text(encoding="utf-8"))
    for _ in range(100):
        if not psutil.pid_exists(number) or psutil.Process(number).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    pytest.fail("it runs on")


def test_an_agent_sees_no_secret_and_is_told_its_task(root):
    result = play(root, "secrets")
    assert b"I see 0 of them" in Path(result.briefing).read_bytes()
    result = play(root, "stdin", run="run-2")
    # The lines of its id, of the file to write and of how to check it.
    assert b"I was told 3 times" in Path(result.briefing).read_bytes()


def test_an_agent_can_check_its_briefing_with_the_parser_that_will_judge_it(root):
    result = play(root, "self_check")
    assert b"Checked with status 0" in Path(result.briefing).read_bytes()


def test_a_run_that_ended_is_not_run_again(root):
    first = play(root, "success")
    assert play(root, "crash") == first
    record = root / "artifacts" / "agent-runs" / "run-1"
    assert json.loads((record / RESULT_FILE).read_text(encoding="utf-8"))["schema"] == "lifeos.agent_run/1"
    (record / RESULT_FILE).write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match="result of a run"):
        play(root, "success")


def test_what_a_kill_left_behind_is_removed_by_the_next_try(root, tmp_path):
    record = root / "artifacts" / "agent-runs" / "run-1"
    left = tmp_path / "tmp" / "lifeos-agent-left"
    (left / "worktree").mkdir(parents=True)
    record.mkdir(parents=True)
    (record / "worktree.txt").write_text(f"{left}\n", encoding="utf-8")
    mine = tmp_path / "mine"
    mine.mkdir()
    assert play(root, "success").outcome == "ok"
    assert not left.exists()
    # A note that was tampered with removes nothing else.
    other = root / "artifacts" / "agent-runs" / "run-2"
    other.mkdir()
    (other / "worktree.txt").write_text(f"{mine}\n", encoding="utf-8")
    assert play(root, "success", run="run-2").outcome == "ok"
    assert mine.exists()


def test_without_git_the_agent_gets_what_it_may_read(root):
    shutil.rmtree(root / ".git")
    result = play(root, "success")
    assert result.outcome == "ok"


def test_a_program_that_is_not_there_is_a_crash(root):
    result = run_agent(
        root, load_contract(root), adapter_named("command", ("/nowhere/agent",)), run="run-1", as_of=date(2026, 11, 27),
        now=lambda: NOW, artifacts=root / "artifacts",
    )  # fmt: skip
    assert result.outcome == "crashed"
    assert "could not be started" in result.reason


def test_the_builtin_analyst_writes_a_briefing_with_evidence(root):
    path = root / "evals" / "eval_history.jsonl"
    gates = [{"id": "likeness_tail", "severity": "hard", "verdict": "failed", "value": 0.09, "threshold": 0.05}]
    row = append(path, {"id": "2", "phase": "release", "persona": "pistachio", "verdict": "rejected", "gates": gates,
                        "hashes": {"lora": "ab" * 32}})  # fmt: skip
    result = run_agent(
        root, load_contract(root), adapter_named("builtin"), run="run-1", as_of=date(2026, 11, 27), now=lambda: NOW,
        artifacts=root / "artifacts", history=path,
    )  # fmt: skip
    assert result.outcome == "ok", Path(result.transcript, "stderr.txt").read_text(encoding="utf-8")
    [item] = parse_briefing(Path(result.briefing).read_bytes(), "b").items
    assert item.text == "LoRA abababab of pistachio fails likeness_tail: 0.09 where 0.05 is asked"
    assert str(item.evidence[0]) == f"evals/eval_history.jsonl#{row['hash'][:8]}"
    assert result.usd == 0
    assert not result.warnings
    assert os.environ["MY_SECRET"] == "x"
