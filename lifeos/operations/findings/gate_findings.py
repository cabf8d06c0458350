"""What this project's own gates found: a rejected run enters the ledger the way an agent's briefing does."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from evals.content_hash import hash_bytes
from lifeos.operations.briefing import Briefing, Evidence, Input, Item, render_briefing
from lifeos.operations.briefing.parser import MOST_ITEMS

AGENT = "lifeos-gates"
CONTRACT = "gates/manifest.toml"
_KEY_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")


def gate_briefings(rows: Sequence[Mapping[str, Any]], history: str) -> list[Briefing]:
    """Return one briefing for each recorded run that a hard gate rejected, in file order.

    The sentence of a gate is the same for every run it rejects, so that a second rejection makes the finding stronger
    instead of a new one; the measured value stands in the row, which is its evidence. A simulated run is no evidence.

    Args:
        rows: of a history.
        history: its file, relative to the checkout, with ``/``.
    """
    rejected = [row for row in rows if row.get("verdict") == "rejected" and _failing(row) and _real(row)]
    return [_briefing(row, history) for row in rejected]


def _real(row: Mapping[str, Any]) -> bool:
    return (row.get("environment") or {}).get("source") != "simulation"


def _failing(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [gate for gate in row.get("gates", []) if gate["severity"] == "hard" and gate["verdict"] == "failed"]


def write_gate_briefings(briefings: Iterable[Briefing], folder: Path, known: Iterable[str]) -> list[Path]:
    """Write briefings into the folder where promotion reads them; return those that are new.

    Args:
        briefings: to write.
        folder: of briefings.
        known: SHA-256 of briefings that the ledger has.

    Raises:
        OSError: the folder cannot be written.
    """
    from evals.atomic import write_bytes

    seen, written = set(known), []
    for each in briefings:
        data = render_briefing(each).encode("utf-8")
        path = folder / f"{each.id}.md"
        if hash_bytes(data) in seen or (path.is_file() and path.read_bytes() == data):
            continue
        write_bytes(path, data)
        written.append(path)
    return written


def _briefing(row: Mapping[str, Any], history: str) -> Briefing:
    persona, phase = str(row.get("persona") or "project"), str(row["phase"])
    evidence = (Evidence(history, str(row["hash"])[:8]),)
    failing = [str(gate["id"]) for gate in _failing(row)]
    where = f"{_key(persona)}.{phase}"
    items = tuple(
        Item("finding", f"{where}.{_key(gate)}", _sentence(persona, phase, gate), evidence, "measured")
        for gate in failing[:MOST_ITEMS]
    )
    commit = row.get("git_commit")
    return Briefing(
        id=f"gate-{_key(str(row['id']))}",
        run_id=str(row["id"]),
        agent=AGENT,
        contract=CONTRACT,
        created=str(row["time"]),
        base_commit=str(commit) if commit else "unknown",
        outcome="ok",
        inputs=(Input(history, str(row["hash"])),),
        taint="internal",
        summary=f"Phase {phase} rejected run {row['id']}; {len(failing)} hard gates failed.",
        items=items,
    )


def _sentence(persona: str, phase: str, gate: str) -> str:
    if phase == "release":
        return f"A LoRA of {_plain(persona)} was rejected by the gate {gate}"
    return f"Phase {phase} of {_plain(persona)} was rejected by the gate {gate}"


def _key(text: str) -> str:
    """Return a text as a part of a dotted key."""
    kept = "".join(character if character in _KEY_CHARACTERS else "-" for character in text.lower())
    kept = kept.strip("-_")[:40] or "unnamed"
    return kept if kept[0].isalpha() else f"r{kept}"[:40]


def _plain(text: str) -> str:
    kept = "".join(character for character in text if character.isalnum() or character in " -_")
    return kept[:60].strip() or "a persona"
