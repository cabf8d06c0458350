"""Codex without a terminal: ``codex exec --json``."""

import json

from lifeos.operations.agent.adapters.base import Asked, Heard, Start


class Codex:
    """The ``codex`` program on PATH; it takes no limit of turns or money and does not say what it cost."""

    name = "codex"
    free = False
    unsupported: tuple[str, ...] = ("turns", "usd")

    def start(self, asked: Asked) -> Start:
        """Return the command; its standard input is empty and closed, since it waits for an open one."""
        argv = ("codex", "exec", "--json", "--sandbox", "workspace-write", asked.prompt)
        return Start(argv, passed_on=("OPENAI_API_KEY", "CODEX_API_KEY", "CODEX_HOME"))

    def hear(self, stdout: bytes) -> Heard:
        """Count its turns; the last failure it names is what it says."""
        turns, said = 0, ""
        for line in stdout.decode("utf-8", "replace").splitlines():
            try:
                event = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if not isinstance(event, dict):
                continue
            turns += event.get("type") == "turn.completed"
            if event.get("type") in ("turn.failed", "error"):
                said = json.dumps(event.get("error") or event.get("message") or event.get("type"))[:200]
        return Heard(turns=turns, said=said)
