"""The ledger: every item that a briefing brought and every decision of a person, one JSON line each, never rewritten.

Tracked by git. The order of lines means nothing, so two branches' ledgers merge as the union of their lines.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from evals.atomic import write_bytes
from evals.content_hash import canonical_json
from lifeos.errors import InputError
from lifeos.operations.briefing import item_id, refused_text
from lifeos.operations.briefing.model import Confidence, Kind, Taint

ITEM_SCHEMA, DECISION_SCHEMA = "lifeos.item/1", "lifeos.decision/1"
FOLDER = "context/ledger"
ITEMS_FILE, DECISIONS_FILE = "items.jsonl", "decisions.jsonl"
Verb = Literal["approve", "reject", "retract", "done"]
_DATE = r"^\d{4}-\d\d-\d\d$"
_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"
_EVIDENCE = r"^[A-Za-z0-9_./-]+#[0-9a-f]{8}$"
_ENFORCED = r"^[A-Za-z0-9_./-]{1,200}$"
_PERSON = r"^[^\W_](?:(?:[^\W_]|[ .'-]){0,58}[^\W_.]?\.?)?$"

ItemId = Annotated[str, Field(pattern=r"^[FTR]-[0-9a-f]{12}$")]


class ItemRecord(BaseModel):
    """One item as one briefing brought it; ``resolved`` is the evidence that was found to be there when it came."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["lifeos.item/1"] = Field(alias="schema")
    id: ItemId
    kind: Kind
    key: Annotated[str, Field(pattern=r"^[a-z][a-z0-9._-]{0,327}$")]
    text: str
    evidence: Annotated[tuple[Annotated[str, Field(pattern=_EVIDENCE)], ...], Field(min_length=1)]
    resolved: tuple[str, ...]
    confidence: Confidence
    supersedes: tuple[ItemId, ...] = ()
    enforced_by: Annotated[str, Field(pattern=_ENFORCED)] | None = None
    taint: Taint
    briefing: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")]
    briefing_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    run: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,79}$")]
    agent: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,79}$")]
    created: Annotated[str, Field(pattern=_TIME)]

    @model_validator(mode="after")
    def _is_itself(self) -> "ItemRecord":
        why = refused_text(self.text, self.kind)
        if why is not None:
            raise ValueError(f"the text holds {why}")
        own = item_id(self.kind, self.key, self.text)
        if self.id != own:
            raise ValueError(f"the id is not that of its kind, key and text ({own})")
        if not set(self.resolved) <= set(self.evidence):
            raise ValueError("resolved names what is no evidence")
        return self


class DecisionRecord(BaseModel):
    """What a person said of an item: approve, reject, retract (it was right once), done (a task)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["lifeos.decision/1"] = Field(alias="schema")
    item: ItemId
    decision: Verb
    by: Annotated[str, Field(pattern=_PERSON)]
    on: Annotated[str, Field(pattern=_DATE)]
    reason: str = ""
    until: Annotated[str, Field(pattern=_DATE)] | None = None
    enforced_by: Annotated[str, Field(pattern=_ENFORCED)] | None = None

    @field_validator("on", "until")
    @classmethod
    def _is_a_date(cls, value: str | None) -> str | None:
        if value is not None:
            date.fromisoformat(value)
        return value

    @model_validator(mode="after")
    def _fits_its_item(self) -> "DecisionRecord":
        if self.reason and (why := refused_text(self.reason, "finding")) is not None:
            raise ValueError(f"the reason holds {why}")
        if self.decision == "done" and not self.item.startswith("T-"):
            raise ValueError("done is for tasks")
        return self


@dataclass(frozen=True)
class Ledger:
    """Everything that was brought and decided, each line once, in a fixed order."""

    items: tuple[ItemRecord, ...]
    decisions: tuple[DecisionRecord, ...]


Record = TypeVar("Record", ItemRecord, DecisionRecord)


def read_ledger(root: Path) -> Ledger:
    """Read the ledger of a checkout; missing files are an empty ledger.

    A last line without its end is left out: a killed writer cannot leave one, but a full disk of a person can.

    Raises:
        InputError: a line is no record; the file and line are named.
    """
    folder = Path(root) / FOLDER
    return Ledger(_read(folder / ITEMS_FILE, ItemRecord), _read(folder / DECISIONS_FILE, DecisionRecord))


def ledger_of(items: Iterable[ItemRecord], decisions: Iterable[DecisionRecord]) -> Ledger:
    """Return a ledger of these records: duplicates once, in the order of their lines' bytes."""
    return Ledger(_ordered(items), _ordered(decisions))


def with_items(ledger: Ledger, added: Iterable[ItemRecord]) -> Ledger:
    """Return the ledger with further items."""
    return Ledger(_ordered([*ledger.items, *added]), ledger.decisions)


def without_echoes(known: Iterable[ItemRecord], added: Iterable[ItemRecord]) -> list[ItemRecord]:
    """Return the added records that say more than earlier ones do.

    An echo is the same item with the same evidence and standing, brought again later: an agent that reads the same
    scorecard every day does not make it truer. An earlier one than those known is no echo, so that the order in which
    briefings are read changes nothing.
    """
    first: dict[tuple[object, ...], tuple[str, ...]] = {}
    for record in known:
        key, place = substance(record), precedence(record)
        first[key] = min(place, first.get(key, place))
    kept = []
    for record in sorted(added, key=precedence):
        key, place = substance(record), precedence(record)
        if key not in first or place < first[key]:
            first[key] = place
            kept.append(record)
    return kept


def precedence(record: ItemRecord) -> tuple[str, ...]:
    """Return what decides which of two records that say the same came first; no two of them are equal in it."""
    return record.created, record.briefing, record.text, record.briefing_sha256, record.run, record.agent


def substance(record: ItemRecord) -> tuple[object, ...]:
    """Return what a record says, without who said it when."""
    return (record.id, frozenset(record.evidence), frozenset(record.resolved), record.confidence, record.taint,
            frozenset(record.supersedes), record.enforced_by)  # fmt: skip


def append_items(root: Path, records: Sequence[ItemRecord]) -> None:
    """Add records to the ledger's items; what stands there already is not added again.

    Raises:
        InputError: the file holds something else than records.
        OSError: it cannot be written; it is as before then.
    """
    _append(Path(root) / FOLDER / ITEMS_FILE, records)


def append_decisions(root: Path, records: Sequence[DecisionRecord]) -> None:
    """Add records to the ledger's decisions; otherwise as ``append_items``."""
    _append(Path(root) / FOLDER / DECISIONS_FILE, records)


def line_of(record: ItemRecord | DecisionRecord) -> str:
    """Return the one line of a record, without its end."""
    return canonical_json(record.model_dump(by_alias=True, mode="json"))


def _append(path: Path, records: Sequence[ItemRecord] | Sequence[DecisionRecord]) -> None:
    old = path.read_bytes() if path.exists() else b""
    if path.name == ITEMS_FILE:
        _read(path, ItemRecord)
    else:
        _read(path, DecisionRecord)
    # Whole lines only: what follows the last line end is nobody's record.
    kept = old[: old.rfind(b"\n") + 1]
    known = set(kept.decode("utf-8").split("\n"))
    added = [line for line in dict.fromkeys(map(line_of, records)) if line not in known]
    if added:
        write_bytes(path, kept + "".join(f"{line}\n" for line in added).encode("utf-8"))


def _read(path: Path, model: type[Record]) -> tuple[Record, ...]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise InputError(f"{path}: accepted a readable file, got {error.strerror}; next: check the path") from error
    found: list[Record] = []
    lines = data.replace(b"\r\n", b"\n").split(b"\n")[:-1]
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(model.model_validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the line"
            said = re.sub(r"^Value error, ", "", str(first["msg"]))
            raise InputError(
                f"{path}: line {number}: {where}: accepted a ledger record, got {said}; next: git log -p -- {path.name}"
            ) from error
    return _ordered(found)


def _ordered(records: Iterable[Record]) -> tuple[Record, ...]:
    by_line = {_sort_key(record): record for record in records}
    return tuple(by_line[key] for key in sorted(by_line))


def _sort_key(record: ItemRecord | DecisionRecord) -> str:
    # Field order of one model is fixed, so this is as unique as the canonical line and three times as fast to make.
    return record.model_dump_json(by_alias=True)


def parse_json(text: str, where: str) -> Any:
    """Read JSON, or say where it is none.

    Raises:
        InputError: it is no JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: accepted JSON, got {error}; next: correct the file") from error
