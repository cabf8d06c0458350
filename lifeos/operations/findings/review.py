"""What a person decides about items: read from a file or asked in the terminal, checked, appended to the ledger."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lifeos.errors import InputError
from lifeos.operations.findings.fold import Entry
from lifeos.operations.findings.ledger import DECISION_SCHEMA, DecisionRecord, Verb, parse_json
from lifeos.settings import validation_line

SCHEMA = "lifeos.review/1"
_LARGEST_BYTES = 1 << 20
_VERBS: dict[str, Verb] = {"a": "approve", "r": "reject", "t": "retract", "d": "done"}


class _Decision(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    item: str
    decision: Verb
    reason: str = ""
    until: str | None = None
    enforced_by: str | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Annotated[str, Field(alias="schema", pattern=r"^lifeos\.review/1$")]
    reviewer: str | None = None
    decisions: Annotated[list[_Decision], Field(min_length=1, max_length=1000)]


def read_review(path: Path, reviewer: str | None, on: str) -> list[DecisionRecord]:
    """Read decisions from a JSON file.

    Args:
        path: ``{"schema": "lifeos.review/1", "reviewer", "decisions": [{"item", "decision", "reason"?, "until"?,
            "enforced_by"?}]}``, at most 1 MiB.
        reviewer: who decides; wins over the file's.
        on: date of the decision, ``"2026-11-27"``.

    Raises:
        InputError: the file is missing or holds anything else, or nobody is named.
    """
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise InputError(f"{path}: accepted at most 1 MiB of decisions, got more; next: split it")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: accepted a file of decisions, got {error}; next: lifeos review --json") from error
    try:
        file = _File.model_validate(parse_json(text, str(path)))
    except ValidationError as error:
        raise InputError(validation_line(path, error, "lifeos review --json")) from error
    by = reviewer or file.reviewer
    if by is None:
        raise InputError(f"{path}: accepted a reviewer, got none; next: add --reviewer NAME")
    return [_record(each.model_dump(), by, on, str(path)) for each in file.decisions]


def check_decisions(
    records: Sequence[DecisionRecord], entries: Mapping[str, Entry], enforces: Callable[[str], bool]
) -> None:
    """Refuse decisions that could not have their effect.

    Args:
        records: to be appended together.
        entries: the memory they decide about.
        enforces: whether a name is a gate or an existing test.

    Raises:
        InputError: an item that the ledger does not hold, two decisions on one item, an approval without evidence, or
            of a rule without a gate or test that enforces it.
    """
    for record in records:
        entry = entries.get(record.item)
        if entry is None:
            raise InputError(f"{record.item}: accepted an item of the ledger, got none; next: lifeos review")
        if sum(each.item == record.item for each in records) > 1:
            raise InputError(f"{record.item}: accepted one decision an item, got several; next: keep one of them")
        if record.decision != "approve":
            continue
        if not any(set(each.resolved) == set(each.evidence) for each in entry.records):
            raise InputError(
                f"{record.item}: accepted an item whose evidence was there, got one without; next: bring it again with "
                f"evidence, or reject it"
            )
        named = record.enforced_by or entry.enforced_by
        if entry.kind == "rule" and (named is None or not enforces(named)):
            raise InputError(
                f"{record.item}: enforced_by: accepted a gate of gates/manifest.toml or a test file, got {named}; "
                f"next: approve it with one that holds the rule"
            )


def ask(
    entries: Sequence[Entry],
    reviewer: str,
    on: str,
    *,
    show: Callable[[Entry, int, int], None],
    answer: Callable[[str], str],
    refuse: Callable[[str], None],
    enforces: Callable[[str], bool],
) -> list[DecisionRecord]:
    """Walk through items with a person; what was decided before quitting stands.

    Args:
        entries: to decide, in this order.
        reviewer: who decides.
        on: date.
        show: shows an item, its number from 1 and their count.
        answer: asks a question and returns the line typed; raises ``EOFError`` at the end of input.
        refuse: says why an answer was not taken.
        enforces: whether a name is a gate or an existing test.

    Raises:
        InputError: the reviewer's name is none.
    """
    found: list[DecisionRecord] = []
    for number, entry in enumerate(entries, 1):
        show(entry, number, len(entries))
        while True:
            try:
                word = answer("[a]pprove  [r]eject  re[t]ract  [d]one  [s]kip  [q]uit: ").strip().lower()[:1]
                if word == "q":
                    return found
                if word in ("s", ""):
                    break
                if word not in _VERBS:
                    refuse(f"accepted a, r, t, d, s or q, got {word!r}")
                    continue
                given: dict[str, Any] = {"item": entry.id, "decision": _VERBS[word]}
                if word == "a" and entry.kind == "rule" and entry.enforced_by is None:
                    given["enforced_by"] = answer("gate or test that enforces it: ").strip() or None
                given["reason"] = answer("reason (one line, may be empty): ").strip()
                record = _record(given, reviewer, on, entry.id)
                check_decisions([record], {entry.id: entry}, enforces)
            except EOFError:
                return found
            except InputError as error:
                refuse(str(error))
                continue
            found.append(record)
            break
    return found


def _record(given: Mapping[str, Any], by: str, on: str, where: str) -> DecisionRecord:
    try:
        return DecisionRecord.model_validate({"schema": DECISION_SCHEMA, "by": by, "on": on, **given})
    except ValidationError as error:
        raise InputError(validation_line(Path(where), error, "lifeos review --json")) from error
