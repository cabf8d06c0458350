"""What a cycle calls: the rooms beside it, behind four functions, so that the cycle knows none of them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal

GateVerdict = Literal["approved", "rejected", "not_evaluated"]


@dataclass(frozen=True)
class GuardEnd:
    """What the guardrails say: ``problems`` is empty when all passed; ``checked`` says how many there were."""

    checked: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class AgentEnd:
    """How an agent's run ended.

    Args:
        outcome: one of the contract's outcomes.
        reason: one sentence.
        briefing: file of the validated briefing, or None.
        sha256: of that file.
        usd: cost, or None where it is not known.
        exit_code: of the contract's failure row.
        transcript: folder, relative to the checkout.
    """

    outcome: str
    reason: str
    briefing: Path | None
    sha256: str | None
    usd: float | None
    exit_code: int
    transcript: str


@dataclass(frozen=True)
class GateEnd:
    """How a phase of gates ended: verdict, row of the history, hard gates that stand in the way."""

    verdict: GateVerdict
    row: str | None
    blocking: tuple[str, ...]


@dataclass(frozen=True)
class Work:
    """The four.

    Args:
        guard: checkout and day to the guardrails' answer.
        agent: run id, day and money limit to the agent's end; called again for a run that ended, it gives the same end
            and runs nothing.
        repeatable: whether an agent's run that was cut off may be started again: it costs nothing.
        gate: phase and run id to the gates' end; likewise.
        now: the clock.
    """

    guard: Callable[[Path, date], GuardEnd]
    agent: Callable[[str, date, float | None], AgentEnd]
    repeatable: bool
    gate: Callable[[str, str], GateEnd]
    now: Callable[[], datetime]
