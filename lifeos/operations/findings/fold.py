"""Ledger to memory: a pure function of its records and a date, the same for any order of the lines."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from lifeos.operations.briefing.model import Kind
from lifeos.operations.findings.ledger import DecisionRecord, ItemRecord, Ledger, precedence, substance

Status = Literal["active", "waiting", "conflict", "superseded", "expired", "rejected", "retracted", "done"]
# How long an item holds after it was last seen; rules hold until a person says otherwise.
DAYS: Mapping[Kind, int | None] = {"finding": 180, "task": 90, "rule": None}
# On one day a no wins: nothing comes in by the order of two lines.
_PRECEDENCE = {"approve": 0, "done": 1, "retract": 2, "reject": 3}
_ENDED: Mapping[str, Status] = {"reject": "rejected", "retract": "retracted", "done": "done"}


@dataclass(frozen=True)
class Entry:
    """An item with all that is known of it.

    Args:
        id, kind, key: of the item.
        text: as it was first written.
        status: ``active`` items stand in the control files; each other status says why this one does not.
        reason: one sentence on the status.
        since: date or time from which it counts, empty while it does not.
        until: last day on which it holds, or None.
        seen: with how many different sets of evidence that were there; 1 where none was.
        enforced_by: gate or test that holds a rule.
        records: as they were brought, oldest first, without echoes.
        decision: what a person said last, or None.
    """

    id: str
    kind: Kind
    key: str
    text: str
    status: Status
    reason: str
    since: str
    until: str | None
    seen: int
    enforced_by: str | None
    records: tuple[ItemRecord, ...]
    decision: DecisionRecord | None


def fold(ledger: Ledger, as_of: date) -> dict[str, Entry]:
    """Return every item of the ledger by id, in order of kind, key and id.

    A finding counts by itself when one briefing brought it measured, from this project's own data, with all its
    evidence there; a task when its evidence is there and own data. Rules, and what is short of that, wait for a
    person. What was rejected stays out however often it comes back. Of two active items with one key the older stays;
    the newer is in conflict unless it supersedes the older. An item that supersedes another takes it out for good,
    also after its own end.

    Args:
        ledger: records in any order.
        as_of: the day on which it is asked; the only time that enters.
    """
    groups: dict[str, list[ItemRecord]] = defaultdict(list)
    for record in dict.fromkeys(ledger.items):
        groups[record.id].append(record)
    latest = _latest(ledger.decisions)
    entries = {name: _entry(records, latest.get(name)) for name, records in groups.items()}
    placed = _settle(entries, as_of)
    return {entry.id: entry for entry in sorted(placed, key=lambda each: (each.kind, each.key, each.id))}


def active(entries: Mapping[str, Entry], kind: Kind) -> list[Entry]:
    """Return the active entries of a kind."""
    return [entry for entry in entries.values() if entry.kind == kind and entry.status == "active"]


def open_for_review(entries: Mapping[str, Entry]) -> list[Entry]:
    """Return what a person can decide: what waits and what is in conflict."""
    return [entry for entry in entries.values() if entry.status in ("waiting", "conflict")]


def _latest(decisions: Iterable[DecisionRecord]) -> dict[str, DecisionRecord]:
    found: dict[str, DecisionRecord] = {}
    for each in decisions:
        known = found.get(each.item)
        if known is None or _rank(each) > _rank(known):
            found[each.item] = each
    return found


def _rank(decision: DecisionRecord) -> tuple[str, int, str]:
    return decision.on, _PRECEDENCE[decision.decision], decision.model_dump_json(by_alias=True)


def _entry(records: list[ItemRecord], decision: DecisionRecord | None) -> Entry:
    """Judge an item by itself: ``active`` here means that nothing of its own keeps it out."""
    by_time = sorted(records, key=lambda each: (precedence(each), each.model_dump_json()))
    # Of what was said again without further evidence the first time counts.
    firsts: dict[tuple[object, ...], ItemRecord] = {}
    for each in by_time:
        firsts.setdefault(substance(each), each)
    ordered = tuple(firsts.values())
    first = ordered[0]
    proven = [each for each in ordered if set(each.resolved) == set(each.evidence)]
    counting = [each for each in proven if each.taint == "internal" and (first.kind == "task" or _measured(each))]
    approved = decision is not None and decision.decision == "approve"
    named = [each.enforced_by for each in ordered if each.enforced_by is not None]
    enforced_by = (decision.enforced_by if decision is not None else None) or (named[0] if named else None)
    status: Status = "waiting"
    since = ""
    if decision is not None and decision.decision in _ENDED:
        status = _ENDED[decision.decision]
        reason = f"{decision.decision} by {decision.by} on {decision.on}"
    elif not proven:
        reason = "none of its briefings brought evidence that was there"
    elif first.kind == "rule" and not approved:
        reason = "a rule needs the approval of a person"
    elif first.kind == "rule" and enforced_by is None:
        reason = "no gate or test is named that enforces it"
    elif approved and decision is not None:
        # Approved before it was proven: it counts from the evidence on.
        status, since, reason = "active", max(decision.on, proven[0].created), f"approved by {decision.by}"
    elif counting:
        status, since, reason = "active", counting[0].created, f"{counting[0].confidence}, evidence found"
    else:
        why = sorted({each.taint if each.taint == "external" else each.confidence for each in proven})
        reason = f"{', '.join(why)}: only what was measured on own data counts without a person"
    until = _until(first.kind, counting if counting else proven, decision)
    return Entry(first.id, first.kind, first.key, first.text, status, reason, since, until,
                 len({frozenset(each.evidence) for each in proven}) or 1, enforced_by, ordered, decision)  # fmt: skip


def _measured(record: ItemRecord) -> bool:
    return record.kind == "finding" and record.confidence == "measured"


def _until(kind: Kind, records: list[ItemRecord], decision: DecisionRecord | None) -> str | None:
    if decision is not None and decision.until is not None:
        return decision.until
    days = DAYS[kind]
    if days is None or not records:
        return None
    last = max([each.created[:10] for each in records] + ([decision.on] if decision is not None else []))
    try:
        return (date.fromisoformat(last) + timedelta(days=days)).isoformat()
    except (ValueError, OverflowError):
        return last


def _settle(entries: Mapping[str, Entry], as_of: date) -> list[Entry]:
    """Place the items that count one after another, the oldest first: keys, supersession, expiry."""
    settled = dict(entries)
    holder: dict[tuple[Kind, str], str] = {}
    blocked: list[Entry] = []
    day = as_of.isoformat()
    for entry in sorted((each for each in entries.values() if each.status == "active"), key=lambda e: (e.since, e.id)):
        targets = {
            target
            for record in entry.records
            for target in record.supersedes
            if target in settled and settled[target].kind == entry.kind
            and settled[target].status in ("active", "conflict")
            and (settled[target].since, target) < (entry.since, entry.id)
        }  # fmt: skip
        held_by = holder.get((entry.kind, entry.key))
        held = None if held_by is None else settled[held_by]
        free = held is None or held.status != "active" or held.id in targets or _over(held, day)
        if not free:
            blocked.append(entry)
            settled[entry.id] = replace(
                entry, status="conflict", reason=f"{held_by} holds the key {entry.key}; supersede or retract it"
            )
            continue
        for target in targets:
            settled[target] = replace(settled[target], status="superseded", reason=f"superseded by {entry.id}")
        holder[entry.kind, entry.key] = entry.id
    for name, entry in settled.items():
        if entry.status == "active" and _over(entry, day):
            settled[name] = replace(entry, status="expired", reason=f"last day was {entry.until}")
    for entry in blocked:
        if settled[entry.id].status != "conflict":
            continue
        if _over(entry, day):
            settled[entry.id] = replace(entry, status="expired", reason=f"last day was {entry.until}")
        elif settled[holder[entry.kind, entry.key]].status != "active":
            # Whoever held the key has ended meanwhile.
            settled[entry.id] = entry
            holder[entry.kind, entry.key] = entry.id
    return list(settled.values())


def _over(entry: Entry, day: str) -> bool:
    return entry.until is not None and day > entry.until
