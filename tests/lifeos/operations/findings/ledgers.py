"""Ledger records as tests and hypothesis make them."""

from hypothesis import strategies as st

from lifeos.operations.briefing import item_id
from lifeos.operations.findings.ledger import DECISION_SCHEMA, ITEM_SCHEMA, DecisionRecord, ItemRecord, ledger_of

ZEROS = "0" * 64


def record(text="Likeness falls", **changes):
    """Return an item as a briefing of this project brought it, measured and proven unless said."""
    kind, key = changes.get("kind", "finding"), changes.get("key", "a.b")
    evidence = tuple(changes.get("evidence", ("a.md#01234567",)))
    values = {
        "schema": ITEM_SCHEMA, "id": item_id(kind, key, text), "kind": kind, "key": key, "text": text,
        "evidence": evidence, "resolved": evidence, "confidence": "measured", "taint": "internal", "briefing": "b1",
        "briefing_sha256": ZEROS, "run": "r1", "agent": "builtin", "created": "2026-11-01T00:00:00Z",
    }  # fmt: skip
    return ItemRecord.model_validate(values | changes)


def decision(item, verb="approve", **changes):
    """Return what a person said of an item (a record or an id)."""
    values = {"schema": DECISION_SCHEMA, "item": getattr(item, "id", item), "decision": verb, "by": "Ada",
              "on": "2026-11-10"}  # fmt: skip
    return DecisionRecord.model_validate(values | changes)


TEXTS = ("Likeness falls", "likeness FALLS", "Skin turns to plastic", "The tail fails", "Copies of training pictures")
KINDS = ("finding", "task", "rule")
IDS = sorted({item_id(kind, key, text) for kind in KINDS for key in ("a.b", "a.c") for text in TEXTS})
DAYS = [f"2026-{month:02d}-{day:02d}" for month in (1, 5, 11) for day in (1, 2, 15)]


@st.composite
def records(draw):
    """Draw an item record."""
    kind = draw(st.sampled_from(["finding", "finding", "task", "rule"]))
    letter = {"finding": "F", "task": "T", "rule": "R"}[kind]
    evidence = tuple(draw(st.lists(st.sampled_from(["a.md#01234567", "b.md#89abcdef"]), min_size=1, unique=True)))
    return record(
        draw(st.sampled_from(TEXTS)), kind=kind, key=draw(st.sampled_from(["a.b", "a.c"])), evidence=evidence,
        resolved=evidence if draw(st.integers(0, 3)) else evidence[:-1],
        confidence=draw(st.sampled_from(["measured", "measured", "observed"])),
        taint=draw(st.sampled_from(["internal", "internal", "external"])),
        supersedes=tuple(draw(st.lists(st.sampled_from([i for i in IDS if i[0] == letter]), max_size=1))),
        enforced_by=draw(st.sampled_from([None, "likeness"])) if kind == "rule" else None,
        briefing=draw(st.sampled_from(["b1", "b2", "b3"])), created=f"{draw(st.sampled_from(DAYS))}T00:00:00Z",
    )  # fmt: skip


@st.composite
def decisions(draw):
    """Draw a decision on one of the items that ``records`` draws."""
    item = draw(st.sampled_from(IDS))
    verbs = ["approve", "approve", "reject", "retract"] + (["done"] if item[0] == "T" else [])
    return decision(item, draw(st.sampled_from(verbs)), on=draw(st.sampled_from(DAYS)),
                    until=draw(st.sampled_from([None, *DAYS])))  # fmt: skip


LEDGERS = st.builds(ledger_of, st.lists(records(), max_size=14), st.lists(decisions(), max_size=6))
