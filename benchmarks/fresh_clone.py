"""From a fresh clone to a verdict by the one command of the README, and the same command again."""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from benchmarks.comparison import Context, Pair, UnmeasuredError
from benchmarks.gate_command import GateCommand, run_gate_command
from benchmarks.readiness import missing_parts
from bootstrap import MARKER
from lifeos.errors import InputError
from lifeos.settings import load_project

_STEPS = {"training": "train", "sampling": "sample"}
_GIT_SECONDS = 300
# What would lead the clone's commands to this checkout, or pin what a fresh shell does not pin.
_LEFT_OUT = ("PYTHONPATH", "VIRTUAL_ENV", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class CloneRun:
    """Both commands in one clone.

    Args:
        parts: seconds by part: ``in all``, ``environment``, ``training``, ``sampling``, ``the rest``; None: unknown.
        second: the same command again.
        problem: why nothing was measured; None when the first command reached a verdict.
    """

    parts: dict[str, float | None]
    second: GateCommand | None
    problem: str | None


def unchanged_pair(context: Context, number: int) -> Pair:
    """Return the seconds of the same command again in that clone, and of the first.

    Raises:
        UnmeasuredError: it trained or sampled again, so it measured something else.
    """
    ran = _clone(context.root, context.packages_first, number)
    seconds = second_seconds(ran)
    return Pair(seconds, ran.parts["in all"])


def second_seconds(ran: CloneRun) -> float:
    """Return the seconds of the second command.

    Raises:
        UnmeasuredError: it reached no verdict, or made something anew.
    """
    if ran.problem is not None or ran.second is None:
        raise UnmeasuredError(ran.problem or "the command did not run a second time")
    if ran.second.problem is not None:
        raise UnmeasuredError(ran.second.problem)
    if not ran.second.row.get("reused"):
        raise UnmeasuredError("the second command trained or sampled again, so it measured something else")
    return ran.second.seconds


def _part(part: str, context: Context, number: int) -> Pair:
    """Return the seconds of a part of a fresh clone's way to its verdict; the clone itself is not timed."""
    ran = _clone(context.root, context.packages_first, number)
    if ran.problem is not None:
        raise UnmeasuredError(ran.problem)
    seconds = ran.parts[part]
    if seconds is None:
        raise UnmeasuredError("the verdict came without this step")
    return Pair(seconds)


whole_pair, environment_pair = partial(_part, "in all"), partial(_part, "environment")
# With the import of torch.
training_pair, sampling_pair = partial(_part, "training"), partial(_part, "sampling")
# Start-up, weights, faces, metrics, verdicts, images rendered twice, the record.
rest_pair = partial(_part, "the rest")


@cache
def _clone(root: Path, packages_first: bool, number: int) -> CloneRun:
    """Clone the checkout's commit into a folder with a space in its name and judge the demo persona there, twice.

    Once a number: the rows of a table are parts of the same runs. With ``packages_first`` the environment is made once
    and thrown away before the clock starts, so that pip finds every package in its cache.
    """
    with tempfile.TemporaryDirectory(prefix="lifeos benchmark ", ignore_cleanup_errors=True) as folder:
        clone, history, artifacts = Path(folder) / "clone", Path(folder) / "history.jsonl", Path(folder) / "artifacts"
        problem = _prepare(root, clone, packages_first)
        if problem is not None:
            return CloneRun({}, None, problem)
        command = [*_front_door(clone), "gate", "release"]
        started = time.time()
        first = run_gate_command(command, clone, _environment(), history_file=history, artifacts=artifacts)
        marker = clone / ".venv" / MARKER
        environment_seconds = marker.stat().st_mtime - started if marker.exists() else None
        second = None
        if first.problem is None:
            second = run_gate_command(command, clone, _environment(), history_file=history, artifacts=artifacts)
        return CloneRun(parts_of(first, environment_seconds), second, first.problem)


def parts_of(first: GateCommand, environment_seconds: float | None) -> dict[str, float | None]:
    """Return the seconds of each part, in the table's order; None for a part that did not happen.

    Args:
        first: the first command in the clone.
        environment_seconds: from its start to the finished environment.
    """
    parts: dict[str, float | None] = {"in all": first.seconds, "environment": environment_seconds}
    parts |= {part: first.duration(step) for part, step in _STEPS.items()}
    known = [seconds for part, seconds in parts.items() if part != "in all"]
    # With a part unknown, the rest would hide it.
    parts["the rest"] = None if None in known else first.seconds - sum(seconds or 0.0 for seconds in known)
    return parts


def _prepare(root: Path, clone: Path, packages_first: bool) -> str | None:
    try:
        subprocess.run(["git", "clone", "--quiet", str(root), str(clone)], capture_output=True, check=True,
                       timeout=_GIT_SECONDS)  # fmt: skip
        persona = load_project(clone).path("persona")
    except subprocess.CalledProcessError as error:
        return f"git clone failed: {error.stderr.decode('utf-8', 'replace').strip()[:200]}"
    except (OSError, subprocess.TimeoutExpired, InputError) as error:
        return f"git clone failed: {error}"
    missing = missing_parts(persona, clone)
    if missing is not None:
        return f"in the commit that was cloned: {missing.replace(str(clone), '.')}"
    if packages_first:
        import shutil

        done = subprocess.run([*_front_door(clone), "--help"], cwd=clone, env=_environment(), capture_output=True,
                              check=False)  # fmt: skip
        if done.returncode != 0:
            return f"the environment could not be made: {done.stderr.decode('utf-8', 'replace').strip()[-200:]}"
        shutil.rmtree(clone / ".venv")
    return None


def _front_door(clone: Path) -> list[str]:
    return [str(clone / ("lifeos.cmd" if sys.platform == "win32" else "lifeos.sh"))]


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
