"""What an adapter is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from lifeos.operations.agent.contract import Budgets, Outcome


@dataclass(frozen=True)
class Asked:
    """What an agent is asked for.

    Args:
        prompt: the task in words.
        budgets: of the contract, money as limited for this run.
        run: id.
        created: time that its briefing carries, ``"2026-11-27T07:00:00Z"``.
        worktree: folder it works in.
        output: file it writes, relative to the worktree.
        history: file of rows, relative to the worktree, or None.
        contract: file name of the contract.
    """

    prompt: str
    budgets: Budgets
    run: str
    created: str
    worktree: Path
    output: str
    history: str | None
    contract: str


@dataclass(frozen=True)
class Start:
    """A process to start: arguments without a shell, bytes for its standard input, variables it may see."""

    argv: tuple[str, ...]
    stdin: bytes = b""
    passed_on: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Heard:
    """What an agent says of its own end; never a proof of success.

    Args:
        limit: outcome that it names as the reason of its end, or None.
        usd: cost, or None where it does not say.
        turns: turns, or None.
        said: one line for the report.
    """

    limit: Outcome | None = None
    usd: float | None = None
    turns: int | None = None
    said: str = ""


class Adapter(Protocol):
    """One kind of agent.

    ``free``: a run costs nothing, so a run that was cut off may be started again. ``unsupported``: budgets that this
    agent cannot be told; the runner says so and holds them itself where it can.
    """

    name: str
    free: bool
    unsupported: tuple[str, ...]

    def start(self, asked: Asked) -> Start:
        """Return the process."""
        ...

    def hear(self, stdout: bytes) -> Heard:
        """Read what it printed; nothing that it prints raises."""
        ...


def last_json(stdout: bytes) -> object:
    """Return the last JSON value that stands on a line of its own, or the whole text as JSON, or None."""
    import json

    text = stdout.decode("utf-8", "replace").strip()
    for candidate in [text, *reversed(text.splitlines())]:
        try:
            return json.loads(candidate)
        except (ValueError, RecursionError):
            continue
    return None


def number(value: object) -> float | None:
    """Return a finite number of at least 0, or None for anything else."""
    import math

    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return None
    return float(value)
