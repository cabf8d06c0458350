"""The words of a briefing."""

from dataclasses import dataclass
from typing import Literal

from lifeos.errors import InputError

SCHEMA = "briefing/1"
Kind = Literal["finding", "task", "rule"]
Confidence = Literal["measured", "observed", "inferred"]
Taint = Literal["internal", "external"]
DeclaredOutcome = Literal["ok", "no_work", "partial", "blocked"]
# Kind of item to the letter of its id and the heading it stands under.
KINDS: dict[Kind, tuple[str, str]] = {"finding": ("F", "Findings"), "task": ("T", "Tasks"), "rule": ("R", "Rules")}
SECTIONS = ("Summary", "Findings", "Tasks", "Rules", "No-work")
CONFIDENCES: tuple[Confidence, ...] = ("measured", "observed", "inferred")
TAINTS: tuple[Taint, ...] = ("internal", "external")
OUTCOMES: tuple[DeclaredOutcome, ...] = ("ok", "no_work", "partial", "blocked")


@dataclass(frozen=True, order=True)
class Evidence:
    """A file, or a row of a history, that an item rests on.

    Args:
        path: relative to the checkout, with ``/``.
        sha8: first 8 hexadecimal digits of the file's SHA-256, or of the row's hash.
    """

    path: str
    sha8: str

    def __str__(self) -> str:
        return f"{self.path}#{self.sha8}"


@dataclass(frozen=True)
class Item:
    """One line of a briefing.

    Args:
        kind: finding, task or rule.
        key: dotted name of what it is about.
        text: one sentence, at most 240 characters.
        evidence: at least one.
        confidence: how it is known.
        supersedes: ids of items that it takes the place of.
        enforced_by: gate id or test file that holds a rule; None where none is named.
        line: in the file, from 1; 0 where it comes from none.
    """

    kind: Kind
    key: str
    text: str
    evidence: tuple[Evidence, ...]
    confidence: Confidence
    supersedes: tuple[str, ...] = ()
    enforced_by: str | None = None
    line: int = 0


@dataclass(frozen=True)
class Input:
    """A file that the agent read: path relative to the checkout, SHA-256."""

    path: str
    sha256: str


@dataclass(frozen=True)
class Briefing:
    """A whole briefing; ``no_work`` holds text exactly when there is no item.

    Args:
        id: its file name without ``.md``.
        run_id: the run that made it.
        agent: name of who made it.
        contract: path of the contract it worked under.
        created: UTC, ``"2026-11-27T07:00:00Z"``.
        base_commit: 40 hexadecimal digits, or ``"unknown"``.
        outcome: what the agent says of its run.
        inputs: what it read.
        taint: ``external`` when anything read came from outside this project.
        summary: plain text, one paragraph a blank-line separated block.
        items: findings, tasks, rules, in this order.
        no_work: why there is nothing to say.
    """

    id: str
    run_id: str
    agent: str
    contract: str
    created: str
    base_commit: str
    outcome: DeclaredOutcome
    inputs: tuple[Input, ...]
    taint: Taint
    summary: str
    items: tuple[Item, ...]
    no_work: str = ""


@dataclass(frozen=True, order=True)
class Problem:
    """Something wrong at a line, from 1."""

    line: int
    text: str


class BriefingError(InputError):
    """A briefing that is refused, whole.

    Args:
        where: its file.
        problems: at least one, in order of lines.
    """

    def __init__(self, where: str, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        first = problems[0]
        rest = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(
            f"{where}: line {first.line}: {first.text}{rest}; accepted a briefing/1; next: read docs/briefings.md"
        )
