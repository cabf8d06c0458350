"""A process and everything it starts, ended when time is up, when nothing happens, or when a person says stop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

End = Literal["ended", "wall", "idle", "stop", "not_started"]
_POLL_SECONDS = 0.1
GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class Watched:
    """How a process ended.

    Args:
        end: by itself (``ended``), or why it was ended.
        status: exit status, negative for a signal; None where it never started.
        seconds: it ran.
        said: what the system said when it could not be started.
    """

    end: End
    status: int | None
    seconds: float
    said: str = ""


def watch(
    argv: Sequence[str],
    *,
    cwd: Path,
    environment: Mapping[str, str],
    stdin: bytes,
    stdout: Path,
    stderr: Path,
    wall_s: float,
    idle_s: float,
    alive: Callable[[], object],
    stopped: Callable[[], bool],
    grace_s: float = GRACE_SECONDS,
) -> Watched:
    """Run a command in a process group of its own and see to its end.

    Whatever the command started and left behind is ended with it, also when it ended by itself: first asked (TERM),
    then, after ``grace_s``, killed.

    Args:
        argv: program and arguments; no shell.
        cwd: its folder.
        environment: all it sees.
        stdin: written and closed.
        stdout, stderr: files that take what it prints.
        wall_s: seconds in all.
        idle_s: seconds without a change of what it printed or of ``alive()``.
        alive: any value that changes while it works.
        stopped: whether a person says stop.
        grace_s: seconds between asking and killing.
    """
    begin = time.monotonic()
    with stdout.open("wb") as out, stderr.open("wb") as errors:
        try:
            child = subprocess.Popen(
                list(argv), cwd=cwd, env=dict(environment), stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=out, stderr=errors, **_own_group(),
            )  # fmt: skip
        except OSError as error:
            return Watched("not_started", None, 0.0, str(error))
        family: dict[int, Any] = {}
        try:
            _feed(child, stdin)
            end = _until_over(child, family, begin, stdout, stderr, wall_s, idle_s, alive, stopped)
        finally:
            _end_all(child, family, grace_s)
    return Watched(end, child.returncode, time.monotonic() - begin)


def _until_over(
    child: "subprocess.Popen[bytes]",
    family: dict[int, Any],
    begin: float,
    stdout: Path,
    stderr: Path,
    wall_s: float,
    idle_s: float,
    alive: Callable[[], object],
    stopped: Callable[[], bool],
) -> End:
    seen: object = None
    last = begin
    while True:
        with suppress(subprocess.TimeoutExpired):
            child.wait(timeout=_POLL_SECONDS)
            return "ended"
        # Seen while their parent lives: one that leaves the group and loses its parent cannot be found later.
        _find_family(child.pid, family)
        now = time.monotonic()
        if stopped():
            return "stop"
        if now - begin > wall_s:
            return "wall"
        sign = (stdout.stat().st_size, stderr.stat().st_size, alive())
        if sign != seen:
            seen, last = sign, now
        elif now - last > idle_s:
            return "idle"


def _own_group() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _feed(child: "subprocess.Popen[bytes]", data: bytes) -> None:
    if child.stdin is None:
        return
    import threading

    def write() -> None:
        # An agent that reads nothing must not hold the clocks; one that died has closed its end.
        with suppress(OSError):
            child.stdin.write(data)  # type: ignore[union-attr]
        with suppress(OSError):
            child.stdin.close()  # type: ignore[union-attr]

    threading.Thread(target=write, daemon=True).start()


def _end_all(child: "subprocess.Popen[bytes]", found: dict[int, Any], grace_s: float) -> None:
    import psutil

    _find_family(child.pid, found)
    family = list(found.values())
    # A group outlives its leader: what the agent left running is in it still.
    _signal_group(child.pid, signal.SIGTERM)
    for process in family:
        with suppress(psutil.Error):
            process.terminate()
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline and (child.poll() is None or _alive(family) or _group_alive(child.pid)):
        time.sleep(0.02)
    if sys.platform != "win32":
        _signal_group(child.pid, signal.SIGKILL)
    _find_family(child.pid, found)
    for process in found.values():
        with suppress(psutil.Error):
            process.kill()
    child.wait()


def _find_family(pid: int, found: dict[int, Any]) -> None:
    import psutil

    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            found.setdefault(process.pid, process)


def _alive(family: list[Any]) -> bool:
    import psutil

    def running(process: Any) -> bool:
        with suppress(psutil.Error):
            return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
        return False

    return any(running(process) for process in family)


def _group_alive(group: int) -> bool:
    if sys.platform == "win32":
        return False
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    return True


def _signal_group(group: int, number: int) -> None:
    if sys.platform != "win32":
        with suppress(OSError):
            os.killpg(group, number)
