"""Commands of the front desk that people wait for, each as a whole process."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.comparison import Context, Pair, UnmeasuredError, in_turn
from lifeos.child import child_environment

_TIMEOUT_SECONDS = 300
_NOTHING = ("-c", "pass")
_ONE_TEST = "def test_nothing():\n    pass\n"


def help_pair(context: Context, number: int) -> Pair:
    """Time ``lifeos --help`` against an interpreter that does nothing."""
    return _pair(context, number, ("-m", "lifeos", "--help"), _NOTHING)


def cheap_pair(context: Context, number: int) -> Pair:
    """Time ``pytest -m cheap`` against pytest with one empty test, with the settings of the same ``pytest.ini``."""
    test = context.folder / "test_nothing.py"
    test.write_text(_ONE_TEST, encoding="utf-8")
    empty = ("-m", "pytest", f"--config-file={context.checkout / 'pytest.ini'}", str(test))
    return _pair(context, number, ("-m", "pytest", "-m", "cheap"), empty)


def preflight_pair(context: Context, number: int) -> Pair:
    """Time ``lifeos preflight`` against an interpreter that does nothing; counts only when every guardrail passes."""
    return _pair(context, number, ("-m", "lifeos", "preflight"), _NOTHING)


def status_pair(context: Context, number: int) -> Pair:
    """Time ``lifeos status`` against an interpreter that does nothing."""
    return _pair(context, number, ("-m", "lifeos", "status"), _NOTHING)


def command_seconds(context: Context, arguments: Sequence[str]) -> float:
    """Return the wall time of ``python ARGUMENTS`` in the measured checkout.

    Raises:
        UnmeasuredError: it ended with a status other than 0: what fails early is quick for the wrong reason.
        subprocess.TimeoutExpired: it ran past 300 s.
    """
    environment = child_environment() | {"PYTHONPATH": str(context.checkout)}
    # All cores, as for any child here, unless the caller said that other work shares the machine.
    environment |= {name: value for name, value in os.environ.items() if name == "OMP_NUM_THREADS"}
    started = time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], cwd=context.checkout, env=environment, capture_output=True,
                          check=False, timeout=_TIMEOUT_SECONDS)  # fmt: skip
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        last = (done.stdout + b"\n" + done.stderr).decode("utf-8", "replace").strip().splitlines()[-1:]
        raise UnmeasuredError(f"{' '.join(arguments[:3])} ended with status {done.returncode}: {' '.join(last)}")
    return seconds


def _pair(context: Context, number: int, ours: Sequence[str], alternative: Sequence[str]) -> Pair:
    return Pair(*in_turn(lambda: command_seconds(context, ours), lambda: command_seconds(context, alternative), number))
