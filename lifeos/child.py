"""The one child process that does what is heavy: once for equal inputs, however many processes ask.

Releases, training and sampling all start it here. Whoever comes first holds the run folder's lock and starts the child;
the others sleep on the lock and read its result. Children of one data folder work one after another, with all cores.
A failure is remembered for the attempt (one command, all its workers): the next command tries again.
"""

import json
import math
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evals.atomic import write_json
from evals.content_hash import hash_json
from lifeos.errors import InputError
from lifeos.orphan import end_with_parent
from lifeos.progress import Progress, show_new
from lifeos.settings import project_root

REQUEST, RESULT, FAILURE, LOG, PROGRESS = "request.json", "result.json", "failure.json", "child.log", "progress.jsonl"
_INPUT_ERROR_EXIT = 2
_POLL_SECONDS = 0.2
# A test runner pins its workers to one thread; the child has all cores.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
OFFLINE = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1",
           "HF_HUB_DISABLE_TELEMETRY": "1"}  # fmt: skip
"""Environment of whatever loads a base: no network for model hubs."""


class ChildFailedError(InputError):
    """The child ended without a result; the message is its own reason, or says how it ended and what to do next."""


class ChildLostError(ChildFailedError):
    """The child was ended without a word of its own: by the system, by somebody, or at its limit."""


def read_result(folder: Path) -> dict[str, Any] | None:
    """Return the result in a run folder, or None when there is none or its bytes are not what was written."""
    try:
        stored = json.loads((Path(folder) / RESULT).read_text(encoding="utf-8"))
        body = stored["result"]
        return body if isinstance(body, dict) and hash_json(body) == stored["sha256"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def obtain(
    folder: Path,
    module: str,
    request: dict[str, Any],
    attempt: str | None,
    *,
    timeout_seconds: float | None = None,
    known: Callable[[], dict[str, Any] | None] | None = None,
    progress: Progress | None = None,
    grace_seconds: float = 0.0,
) -> dict[str, Any]:
    """Return the result of ``request``, made by ``python -m module FOLDER`` in a child unless it lies there already.

    Args:
        folder: run folder, named after the content hash of the inputs.
        module: module with a ``child_main`` entry, run with ``-m``.
        request: JSON that the child reads; ``artifacts`` is the data folder in which one child works at a time.
        attempt: name of this command; processes of one attempt share one failure. None: this call shares with none.
        timeout_seconds: wall-clock limit of the child, its wait for another child included; None for no limit.
        known: returns the result when there is nothing left to do, else None; asked with and without the lock. Needed
            where what was made may go while the run folder stays; default: the result in the run folder.
        progress: is told what the child writes to ``request["progress"]``, which then is a file in the run folder.
        grace_seconds: what the child has, where this call is interrupted, to end what it started on other machines.

    Raises:
        ChildFailedError: the child failed in this attempt, was killed, or ran past the limit.
    """
    from filelock import FileLock

    folder, attempt = Path(folder).absolute(), attempt or uuid.uuid4().hex
    look = known or (lambda: read_result(folder))
    if (result := look()) is not None:
        return result
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder / "parent.lock"), poll_interval=0.1):
        if (result := look()) is not None:
            return result
        _raise_remembered(folder, attempt)
        # An older result speaks of something that has gone since.
        for stale in (RESULT, *([] if progress is None else [PROGRESS])):
            (folder / stale).unlink(missing_ok=True)
        watched = {} if progress is None else {"progress": str(folder / PROGRESS)}
        write_json(folder / REQUEST, {**request, **watched, "attempt": attempt})
        code = _run(folder, module, timeout_seconds, progress, grace_seconds)
        if (result := read_result(folder)) is not None:
            return result
        _raise_remembered(folder, attempt)
        reason = _describe(code, timeout_seconds, folder / LOG)
        _remember(folder, attempt, reason)
        raise ChildLostError(reason)


def child_main(
    arguments: list[str], walk: Callable[[dict[str, Any], Path], dict[str, Any]], *, grace_seconds: float = 0.0
) -> int:
    """Run ``walk(request, folder)`` as the child and write its result; the exit status says how it ended.

    Args:
        arguments: command line after the module: the run folder.
        walk: does the work; an ``InputError`` becomes the remembered reason, another exception is logged too.
        grace_seconds: see ``end_with_parent``.
    """
    from filelock import FileLock

    end_with_parent(grace_seconds)
    folder = Path(arguments[0])
    request = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
    # A second lock, the child's own: a child whose parent was killed may live a moment longer than the parent's lock.
    Path(request["artifacts"]).mkdir(parents=True, exist_ok=True)
    with FileLock(str(Path(request["artifacts"]) / "child.lock"), poll_interval=0.1):
        if read_result(folder) is not None:
            return 0
        try:
            result = walk(request, folder)
            write_json(folder / RESULT, {"result": result, "sha256": hash_json(result)})
        except InputError as error:
            _remember(folder, request["attempt"], str(error))
            return _INPUT_ERROR_EXIT
        except Exception as error:
            line = " ".join(f"{type(error).__name__}: {error}".split())[:400]
            _remember(folder, request["attempt"], f"{line}; next: read {folder / LOG}")
            raise
    return 0


def child_environment() -> dict[str, str]:
    """Return the environment of every child: this checkout importable, all cores, no network for model hubs."""
    environment = {name: value for name, value in os.environ.items() if name not in _THREAD_VARIABLES}
    paths = [str(project_root()), *filter(None, [environment.get("PYTHONPATH")])]
    environment.update(OFFLINE, PYTHONPATH=os.pathsep.join(paths), PYTHONUNBUFFERED="1")
    return environment


def _run(
    folder: Path, module: str, timeout_seconds: float | None, progress: Progress | None, grace_seconds: float
) -> int | None:
    """Return the exit status of the child, None when it was ended at its limit."""
    deadline, shown = math.inf if timeout_seconds is None else time.monotonic() + timeout_seconds, 0
    with (folder / LOG).open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", module, str(folder)],
            stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=child_environment(),
        )  # fmt: skip
        try:
            while (code := _wait(child, deadline, None if progress is None else _POLL_SECONDS)) is None:
                if time.monotonic() >= deadline:
                    return None
                shown = shown if progress is None else show_new(folder / PROGRESS, shown, progress)
            if progress is not None:
                show_new(folder / PROGRESS, shown, progress)
            return code
        finally:
            # Where this process dies without coming here, the pipe closes and the child ends itself.
            try:
                if child.poll() is None and grace_seconds and child.stdin is not None:
                    child.stdin.close()
                    _wait(child, time.monotonic() + grace_seconds, None)
            finally:
                if child.poll() is None:
                    child.kill()
                    child.wait()
                if child.stdin is not None:
                    child.stdin.close()


def _wait(child: subprocess.Popen[bytes], deadline: float, poll_seconds: float | None) -> int | None:
    left = deadline - time.monotonic()
    seconds = left if poll_seconds is None else min(left, poll_seconds)
    try:
        return child.wait(timeout=None if seconds == math.inf else max(0.0, seconds))
    except subprocess.TimeoutExpired:
        return None


def _remember(folder: Path, attempt: str, reason: str) -> None:
    write_json(folder / FAILURE, {"attempt": attempt, "reason": reason})


def _raise_remembered(folder: Path, attempt: str) -> None:
    try:
        stored = json.loads((folder / FAILURE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    if isinstance(stored, dict) and stored.get("attempt") == attempt:
        raise ChildFailedError(str(stored.get("reason")))


def _describe(code: int | None, timeout_seconds: float | None, log: Path) -> str:
    if code is None:
        return (
            f"training and sampling ran past {(timeout_seconds or 0.0) / 60:.0f} minutes and were ended; next: run the "
            "same command again, it goes on from where it was, or raise release_timeout_minutes in lifeos.toml"
        )
    ending = f"was ended by signal {-code}" if code < 0 else f"ended with status {code}"
    return (
        f"the process that trains and samples {ending} and left no result; "
        f"next: run the same command again, it goes on from where it was ({log})"
    )
