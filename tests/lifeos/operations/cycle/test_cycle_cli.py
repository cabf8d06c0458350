"""``run-full-cycle`` as a user meets it, with the rooms around the cycle in a test's hand."""

import itertools
import json
import shutil
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from filelock import FileLock

from lifeos import cli, settings
from lifeos.operations.cycle import cycle_cli, rooms
from lifeos.operations.cycle.state import all_states
from lifeos.operations.cycle.work import Work
from tests.lifeos.operations.cycle.world import World, checkout, git

DAY = ("--as-of", "2026-11-27")


@pytest.fixture
def world(tmp_path, monkeypatch):
    world = World(checkout(tmp_path / "check out"))
    shutil.copy(settings.project_root() / "lifeos.toml", world.root / "lifeos.toml")
    monkeypatch.setattr(settings, "project_root", lambda: world.root)

    def work_of(root, artifacts, history, persona, options, now):
        return Work(world.guard, world.agent, world.repeatable, world.gate, now)

    monkeypatch.setattr(rooms, "work_of", work_of)
    return world


@pytest.fixture
def run(world, capsys):
    def call(*arguments):
        history = ("--history", str(world.root / "history.jsonl"))
        code = cli.main(["run-full-cycle", *history, *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def reports(world):
    return sorted((world.root / "artifacts" / "cycles").glob("*/report.md"))


def test_a_cycle_says_each_stage_and_leaves_a_report(world, run):
    code, out, _ = run(*DAY)
    assert code == 0
    stages = [line.split()[0] for line in out.splitlines() if " done:" in line]
    assert stages == ["guard", "run", "validate", "promote", "eval", "commit"]
    [report] = reports(world)
    assert f"report: {report}" in out
    assert "**done** (exit 0)" in report.read_text(encoding="utf-8")


def test_json_holds_the_whole_state_alone_on_stdout(world, run):
    code, out, _ = run(*DAY, "--json", "--no-agent", "--release")
    answer = json.loads(out)
    assert (code, answer["schema"], answer["exit_code"]) == (0, "lifeos.cycle/1", 0)
    assert answer["options"] == {"adapter": "builtin", "agent": False, "release": True, "max_usd": None,
                                 "close_breaker": False}  # fmt: skip
    assert answer["stages"]["run"]["status"] == "skipped"
    assert list(answer["stages"]["eval"]["detail"]["gates"]) == ["cheap", "predeploy", "release"]


def test_a_dry_run_writes_nothing(world, run):
    before = git(world.root, "status", "--porcelain", "--ignored")
    code, out, _ = run(*DAY, "--dry-run")
    assert code == 0
    assert "nothing was written" in out
    assert git(world.root, "status", "--porcelain", "--ignored") == before
    assert "agent" not in world.calls
    world.problems = ("control_plane: too large",)
    code, out, _ = run(*DAY, "--dry-run", "--json")
    assert (code, json.loads(out)["guard"]) == (10, ["control_plane: too large"])
    world.problems = ()
    (world.root / "STOP").write_text("", encoding="utf-8")
    assert run(*DAY, "--dry-run")[0] == 70


def test_going_on_after_a_stage_by_id_and_by_latest(world, run):
    code, out, _ = run(*DAY, "--stage", "promote", "--json")
    answer = json.loads(out)
    assert (code, answer["reason"]) == (0, "stopped after stage promote, as asked")
    code, out, _ = run("--resume", answer["run"], "--json")
    assert (code, json.loads(out)["stages"]["commit"]["status"]) == (0, "done")
    assert run("--resume", "latest")[0] == 0
    assert world.calls.count("agent") == 1
    assert len(reports(world)) == 1


def test_a_failed_cycle_is_reported_and_resumed_with_its_own_options(world, run):
    world.verdicts["cheap"] = "rejected"
    code, out, _ = run(*DAY, "--no-agent")
    assert code == 40
    assert "eval      failed: cheap gates rejected: cheap_gate" in out
    assert "**stopped by the gates** (exit 40)" in reports(world)[0].read_text(encoding="utf-8")
    world.verdicts["cheap"] = "approved"
    code, _, _ = run("--resume", "latest")
    assert code == 0
    assert "agent" not in world.calls


def test_a_second_cycle_waits_for_nobody_and_leaves_its_report(world, run):
    (world.root / "artifacts").mkdir()
    with FileLock(str(world.root / "artifacts" / "cycle.lock")):
        code, out, _ = run(*DAY)
    assert code == 60
    assert "another cycle runs" in out
    assert "another cycle holds the lock" in reports(world)[0].read_text(encoding="utf-8")
    assert world.calls == []
    assert all_states(world.root / "artifacts") == []


def test_two_failures_alike_open_the_breaker_until_it_is_closed(world, run):
    world.outcome, world.exit_code = "crashed", 20
    assert [run(*DAY)[0] for _ in range(3)] == [20, 20, 10]
    assert world.calls.count("agent") == 2
    _, out, _ = run(*DAY)
    assert "circuit breaker: the last 2 cycles failed alike" in out
    world.outcome = "ok"
    assert run(*DAY, "--close-breaker")[0] == 0
    assert run(*DAY)[0] == 0


def test_cycles_of_one_second_keep_their_order_whatever_their_ids_are(world, run, monkeypatch):
    start, ids = datetime(2026, 11, 27, 9, tzinfo=UTC), iter(range(9, 0, -1))
    times = (start + timedelta(microseconds=step) for step in itertools.count())
    monkeypatch.setattr(cycle_cli, "_now", lambda: next(times))
    monkeypatch.setattr(cycle_cli.uuid, "uuid4", lambda: SimpleNamespace(hex=f"{next(ids):08d}"))
    world.outcome, world.exit_code = "crashed", 20
    assert [run(*DAY)[0] for _ in range(3)] == [20, 20, 10]
    world.outcome = "ok"
    assert [run(*DAY, "--close-breaker")[0], run(*DAY)[0]] == [0, 0]
    ran = [state.run for state in all_states(world.root / "artifacts")]
    assert ran == [f"cycle-20261127t090000-{number:08d}" for number in range(9, 4, -1)]


def test_an_error_of_the_program_leaves_a_report_too(world, run):
    def broken(phase, name):
        raise RuntimeError("a room fell down")

    world.gate = broken
    code, _, err = run(*DAY)
    assert code == 3
    assert "a room fell down" in err
    text = reports(world)[0].read_text(encoding="utf-8")
    assert "did not come to its end" in text
    assert "| promote | done |" in text
    del world.gate
    assert run("--resume", "latest")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--stage", "party"], "--stage: accepted guard, run"),
        (["--resume", "cycle-9"], "--resume: accepted a cycle"),
        (["--resume", "latest"], "--resume: accepted a cycle"),
        (["--as-of", "soon"], "--as-of: accepted a date"),
        (["--max-usd", "-1"], "max-usd"),
    ],
)
def test_wrong_words_are_one_line_and_exit_2(world, run, arguments, said):
    code, _, err = run(*arguments)
    assert code == 2
    assert said in err
    assert err.count("\n") == 1
    assert world.calls == []
