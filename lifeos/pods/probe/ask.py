"""Asks one probe in a child process of its own: bounded in time, ended with everything it started.

``lifeos.child`` is not used here: it gives equal requests one remembered result, and a probe must look again each time.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.verdict import Outcome, Verdict, failed, not_evaluated, passed
from lifeos.child import child_environment
from lifeos.pods.probe.notices import Notice, blocking_notice, told_notices

CHILD_MODULE = "lifeos.pods.probe.child"
_OUTPUT_BYTES = 200_000
# An extension that does not fit ends the process in one of these; any other signal came from outside.
_CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE")


@dataclass(frozen=True)
class Answer:
    """What came back from a probe.

    Args:
        subject: name of the probe.
        body: its findings; None when it ended without any.
        ending: how it ended without findings, e.g. ``"was ended by SIGSEGV"``; None when there is a body.
        crashed: True when it ended of itself, by a signal; False when it was ended from outside or at its time limit.
        notices: warnings it raised and lines it wrote, in order.
    """

    subject: str
    body: dict[str, Any] | None
    ending: str | None = None
    crashed: bool = False
    notices: tuple[str, ...] = ()


Ask = Callable[[str, dict[str, Any], float], Answer]
"""``ask(subject, request, seconds)``; tests put a simulated pod in its place."""


def ask(subject: str, request: dict[str, Any], seconds: float, module: str = CHILD_MODULE) -> Answer:
    """Run one probe in a child process and return what it found.

    Args:
        subject: name of the probe.
        request: JSON handed to it.
        seconds: wall-clock limit; past it the child and all its descendants are killed.
        module: entry of the child, run with ``-m``.
    """
    with tempfile.TemporaryDirectory(prefix="lifeos-probe-") as name:
        folder = Path(name)
        (folder / "request.json").write_text(json.dumps({"subject": subject, **request}), encoding="utf-8")
        with (folder / "output.log").open("wb") as output:
            code = _run([sys.executable, "-m", module, str(folder)], output, seconds)
        written = (folder / "output.log").read_bytes()[-_OUTPUT_BYTES:].decode("utf-8", errors="replace")
        body = _read(folder / "answer.json")
        notices = [str(text) for text in (body or {}).pop("notices", [])]
        notices += [line.strip() for line in written.splitlines() if line.strip()]
        if body is not None:
            return Answer(subject, body, notices=tuple(notices))
        stage = _stage(folder / "stage")
        ending, crashed = _ending(code, seconds)
        return Answer(subject, None, f"{ending}{stage}", crashed, tuple(notices))


def judge(answer: Answer, check: Callable[[dict[str, Any]], Verdict]) -> Verdict:
    """Return the verdict over an answer; what no probe needs to think of is decided here.

    A notice that matters, a crash and an error fail; a probe that ran out of time or was ended from outside is not
    evaluated; only then is ``check`` asked. Warnings that no row lists are counted in the reason of a pass.

    Args:
        answer: what the probe gave.
        check: judges its findings.
    """
    if answer.body is None:
        last = f": {answer.notices[-1][:200]}" if answer.notices else ""
        reason = f"the probe {answer.subject} {answer.ending}{last}"
        if (blocking := blocking_notice(answer.notices)) is not None:
            return _noticed(*blocking)
        return failed(reason) if answer.crashed else not_evaluated(reason)
    if (error := answer.body.get("error")) is not None:
        blocking = blocking_notice([str(error), *answer.notices])
        return failed(f"{error}" if blocking is None else f"{error}: {blocking[0].reason} [{blocking[0].id}]")
    if (blocking := blocking_notice(answer.notices)) is not None:
        return _noticed(*blocking)
    try:
        verdict = check(answer.body)
    except (KeyError, TypeError, ValueError) as error:
        return not_evaluated(f"the probe {answer.subject} gave an answer that cannot be read: {error!r}")
    told = told_notices(answer.notices)
    if verdict.outcome is Outcome.PASSED and told:
        return passed(f"{verdict.reason}; {told}", verdict.value, verdict.interval, verdict.threshold,
                      verdict.threshold_source)  # fmt: skip
    return verdict


def _noticed(notice: Notice, text: str) -> Verdict:
    return failed(f"{notice.reason} [{notice.id}]: {text[:200]}")


def _run(arguments: list[str], output: Any, seconds: float) -> int | None:
    """Return the exit status, None when the time ran out."""
    own_group: dict[str, Any] = {"start_new_session": True} if os.name == "posix" else {}
    child = subprocess.Popen(
        arguments, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, env=child_environment(), **own_group
    )
    try:
        return child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end(child)


def _end(child: "subprocess.Popen[bytes]") -> None:
    # The group outlives its leader: what the probe started and left behind goes with it.
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    elif child.poll() is None:
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(child.pid)], capture_output=True, check=False)
    child.wait()
    if child.stdin is not None:
        child.stdin.close()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return body if isinstance(body, dict) else None


def _stage(path: Path) -> str:
    try:
        return f" at {path.read_text(encoding='utf-8')}"
    except OSError:
        return ""


def _ending(code: int | None, seconds: float) -> tuple[str, bool]:
    if code is None:
        return f"gave no answer within {seconds:.0f} s and was ended", False
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"was ended by {name}", name in _CRASHES
    return f"ended with status {code} and no answer", False
