"""A child process that never outlives the one that started it, on every system."""

import _thread
import os
import sys
import threading
import time

ENDED_WITH_PARENT = 3


def end_with_parent(grace_seconds: float = 0.0) -> None:
    """End this process at once when the process that started it closes our standard input or dies.

    The parent must have given a pipe as standard input and must write nothing to it. Ending is hard (no clean-up
    handlers run), which is safe only because every file of ours is written atomically. With ``grace_seconds`` the main
    thread is interrupted first and has that long to end what it started elsewhere.
    """
    # A copy of the descriptor: pytest's capturing puts another file in its place later.
    descriptor = os.dup(sys.stdin.fileno())

    def wait() -> None:
        while os.read(descriptor, 4096):
            pass
        if grace_seconds:
            _thread.interrupt_main()
            time.sleep(grace_seconds)
        os._exit(ENDED_WITH_PARENT)

    threading.Thread(target=wait, name="end-with-parent", daemon=True).start()
