"""``lifeos gate`` end to end with a simulated engine: verdicts, rows, workers, kills."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from evals import history
from evals.content_hash import hash_file
from lifeos.errors import InputError
from lifeos.runner import GateRunError, run_gate
from lifeos.settings import project_root
from tests.lifeos import simulated_release as simulation

NOW = datetime(2026, 11, 23, 20, 29, tzinfo=UTC)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made once")
    simulation.make_persona(folder)
    return folder


@pytest.fixture
def folder(made_once, tmp_path):
    """A persona of one's own; base and face models are shared."""
    shutil.copytree(made_once / "persona one", tmp_path / "persona one")
    return tmp_path


def options(folder, **more):
    given = {
        "persona": str(folder / "persona one"),
        "history": str(folder / "history.jsonl"),
        "artifacts": str(folder / "artifacts"),
    }
    if not (folder / "persona one").exists():
        del given["persona"]
    return {**given, **{name: str(value) for name, value in more.items()}}


def run(folder, *pytest_args, phase="release", gates=None, manifest=None, record=False, **more):
    return run_gate(
        phase,
        options(folder, **more),
        now=lambda: NOW,
        engine=simulation.NAME,
        pytest_args=pytest_args,
        gates=gates,
        manifest=manifest,
        record=record,
    )


def rows(folder):
    return history.read(folder / "history.jsonl")


def work(folder):
    path = folder / "artifacts" / "work.log"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_a_row_says_where_its_images_are_how_it_was_chosen_and_what_was_decided(folder):
    chosen = simulation.write_lora(folder / "v3.safetensors", identity=1)
    older = simulation.write_lora(folder / "v2.safetensors", identity=1, spread=0.42)
    candidates = [{"lora": hash_file(path), "strength": 1.0} for path in (older, chosen)]
    selection = {"schema": "lifeos.selection/1", "id": "20261123T080000Z-aaaaaaaa", "time": "2026-11-23T08:00:00Z",
                 "persona": "one", "kind": "checkpoint", "of": 2, "set": "A", "optimism": 0.01, "chosen": 1,
                 "candidates": candidates}  # fmt: skip
    history.append(folder / "history.jsonl", selection)
    run(folder, lora=chosen, champion=older)
    row = rows(folder)[-1]
    assert (folder / "artifacts" / "runs" / row["release"] / "metrics.jsonl").is_file()
    assert (row["selection"]["of"], row["selection"]["row"], row["selection"]["chosen"]) == (2, selection["id"], True)
    assert row["champion"]["lora"] == hash_file(older)
    assert row["champion"]["decision"]["verdict"] == "approve"
    assert row["champion"]["decision"]["power"]["difference"] == 0.03


def test_approved_then_reused_then_narrowed(folder):
    first = run(folder, "-n", "2")
    assert (first.verdict, first.exit_code) == ("approved", 0), [r.to_json() for r in first.results]
    assert len(work(folder)) == simulation.STEPS + simulation.CONTROLS + 24
    (row,) = rows(folder)
    assert row["id"] == first.row
    assert (row["reused"], row["narrowed"], row["verdict"]) == (False, False, "approved")
    assert row["environment"]["source"] == "simulation"
    assert row["gates"] == first.to_json()["gates"]

    again = run(folder)
    assert again.verdict == "approved"
    assert len(work(folder)) == simulation.STEPS + simulation.CONTROLS + 24
    assert [row["reused"] for row in rows(folder)] == [False, True]

    narrowed = run(folder, "-k", "likeness")
    assert (narrowed.verdict, narrowed.exit_code) == ("not_evaluated", 2)
    assert "-k likeness" in narrowed.narrowed
    assert rows(folder)[-1]["narrowed"] is True
    assert run(folder, "-k", "test_").exit_code == 2
    assert history.verify(folder / "history.jsonl").problems == ()


def test_rejected_and_the_json_to_the_letter(folder):
    lora = simulation.write_lora(folder / "other.safetensors", identity=2)
    result = run(folder, lora=lora)
    assert (result.verdict, result.exit_code) == ("rejected", 1)
    body = result.to_json()
    assert list(body) == ["schema", "phase", "verdict", "row", "gates"]
    assert body["schema"] == "lifeos.gate/1"
    for gate in body["gates"]:
        assert list(gate) == [
            "id", "severity", "verdict", "reason", "value", "interval", "threshold", "threshold_source",
        ]  # fmt: skip
    by_id = {gate["id"]: gate for gate in body["gates"]}
    assert by_id["likeness"]["verdict"] == "failed"
    assert by_id["likeness"]["threshold_source"] == "calibration:tau"
    assert by_id["champion"]["verdict"] == "not_applicable"


def test_a_broken_training_is_tried_once_and_never_approved(folder):
    simulation.write_recipe(folder / "persona one", broken=True)
    result = run(folder, "-n", "2")
    assert (result.verdict, result.exit_code) == ("not_evaluated", 2)
    assert "the optimizer broke" in result.results[0].verdict.reason
    (log,) = (folder / "artifacts" / "runs").glob("release-*/child.log")
    assert log.read_text(encoding="utf-8").count("RuntimeError: the optimizer broke") == 1


def test_usage_errors(folder):
    with pytest.raises(InputError, match="phase: accepted"):
        run(folder, phase="sometime")
    with pytest.raises(InputError, match="--lora"):
        run(folder, lora=folder / "none.safetensors")
    with pytest.raises(InputError, match="after --"):
        run(folder, "--no-such-option")
    assert not (folder / "history.jsonl").exists()


GATES = """
import os
import pytest
from evals.verdict import failed, passed

pytestmark = pytest.mark.cheap

def test_one(gate):
    {one}

def test_two(gate):
    gate({two})
"""
MANIFEST = """
[[gate]]
id = "one"
phases = ["cheap"]
severity = "hard"
proves = "one"
[[gate]]
id = "two"
phases = ["cheap"]
severity = "{severity}"
proves = "two"
"""


def made(folder, one="gate(passed('fine'))", two="passed('fine')", severity="hard", extra=""):
    gates = folder / "gates"
    gates.mkdir()
    (gates / "gate_made.py").write_text(GATES.format(one=one, two=two) + extra, encoding="utf-8")
    manifest = folder / "manifest.toml"
    manifest.write_text(MANIFEST.format(severity=severity), encoding="utf-8")
    return {"phase": "cheap", "gates": gates, "manifest": manifest}


@pytest.mark.parametrize(
    ("made_of", "code"),
    [
        ({}, 0),
        ({"two": "failed('bad')"}, 1),
        ({"two": "failed('bad')", "severity": "soft"}, 0),
        ({"one": "pytest.skip('no time')"}, 2),
        ({"one": "pytest.xfail('known')"}, 2),
        ({"one": "pass"}, 2),
        ({"one": "raise KeyError('x')"}, 2),
        ({"one": "raise KeyError('x')", "two": "failed('bad')"}, 1),
        ({"one": "gate(passed('a')); gate(passed('b'))"}, 2),
        ({"one": "gate(passed('x', float('nan')))"}, 2),
    ],
)
def test_exit_status_of_made_up_gates(tmp_path, made_of, code):
    assert run(tmp_path, **made(tmp_path, **made_of), record=False).exit_code == code


def test_cheap_is_recorded_only_when_asked(tmp_path):
    house = made(tmp_path)
    assert run(tmp_path, **house).row is None
    assert not (tmp_path / "history.jsonl").exists()
    assert run(tmp_path, **house, record=True).row == rows(tmp_path)[0]["id"]


def test_a_crash_is_an_internal_error_and_no_row(tmp_path):
    with pytest.raises(GateRunError, match="crashed") as caught:
        run(tmp_path, **made(tmp_path, one="os._exit(137)"), record=True)
    assert caught.value.exit_code == 3
    assert not (tmp_path / "history.jsonl").exists()


def test_a_gate_file_that_cannot_be_loaded(tmp_path):
    with pytest.raises(GateRunError, match=r"gate_made\.py"):
        run(tmp_path, **made(tmp_path, extra="\nimport no_such_module\n"))


def test_an_interrupt(tmp_path):
    with pytest.raises(GateRunError) as caught:
        run(tmp_path, **made(tmp_path, one="raise KeyboardInterrupt"))
    assert caught.value.exit_code == 130


def killed(folder, when, seconds=60.0):
    """Start the command in a process of its own and kill it once ``when()`` holds."""
    code = (
        "import sys, pathlib; from tests.lifeos.test_runner import run; "
        "result = run(pathlib.Path(sys.argv[1])); sys.exit(result.exit_code)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=project_root())
    end = time.monotonic() + seconds
    while not when() and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert process.poll() is None, "it ended before it could be killed"
    process.kill()
    process.wait()
    if os.name != "nt":
        assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("line", ["train 5", "sample B03 1"])
def test_killed_while_training_or_sampling_goes_on_and_repeats_nothing(folder, line):
    simulation.write_recipe(folder / "persona one", pause=0.08)
    killed(folder, lambda: line in work(folder))
    assert not (folder / "history.jsonl").exists()
    result = run(folder)
    assert result.verdict == "approved"
    assert result.resumed
    done = work(folder)
    # The step that was under way may be repeated when the kill fell between the work and its checkpoint.
    assert len(done) - len(set(done)) <= 1
    assert len(set(done)) == simulation.STEPS + simulation.CONTROLS + 24
    (row,) = rows(folder)
    assert row["reused"] is False


def test_killed_after_the_row_was_written_appends_no_second(folder, monkeypatch):
    first = run(folder)
    (row,) = rows(folder)
    # What a kill between the append and the end of the command leaves: the open run.
    invocations = folder / "artifacts" / "invocations"
    (lock,) = invocations.glob("*.lock")
    lock.with_suffix(".json").write_text(json.dumps({"run": row["run_id"], "started": "x"}), encoding="utf-8")
    again = run(folder)
    assert again.row == first.row
    assert len(rows(folder)) == 1
    assert run(folder).row != first.row
    assert len(rows(folder)) == 2


def test_killed_while_appending_leaves_a_whole_row_or_none(folder):
    run(folder)
    path = folder / "history.jsonl"
    whole = path.read_bytes()
    invocations = folder / "artifacts" / "invocations"
    (lock,) = invocations.glob("*.lock")
    lock.with_suffix(".json").write_text(json.dumps({"run": "torn-run", "started": "x"}), encoding="utf-8")
    path.write_bytes(whole + whole[:200])
    run(folder)
    assert [row["run_id"] for row in rows(folder)][1:] == ["torn-run"]
    assert history.verify(path).problems == ()


def test_a_callers_own_run_records_one_row_however_often_it_is_asked(tmp_path):
    given = made(tmp_path)
    phase = given.pop("phase")

    def ask(name):
        return run_gate(phase, options(tmp_path), now=lambda: NOW, record=True, run_id=name, **given)

    first, again, other = ask("cycle-1-cheap"), ask("cycle-1-cheap"), ask("cycle-2-cheap")
    assert first.row == again.row
    assert first.row != other.row
    assert [row["run_id"] for row in rows(tmp_path)] == ["cycle-1-cheap", "cycle-2-cheap"]
