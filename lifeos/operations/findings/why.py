"""Why a line stands in the memory, or does not."""

from collections.abc import Mapping

from lifeos.errors import InputError
from lifeos.operations.findings.fold import Entry


def find_entry(entries: Mapping[str, Entry], name: str) -> Entry:
    """Return the entry whose id begins with ``name``.

    Raises:
        InputError: none, or several do.
    """
    found = [entry for each, entry in entries.items() if each.casefold().startswith(name.casefold())]
    if len(found) == 1:
        return found[0]
    got = "none" if not found else f"{len(found)} of them"
    raise InputError(f"{name or 'ID'}: accepted an id of the ledger, got {got}; next: lifeos promote-findings")


def why_line(entry: Entry) -> str:
    """Return one line: what it says, how it stands and since when, who brought it, by what evidence, who decided."""
    first, last = entry.records[0], entry.records[-1]
    brought = f"brought by {first.agent} in {first.briefing} on {first.created[:10]}"
    if entry.seen > 1:
        brought += f", {entry.seen} times with other evidence, last in {last.briefing} on {last.created[:10]}"
    evidence = sorted({each for record in entry.records for each in record.evidence})
    missing = {each for each in evidence if not any(each in record.resolved for record in entry.records)}
    shown = ", ".join(f"{each} (was not there)" if each in missing else each for each in evidence)
    parts = [f"{entry.id} [{entry.key}] {entry.text}", f"{entry.status}: {entry.reason}", brought, f"evidence {shown}"]
    if entry.enforced_by is not None:
        parts.append(f"enforced by {entry.enforced_by}")
    if entry.until is not None:
        parts.append(f"until {entry.until}")
    if entry.decision is not None and entry.decision.reason:
        parts.append(f"{entry.decision.by} said: {entry.decision.reason}")
    return "; ".join(parts)


def entry_json(entry: Entry) -> dict[str, object]:
    """Return an entry with its records and decision, as JSON types."""
    return {
        "id": entry.id, "kind": entry.kind, "key": entry.key, "text": entry.text, "status": entry.status,
        "reason": entry.reason, "since": entry.since or None, "until": entry.until, "seen": entry.seen,
        "enforced_by": entry.enforced_by,
        "records": [record.model_dump(by_alias=True, mode="json") for record in entry.records],
        "decision": None if entry.decision is None else entry.decision.model_dump(by_alias=True, mode="json"),
    }  # fmt: skip
