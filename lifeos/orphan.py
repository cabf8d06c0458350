"""A child process that never outlives the one that started it, on every system."""

import os
import sys
import threading

ENDED_WITH_PARENT = 3


def end_with_parent() -> None:
    """End this process at once when the process that started it closes our standard input or dies.

    The parent must have given a pipe as standard input and must write nothing to it. Ending is hard (no clean-up
    handlers run), which is safe only because every file of ours is written atomically.
    """
    # A copy of the descriptor: pytest's capturing puts another file in its place later.
    descriptor = os.dup(sys.stdin.fileno())

    def wait() -> None:
        while os.read(descriptor, 4096):
            pass
        os._exit(ENDED_WITH_PARENT)

    threading.Thread(target=wait, name="end-with-parent", daemon=True).start()
