"""The analyst that ships: deterministic, free, in a process of its own so that every bound holds for it too."""

import sys

from lifeos.operations.agent.adapters.base import Asked, Heard, Start


class Builtin:
    """The analyst of ``lifeos.operations.analyst``."""

    name = "builtin"
    free = True
    unsupported: tuple[str, ...] = ()

    def start(self, asked: Asked) -> Start:
        """Return the analyst's process."""
        argv = [sys.executable, "-P", "-m", "lifeos.operations.analyst", "--run", asked.run, "--created", asked.created,
                "--output", asked.output, "--contract", asked.contract]  # fmt: skip
        if asked.history is not None:
            argv += ["--history", asked.history]
        # -P: its code is this checkout's, not that of the worktree it stands in.
        return Start(tuple(argv))

    def hear(self, stdout: bytes) -> Heard:
        """It costs nothing."""
        return Heard(usd=0.0, said=stdout.decode("utf-8", "replace").strip()[:200])
