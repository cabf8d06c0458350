import json
import shutil

import pytest

from evals import atomic, history
from evals.history import read
from lifeos.operations.cycle import commit, state
from lifeos.operations.cycle.report import render_report
from lifeos.operations.cycle.state import STAGES, load_state
from tests.lifeos.operations.cycle.world import RUN, World, checkout, git, kept


@pytest.fixture
def world(tmp_path):
    return World(checkout(tmp_path / "check out"))


def statuses(done):
    return {stage: done.stages[stage].status for stage in done.stages}


def test_a_cycle_promotes_judges_and_commits(world):
    done = world.go()
    assert (done.exit_code, done.reason) == (0, "done")
    assert statuses(done) == dict.fromkeys(STAGES, "done")
    assert world.calls == ["guard", "agent", "cheap", "predeploy"]
    assert "The tail fails" in (world.root / "context/session-learnings.md").read_text(encoding="utf-8")
    assert git(world.root, "status", "--porcelain") == ""
    message = git(world.root, "log", "-1", "--format=%B")
    assert message.startswith(f"Record cycle {RUN}: 2 items newly active, 0 wait")
    assert message.rstrip().endswith(f"Run-Id: {RUN}")
    changed = git(world.root, "diff-tree", "-r", "--name-only", "HEAD~", "HEAD").split()
    assert changed == ["PROGRESS.md", "context/ledger/items.jsonl", "context/session-learnings.md", "history.jsonl"]


def test_a_second_cycle_with_nothing_new_commits_its_row_alone(world):
    world.go()
    done = world.go("cycle-2")
    assert done.exit_code == 0
    assert git(world.root, "diff-tree", "-r", "--name-only", "HEAD~", "HEAD").split() == ["history.jsonl"]
    assert [row.get("run_id") for row in read(world.root / "history.jsonl")] == [
        None, "cycle-1-predeploy", "cycle-2-predeploy",
    ]  # fmt: skip


def test_a_rejected_model_is_a_finished_cycle_with_a_finding(world):
    world.verdicts["release"] = "rejected"
    done = world.go(release=True)
    assert (done.exit_code, done.reason) == (0, "done; release rejected: release_gate")
    learned = (world.root / "context/session-learnings.md").read_text(encoding="utf-8")
    assert "A LoRA of pistachio was rejected by the gate release_gate" in learned
    # The finding went through the cheap gates like any other.
    assert world.calls == ["guard", "agent", "cheap", "predeploy", "release", "cheap"]
    assert len(done.detail("promote")["admitted"]) == 3
    assert git(world.root, "status", "--porcelain") == ""


def test_failed_cheap_gates_take_the_memory_back(world):
    before = kept(world.root)
    world.verdicts["cheap"] = "rejected"
    done = world.go()
    assert done.exit_code == 40
    assert "cheap gates rejected: cheap_gate" in done.reason
    assert kept(world.root) == before
    assert git(world.root, "status", "--porcelain") == ""
    world.verdicts["cheap"] = "approved"
    assert world.go().exit_code == 0
    assert world.calls.count("agent") == 1


def test_what_a_person_wrote_meanwhile_stays_when_the_memory_is_taken_back(world):
    world.verdicts["cheap"] = "not_evaluated"
    world.go(until="promote")
    file = world.root / "PROGRESS.md"
    file.write_bytes(file.read_bytes() + b"A person writes.\n")
    world.go()
    assert file.read_bytes().endswith(b"Kept too.\nA person writes.\n")
    assert b"Train longer" not in file.read_bytes()


def test_gates_that_were_not_evaluated_are_no_success(world):
    world.verdicts["predeploy"] = "not_evaluated"
    done = world.go()
    assert done.exit_code == 40
    assert "phase predeploy was not evaluated: predeploy_gate" in done.reason
    assert done.stages["commit"].status == "done"


@pytest.mark.parametrize(
    ("changes", "code", "stage"),
    [
        ({"problems": ("control_plane: a file too large",)}, 10, "guard"),
        ({"outcome": "limit_time", "exit_code": 21}, 21, "run"),
        ({"outcome": "invalid_output", "exit_code": 22}, 22, "run"),
        ({"outcome": "operator_stop", "exit_code": 70}, 70, "run"),
    ],
)
def test_what_ends_a_cycle_early_leaves_everything_as_it_was(world, changes, code, stage):
    before = kept(world.root)
    for name, value in changes.items():
        setattr(world, name, value)
    done = world.go()
    assert done.exit_code == code
    assert done.stages[stage].status == "failed"
    assert kept(world.root) == before
    assert done.resumable == (stage == "guard")
    assert ("--resume" in render_report(done)) == done.resumable
    assert "cheap" not in world.calls


def test_without_an_agent_own_findings_are_promoted_and_nothing_is_paid(world):
    done = world.go(agent=False)
    assert done.exit_code == 0
    assert "agent" not in world.calls
    assert statuses(done)["run"] == statuses(done)["validate"] == "skipped"


def test_a_stop_file_stops_before_the_next_stage(world):
    (world.root / "STOP").write_text("", encoding="utf-8")
    done = world.go()
    assert (done.exit_code, done.stages) == (70, {})
    (world.root / "STOP").unlink()
    real = world.agent

    def agent(*given):
        (world.root / "STOP").write_text("", encoding="utf-8")
        return real(*given)

    world.agent = agent
    assert world.go().exit_code == 70
    assert "The tail" not in (world.root / "context/session-learnings.md").read_text(encoding="utf-8")
    (world.root / "STOP").unlink()
    assert world.go().exit_code == 0
    assert world.calls.count("agent") == 1


def test_an_open_breaker_runs_no_agent_and_lets_a_cycle_without_one_pass(world):
    done = world.go(breaker="the last 3 cycles admitted nothing")
    assert done.exit_code == 10
    assert "circuit breaker" in done.reason
    assert world.go("cycle-2", breaker="x", agent=False).exit_code == 0
    assert "agent" not in world.calls


def test_stopping_after_a_stage_and_going_on(world):
    done = world.go(until="validate")
    assert (done.exit_code, list(done.stages)) == (0, ["guard", "run", "validate"])
    assert world.go().stages["commit"].status == "done"
    assert world.calls.count("agent") == 1


def test_a_briefing_that_changed_since_the_run_is_not_promoted(world):
    world.go(until="run")
    path = world.root / "artifacts" / "briefings" / f"{RUN}.md"
    good = path.read_bytes()
    path.write_bytes(good.replace(b"The tail fails", b"The tail is ok"))
    done = world.go()
    assert (done.exit_code, done.stages["validate"].status) == (22, "failed")
    path.unlink()
    assert world.go().exit_code == 22
    path.write_bytes(good)
    assert world.go().exit_code == 0


def test_a_paid_agent_that_was_cut_off_is_not_paid_again(world, monkeypatch):
    world.repeatable = False

    def cut_off(*given):
        world.calls.append("agent")
        raise KeyboardInterrupt

    world.agent = cut_off
    assert world.go().exit_code == 130
    done = world.go()
    assert done.exit_code == 20
    assert "not run again" in done.reason
    assert world.calls.count("agent") == 1
    # It ended after all, and its result is on disk: that is taken.
    result = world.root / "artifacts" / "agent-runs" / RUN / "result.json"
    result.parent.mkdir(parents=True)
    result.write_text("{}", encoding="utf-8")
    del world.agent
    assert world.go().exit_code == 0


def test_the_same_words_of_an_agent_mean_nothing_in_a_report(world):
    world.items = (("finding", "a.f", "The * tail | fails [x]"),)
    world.verdicts["release"] = "rejected"
    text = render_report(world.go(release=True))
    assert "The \\* tail \\| fails \\[x\\]" in text
    assert "| commit | done |" in text
    assert "release: rejected, row 20261127T120000Z-release: release" in text
    assert "cost 0.00 USD" in text


def test_user_work_that_is_staged_or_not_is_left_alone(world):
    root = world.root
    (root / "notes.txt").write_text("staged\n", encoding="utf-8")
    git(root, "add", "notes.txt")
    (root / "notes.txt").write_text("staged\nand not\n", encoding="utf-8")
    (root / "new.txt").write_text("new\n", encoding="utf-8")
    git(root, "add", "new.txt")
    progress = root / "PROGRESS.md"
    progress.write_bytes(progress.read_bytes().replace(b"Kept.", b"Kept and staged."))
    git(root, "add", "PROGRESS.md")
    progress.write_bytes(progress.read_bytes().replace(b"Kept too.", b"Kept, not staged."))
    claude = root / "CLAUDE.md"
    claude.write_bytes(claude.read_bytes() + b"unstaged\n")
    assert world.go().exit_code == 0
    committed = git(root, "show", "HEAD:PROGRESS.md")
    assert "Train longer" in committed
    assert "staged" not in committed
    assert "unstaged" not in git(root, "show", "HEAD:CLAUDE.md")
    assert git(root, "diff", "--cached", "--name-only").split() == ["PROGRESS.md", "new.txt", "notes.txt"]
    staged = git(root, "diff", "--cached", "PROGRESS.md")
    assert "Kept and staged." in staged
    assert not [line for line in staged.splitlines() if "Train longer" in line and line[0] in "+-"]
    assert git(root, "diff", "--name-only").split() == ["CLAUDE.md", "PROGRESS.md", "notes.txt"]
    assert "+Kept, not staged." in git(root, "diff", "PROGRESS.md")
    assert git(root, "show", ":notes.txt") == "staged\n"


class Killed(BaseException):
    """What a kill looks like from inside: nothing is caught, nothing is cleaned up that matters."""


def kill_points(monkeypatch, at):
    """Die at the ``at``-th write of the process, counted over every kind of write a cycle makes."""
    count = iter(range(10_000))

    def wrap(module, name, after):
        real = getattr(module, name)

        def write(*given, **named):
            if not after and next(count) == at:
                raise Killed
            result = real(*given, **named)
            if after and next(count) == at:
                raise Killed
            return result

        monkeypatch.setattr(module, name, write)

    for after in (False, True):
        wrap(atomic, "_replace", after)
        wrap(history, "_append_line", after)
        wrap(state, "sync_folder", after)
        wrap(commit, "_update_index", after)
        wrap(commit, "_blob", after)
    real = commit._git

    def git_call(root, *arguments, **named):
        writes = arguments[0] in ("commit-tree", "update-ref", "write-tree")
        if writes and next(count) == at:
            raise Killed
        result = real(root, *arguments, **named)
        if writes and next(count) == at:
            raise Killed
        return result

    monkeypatch.setattr(commit, "_git", git_call)
    return count


def test_a_kill_at_every_write_resumes_to_the_same_end(tmp_path, monkeypatch):
    """The rejected release makes the cycle promote twice; a refused briefing lies about as well."""
    start = checkout(tmp_path / "start")
    (start / "artifacts" / "briefings").mkdir(parents=True)
    (start / "artifacts" / "briefings" / "bad.md").write_text("no briefing", encoding="utf-8")

    def run(root):
        world = World(root)
        world.verdicts["release"] = "rejected"
        return world.go(release=True)

    whole = tmp_path / "whole"
    shutil.copytree(start, whole)
    assert run(whole).exit_code == 0
    expected = kept(whole)
    points = 0
    for at in range(10_000):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(start, copy)
        with monkeypatch.context() as patch:
            kill_points(patch, at)
            try:
                run(copy)
            except Killed:
                points += 1
            else:
                break
        done = run(copy)
        assert done.exit_code == 0, (at, done.reason)
        assert kept(copy) == expected, at
        runs = [row["run_id"] for row in read(copy / "history.jsonl")[1:]]
        assert runs == [f"{RUN}-predeploy", f"{RUN}-release"], at
        assert git(copy, "log", "--format=%(trailers:key=Run-Id,valueonly)").split() == [RUN], at
        assert git(copy, "status", "--porcelain") == "", at
        assert (copy / "artifacts" / "briefings" / "quarantine" / "bad.md").exists()
        for line in (copy / "artifacts" / "cycles" / RUN / "events.jsonl").read_text(encoding="utf-8").splitlines():
            assert json.loads(line)["event"]
    print(f"{points} points")
    assert points > 80


def test_the_state_of_a_cycle_is_what_was_returned(world):
    done = world.go()
    assert load_state(world.memory().folder) == done
