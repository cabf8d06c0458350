import subprocess
from pathlib import Path

import pytest

from lifeos.git import git_state


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "a checkout"
    (folder / "evals").mkdir(parents=True)
    for name in ("code.py", "evals/eval_history.jsonl", "other.jsonl", "näme with space.txt"):
        (folder / name).write_text("x", encoding="utf-8")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "x")
    return folder


def test_what_a_run_writes_makes_nothing_dirty(checkout):
    for name in ("evals/eval_history.jsonl", "other.jsonl", "artifacts/runs/x", "personas/p/champion.json"):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("y", encoding="utf-8")
    state = git_state(checkout, (checkout / "other.jsonl", checkout / "artifacts"))
    assert (state["git_dirty"], state["git_changed"]) == (False, [])
    assert len(state["git_commit"]) == 40


def test_other_changes_are_listed(checkout):
    (checkout / "code.py").write_text("y", encoding="utf-8")
    (checkout / "näme with space.txt").unlink()
    (checkout / "new.py").write_text("y", encoding="utf-8")
    state = git_state(checkout)
    assert state["git_dirty"] is True
    assert sorted(state["git_changed"]) == ["code.py", "new.py", "näme with space.txt"]


def test_no_checkout_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(Path(tmp_path).parent))
    assert git_state(tmp_path) == {"git_commit": None, "git_dirty": None, "git_changed": []}
