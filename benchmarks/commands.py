"""Commands of the front desk that people wait for: ``lifeos --help`` and ``pytest -m cheap``."""

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.table import Line
from lifeos.child import child_environment

HELP_TARGET_SECONDS = 0.3
CHEAP_TARGET_SECONDS = 2.0
_TIMEOUT_SECONDS = 300


def measure_help(root: Path, repetitions: int = 9) -> list[Line]:
    """Time ``lifeos --help`` in the environment of this process."""
    arguments = [sys.executable, "-m", "lifeos", "--help"]
    return [command_line("help", "lifeos --help", arguments, root, repetitions, HELP_TARGET_SECONDS)]


def measure_cheap(root: Path, repetitions: int = 5) -> list[Line]:
    """Time ``pytest -m cheap`` in the environment of this process."""
    arguments = [sys.executable, "-m", "pytest", "-m", "cheap"]
    return [command_line("cheap", "pytest -m cheap", arguments, root, repetitions, CHEAP_TARGET_SECONDS)]


def command_line(
    benchmark: str, measure: str, arguments: Sequence[str], root: Path, repetitions: int, target: float
) -> Line:  # fmt: skip
    """Time a command as a whole process: the median of some runs after one that is not counted."""
    seconds = []
    # One run more than is counted: the first may write byte code and the gates' caches.
    for _ in range(repetitions + 1):
        started = time.perf_counter()
        try:
            done = subprocess.run(arguments, cwd=root, env=child_environment(), capture_output=True, check=False,
                                  timeout=_TIMEOUT_SECONDS)  # fmt: skip
        except subprocess.TimeoutExpired:
            return Line(benchmark, measure, None, "s", target, reason=f"ran past {_TIMEOUT_SECONDS} s")
        seconds.append(time.perf_counter() - started)
        if done.returncode != 0:
            # What fails early is quick for the wrong reason.
            last = (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace").strip().splitlines()[-1:]
            reason = f"it ended with status {done.returncode}: {' '.join(last)[:200]}"
            return Line(benchmark, measure, None, "s", target, reason=reason)
    first, counted = seconds[0], seconds[1:]
    note = (f"median of {repetitions} runs, {min(counted):.2f} to {max(counted):.2f} s; "
            f"the first, not counted, took {first:.2f} s")  # fmt: skip
    return Line(benchmark, measure, statistics.median(counted), "s", target, note=note)
