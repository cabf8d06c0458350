"""From a fresh clone to a verdict by the one command of the README, and the same command again."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

from benchmarks.gate_command import GateCommand, run_gate_command
from benchmarks.readiness import missing_parts
from benchmarks.table import Line
from bootstrap import MARKER
from lifeos.errors import InputError
from lifeos.settings import load_project

FRESH, UNCHANGED = "fresh-clone", "unchanged"
# In this order in the table; what a clone takes in all, then its parts.
TARGET_SECONDS = {"in all": 360.0, "environment": 90.0, "training": 120.0, "sampling": 90.0, "the rest": 60.0}
UNCHANGED_TARGET_SECONDS = 6.0
_STEPS = {"training": "train", "sampling": "sample"}
_GIT_SECONDS = 300
# What would lead the clone's commands to this checkout, or pin what a fresh shell does not pin.
_LEFT_OUT = ("PYTHONPATH", "VIRTUAL_ENV", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def measure_clone(root: Path, names: Collection[str], *, packages_first: bool = False) -> list[Line]:
    """Clone the checkout's commit into a temporary folder with a space in its name and judge the demo persona there.

    Args:
        root: of this checkout; only what is committed is measured.
        names: which of ``FRESH`` and ``UNCHANGED`` to give lines for; the second needs the first run anyway.
        packages_first: make the environment once and throw it away before the clock starts, so that pip finds every
            package in its cache and downloads stay aside.
    """
    with tempfile.TemporaryDirectory(prefix="lifeos benchmark ", ignore_cleanup_errors=True) as folder:
        clone, history, artifacts = Path(folder) / "clone", Path(folder) / "history.jsonl", Path(folder) / "artifacts"
        problem = _prepare(root, clone, packages_first)
        if problem is not None:
            return _lines(names, GateCommand(0.0, "", {}, problem), None, None, "")
        command = [*_front_door(clone), "gate", "release"]
        started = time.time()
        first = run_gate_command(command, clone, _environment(), history_file=history, artifacts=artifacts)
        marker = clone / ".venv" / MARKER
        environment_seconds = marker.stat().st_mtime - started if marker.exists() else None
        second = None
        if UNCHANGED in names and first.problem is None:
            second = run_gate_command(command, clone, _environment(), history_file=history, artifacts=artifacts)
        pip = ("packages lay in pip's cache, if pip keeps one" if packages_first
               else "package downloads are part of it unless pip's cache holds them")  # fmt: skip
        return _lines(names, first, second, environment_seconds, pip)


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


def _lines(
    names: Collection[str], first: GateCommand, second: GateCommand | None, environment_seconds: float | None, pip: str
) -> list[Line]:
    lines = []
    notes = {"in all": f"verdict {first.verdict}, commit {_commit_of(first)}", "environment": pip}
    if FRESH in names:
        for part, seconds in parts_of(first, environment_seconds).items():
            measure, target = f"fresh clone to verdict, {part}", TARGET_SECONDS[part]
            reason = first.problem or (None if seconds is not None else f"verdict {first.verdict} without this step")
            value = None if reason else seconds
            lines.append(Line(FRESH, measure, value, "s", target, reason=reason, note="" if reason else
                              notes.get(part, "")))  # fmt: skip
    if UNCHANGED in names:
        lines.append(_unchanged_line(first, second))
    return lines


def _unchanged_line(first: GateCommand, second: GateCommand | None) -> Line:
    reason = first.problem or (second.problem if second else "the command did not run a second time")
    if reason is None and second is not None and not second.row.get("reused"):
        reason = "the second command trained or sampled again, so it measured something else"
    value = None if reason or second is None else second.seconds
    return Line(UNCHANGED, "the same command, nothing changed", value, "s", UNCHANGED_TARGET_SECONDS, reason=reason)


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


def _commit_of(command: GateCommand) -> str:
    return str((command.row.get("git") or {}).get("commit") or "unknown")[:10]
