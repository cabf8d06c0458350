"""How each kind of agent is started and what its own words about its end mean."""

from lifeos.errors import InputError
from lifeos.operations.agent.adapters.base import Adapter, Asked, Heard, Start
from lifeos.operations.agent.adapters.builtin import Builtin
from lifeos.operations.agent.adapters.claude_code import ClaudeCode
from lifeos.operations.agent.adapters.codex import Codex
from lifeos.operations.agent.adapters.command import Command

ADAPTERS = ("builtin", "claude-code", "codex", "command")

__all__ = ["ADAPTERS", "Adapter", "Asked", "Heard", "Start", "adapter_named"]


def adapter_named(name: str, argv: tuple[str, ...] = ()) -> Adapter:
    """Return an adapter.

    Args:
        name: one of ``ADAPTERS``.
        argv: command of ``command``, empty for the others.

    Raises:
        InputError: another name, a command where none belongs, or none where one is needed.
    """
    if name == "command":
        if not argv:
            raise InputError("--adapter command: accepted a command after --, got none; next: ... -- PROGRAM ARGUMENTS")
        return Command(argv)
    if argv:
        raise InputError(f"--adapter {name}: accepted no command after --, got {argv[0]!r}; next: --adapter command")
    known: dict[str, type[Builtin] | type[ClaudeCode] | type[Codex]] = {
        "builtin": Builtin, "claude-code": ClaudeCode, "codex": Codex,
    }  # fmt: skip
    if name not in known:
        raise InputError(f"--adapter: accepted {', '.join(ADAPTERS)}, got {name!r}; next: name one of them")
    return known[name]()
