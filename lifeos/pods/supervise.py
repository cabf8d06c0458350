"""Run a command on the pod, keep it to the time that the budget pays for, and stop the pod afterwards in any case."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lifeos.pods.guard import GRACE_SECONDS, Guard
from lifeos.pods.stop import say, stop_pod

EXIT_BUDGET, EXIT_NOT_STOPPED, EXIT_NOT_FOUND, EXIT_NOT_EXECUTABLE = 124, 3, 127, 126
STOP_SECONDS = 90.0
"""Time that stopping is granted within the budget."""
_POLL_SECONDS = 0.5
_DEAF_SECONDS = 10.0
_FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
_ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")


class Clock(Protocol):
    """Time as the supervisor sees it; tests bring their own."""

    def now(self) -> float:
        """Return seconds on a clock that never goes back."""

    def wait(self, process: "subprocess.Popen[Any]", seconds: float) -> int | None:
        """Wait up to ``seconds`` for a process; its exit status, or None while it runs."""


class RealClock:
    """The machine's clock; time in which it was suspended is paid for too and counts."""

    def now(self) -> float:
        """See ``Clock.now``."""
        if hasattr(time, "CLOCK_BOOTTIME"):
            return time.clock_gettime(time.CLOCK_BOOTTIME)
        return time.monotonic()

    def wait(self, process: "subprocess.Popen[Any]", seconds: float) -> int | None:
        """See ``Clock.wait``."""
        try:
            return process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            return None


@dataclass(frozen=True)
class Supervised:
    """How it ended: exit status of the whole, seconds it took, whether the budget ended it, whether the pod stops."""

    status: int
    seconds: float
    over_budget: bool
    stopped: bool | None


def least_seconds(grace: float = GRACE_SECONDS) -> float:
    """Return how long ending a command and stopping the pod may take; a budget that pays for less is refused."""
    return grace + STOP_SECONDS


def supervise(
    command: Sequence[str],
    *,
    limit: float,
    stop: Sequence[str],
    clock: Clock | None = None,
    grace: float = GRACE_SECONDS,
    stopper: Callable[[Sequence[str]], bool] = stop_pod,
) -> Supervised:
    """Run ``command`` until it ends or ``limit`` seconds would be over, then call the stop command.

    Signals that reach this process are passed on to the command's whole process group; its exit status is passed back
    (128 + N after signal N). The command is asked to end (SIGTERM) early enough for ``grace`` and for stopping to fit
    into the limit. Should this process itself be killed, a second one ends the command and stops the pod.

    Args:
        command: program and arguments; no shell.
        limit: seconds from now that are paid for; infinite for no limit.
        stop: the stop command, filled in; empty for none.
        clock: for tests.
        grace: seconds between asking the command to end and ending it.
        stopper: calls the stop command; for tests.

    Returns:
        ``status`` is the command's own; 124 when the budget ended it; 127 or 126 when it could not be started; 3 when
        the stop command failed, whatever else happened.
    """
    clock = clock or RealClock()
    started = clock.now()
    pending: list[int] = []
    before = _catch(pending)
    over = False
    guard = Guard(stop, grace)
    try:
        try:
            process = subprocess.Popen(list(command), start_new_session=True)
        except FileNotFoundError:
            say(f"{command[0]}: no such command")
            status = EXIT_NOT_FOUND
        except OSError as error:
            say(f"{command[0]}: cannot be started: {error.strerror}")
            status = EXIT_NOT_EXECUTABLE
        else:
            guard.watch(process.pid)
            status, over = _follow(process, clock, started + limit - STOP_SECONDS - grace, grace, pending)
            guard.watch(None)
    finally:
        # Signals stay caught until the pod is stopped: a second Ctrl-C must not leave it running.
        stopped = None
        try:
            if stop:
                stopped = stopper(stop)
        finally:
            # An unreleased guard tries to stop the pod once more when this process is gone.
            if stopped or not stop:
                guard.release()
            _restore(before)
    if stopped is False:
        status = EXIT_NOT_STOPPED
    return Supervised(status, clock.now() - started, over, stopped)


def _follow(
    process: "subprocess.Popen[Any]", clock: Clock, deadline: float, grace: float, pending: list[int]
) -> tuple[int, bool]:
    """Wait for a process and return its status and whether the deadline ended it."""
    try:
        return _wait(process, clock, deadline, grace, pending)
    finally:
        # Children that the command left behind would go on working, and be paid for if the pod is kept.
        _signal_group(process.pid, signal.SIGKILL)


def _wait(
    process: "subprocess.Popen[Any]", clock: Clock, deadline: float, grace: float, pending: list[int]
) -> tuple[int, bool]:
    over, kill_at = False, float("inf")
    while True:
        while pending:
            number = pending.pop(0)
            _signal_group(process.pid, number)
            if number in _numbers(_ENDING):
                kill_at = min(kill_at, clock.now() + grace)
        now = clock.now()
        if not over and now >= deadline:
            over, kill_at = True, min(kill_at, now + grace)
            say("the budget is used up: ending the command")
            _signal_group(process.pid, signal.SIGTERM)
        if now >= kill_at:
            _signal_group(process.pid, signal.SIGKILL)
        due = [moment for moment in (kill_at, deadline) if moment > now]
        code = clock.wait(process, min([_POLL_SECONDS, *(moment - now for moment in due)]))
        if code is not None:
            return (EXIT_BUDGET if over else 128 - code if code < 0 else code), over
        if now >= kill_at + _DEAF_SECONDS:
            say("the command does not even end when it is killed; going on without it")
            return (EXIT_BUDGET if over else 128 + signal.SIGKILL), over


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _numbers(names: Sequence[str]) -> set[int]:
    return {int(getattr(signal, name)) for name in names if hasattr(signal, name)}


def _catch(pending: list[int]) -> dict[int, Any]:
    """Collect signals instead of dying of them; one that was ignored from outside (nohup) stays ignored."""
    before: dict[int, Any] = {}
    for number in sorted(_numbers(_FORWARDED)):
        if signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, lambda caught, _frame: pending.append(caught))
    return before


def _restore(before: dict[int, Any]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)
