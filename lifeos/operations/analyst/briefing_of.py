"""Observations to a briefing."""

from collections.abc import Mapping, Sequence
from typing import Any

from lifeos.operations.analyst.observations import observe
from lifeos.operations.briefing import Briefing, Input, Item, refused_text
from lifeos.operations.briefing.head import is_path
from lifeos.operations.briefing.parser import KEY, MOST_ITEMS

AGENT = "builtin"


def briefing_of(
    rows: Sequence[Mapping[str, Any]], *, history: str, sha256: str | None, run: str, created: str, contract: str
) -> Briefing:
    """Return the briefing of a history; without an observation it declares that there is no work, and why.

    Args:
        rows: of the history.
        history: its file, relative to the checkout.
        sha256: of the file, or None where there is none.
        run: id of run and briefing.
        created: ``"2026-11-27T07:00:00Z"``.
        contract: file name of the contract.
    """
    items = tuple(_distinct([item for item in observe(rows, history) if _can_be_said(item)])[:MOST_ITEMS])
    ordered = tuple(item for kind in ("finding", "task", "rule") for item in items if item.kind == kind)
    inputs = (Input(history, sha256),) if sha256 is not None else ()
    releases = sum(row.get("phase") == "release" for row in rows)
    summary = f"{len(rows)} rows were read, {releases} of them releases; {len(ordered)} things are worth knowing."
    nothing = "The history shows nothing that is worth a finding." if rows else "There is no history yet."
    return Briefing(
        run, run, AGENT, contract, created, "unknown", "ok" if ordered else "no_work", inputs, "internal", summary,
        ordered, "" if ordered else nothing,
    )  # fmt: skip


def _can_be_said(item: Item) -> bool:
    # A persona's name may hold what a briefing refuses; the observation is left out then, the run is not lost.
    return (
        refused_text(item.text, item.kind) is None
        and KEY.fullmatch(item.key) is not None
        and all(is_path(each.path) for each in item.evidence)
    )


def _distinct(items: list[Item]) -> list[Item]:
    """Keep the first item of each kind and key: later ones say the same of an older row."""
    found: dict[tuple[str, str], Item] = {}
    for item in items:
        found.setdefault((item.kind, item.key), item)
    return list(found.values())
