"""One writer of a history at a time: the lock on the file beside it."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from evals.errors import InputError

LOCK_SECONDS = 60.0


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold ``<name>.lock`` beside the history ``path``; threads and processes wait for each other.

    Raises:
        InputError: another holds it for 60 s.
        OSError: its file cannot be made.
    """
    from filelock import FileLock, Timeout

    lock = path.with_name(path.name + ".lock")
    with contextlib.ExitStack() as held:
        if not held.enter_context(_free(lock)):
            try:
                held.enter_context(FileLock(lock, timeout=LOCK_SECONDS))
            except Timeout as error:
                raise InputError(
                    f"{path}: accepted a history that no other process holds, got one locked for {LOCK_SECONDS:g} s; "
                    "next: wait for the other run"
                ) from error
        yield


@contextlib.contextmanager
def _free(lock: Path) -> Iterator[bool]:
    """Hold the lock that FileLock takes if its file is there and nobody has it, which says True.

    What FileLock does around that (waiting, a way out where a file system has no locks, which needs the file to be
    absent) takes .1 ms, half of what a disk takes for a row, and is needed by nearly no append.
    """
    from filelock import lock_descriptor, unlock_descriptor

    taken, descriptor = False, -1
    try:
        # A file that was removed meanwhile is not the one that the next writer opens.
        with contextlib.suppress(OSError):
            descriptor = os.open(lock, os.O_RDWR)
            taken = lock_descriptor(descriptor, blocking=False) and os.fstat(descriptor).st_nlink > 0
        yield taken
        if taken:
            unlock_descriptor(descriptor)
    finally:
        if descriptor >= 0:
            os.close(descriptor)
