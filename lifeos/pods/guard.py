"""A second process that stops the pod when the first one is killed: ``python -m lifeos.pods.guard``.

It reads its orders from standard input, one JSON object a line: ``{"stop": [...]}``, then ``{"group": N}`` once the
command runs, then ``{"done": true}`` when the first process has seen to everything itself. An end of the input without
the last means that the first process was killed: the command's process group is ended and the stop command, if there is
one, called.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from lifeos.pods.stop import say, stop_pod

GRACE_SECONDS = 30.0
_IGNORED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")


class Guard:
    """The first process's handle on the second."""

    def __init__(self, stop: Sequence[str], grace: float = GRACE_SECONDS) -> None:
        """Start the guard and hand it the stop command, through its input: a command line can be read by others."""
        root = str(Path(__file__).resolve().parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lifeos.pods.guard"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )  # fmt: skip
        self._order({"stop": list(stop), "grace": grace})

    def watch(self, group: int | None) -> None:
        """Tell which process group the command runs in; None once it has ended, as its number may be given away."""
        self._order({"group": group})

    def release(self) -> None:
        """Say that all is done, and wait for the guard to go."""
        self._order({"done": True})
        assert self._process.stdin is not None  # opened as a pipe
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        self._process.wait()

    def _order(self, order: dict[str, object]) -> None:
        assert self._process.stdin is not None  # opened as a pipe
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except OSError:
            say("the guard has gone: if this process is killed, nothing stops the pod")


def end_group(group: int, grace: float) -> None:
    """Ask a process group to end, and end it after ``grace`` seconds."""
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(group, number)
        except (ProcessLookupError, PermissionError):
            return
        until = time.monotonic() + patience
        while time.monotonic() < until:
            try:
                os.killpg(group, 0)
            except (ProcessLookupError, PermissionError):
                return
            time.sleep(0.05)


def follow(orders: IO[str]) -> int:
    """Follow the orders to their end; 0 when the first process saw to everything or the pod was stopped, else 1."""
    stop: list[str] = []
    group, grace = None, GRACE_SECONDS
    for line in orders:
        try:
            order = json.loads(line)
        except ValueError:
            continue  # the first process was killed in the middle of a line
        if order.get("done"):
            return 0
        stop, group, grace = order.get("stop", stop), order.get("group", group), order.get("grace", grace)
    say("the process that kept to the budget went without stopping the pod: seeing to it")
    if group is not None:
        end_group(int(group), float(grace))
    return 0 if not stop or stop_pod(stop) else 1


if __name__ == "__main__":
    for name in _IGNORED:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    sys.exit(follow(sys.stdin))
