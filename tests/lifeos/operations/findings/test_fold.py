from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.operations.findings.fold import active, fold, open_for_review
from lifeos.operations.findings.ledger import ledger_of
from tests.lifeos.operations.findings.ledgers import LEDGERS, decision, record, records

TODAY = date(2026, 11, 27)
DATES = st.dates(date(2025, 12, 1), date(2027, 12, 31))


def folded(*lines, as_of=TODAY):
    items = [line for line in lines if hasattr(line, "key")]
    return fold(ledger_of(items, [line for line in lines if line not in items]), as_of)


def status(item, *others, as_of=TODAY):
    return folded(item, *others, as_of=as_of)[item.id].status


@given(LEDGERS, DATES, st.randoms())
def test_order_and_repetition_of_lines_mean_nothing(ledger, as_of, random):
    items, decisions = [*ledger.items, *ledger.items[:3]], [*ledger.decisions, *ledger.decisions[:2]]
    random.shuffle(items)
    random.shuffle(decisions)
    assert fold(type(ledger)(tuple(items), tuple(decisions)), as_of) == fold(ledger, as_of)


@given(LEDGERS, DATES)
def test_of_a_kind_and_key_one_item_at_most_is_active(ledger, as_of):
    entries = fold(ledger, as_of)
    held = [(entry.kind, entry.key) for entry in entries.values() if entry.status == "active"]
    assert len(held) == len(set(held))


@given(LEDGERS, DATES)
def test_what_is_active_has_its_evidence_and_a_right_to_be(ledger, as_of):
    for entry in fold(ledger, as_of).values():
        if entry.status != "active":
            continue
        proven = [each for each in entry.records if set(each.resolved) == set(each.evidence)]
        approved = entry.decision is not None and entry.decision.decision == "approve"
        assert proven
        assert approved or any(each.taint == "internal" for each in proven)
        if entry.kind == "rule":
            assert approved
            assert entry.enforced_by
        if entry.kind == "finding" and not approved:
            assert any(each.confidence == "measured" and each.taint == "internal" for each in proven)
        assert entry.until is None or as_of.isoformat() <= entry.until


@given(LEDGERS, DATES)
def test_the_last_word_of_a_person_holds(ledger, as_of):
    entries = fold(ledger, as_of)
    for entry in entries.values():
        said = [each for each in ledger.decisions if each.item == entry.id]
        if not said:
            continue
        last = max(each.on for each in said)
        words = {each.decision for each in said if each.on == last}
        if "reject" in words:
            assert entry.status == "rejected"
        elif "retract" in words:
            assert entry.status == "retracted"


@given(LEDGERS, records(), DATES)
def test_an_item_seen_again_loses_nothing_by_it(ledger, again, as_of):
    """An item brought again with further evidence stays active and is stronger; an echo changes nothing."""
    before = fold(ledger, as_of)
    entry = before.get(again.id)
    if entry is None or entry.status != "active":
        return
    last = entry.records[-1]
    echo = last.model_copy(update={"briefing": "later", "created": "2026-11-20T00:00:00Z"})
    assert fold(ledger_of([*ledger.items, echo], ledger.decisions), as_of) == before
    more = ("c.md#01234567",)
    further = last.model_copy(update={"briefing": "later", "evidence": more, "resolved": more})
    after = fold(ledger_of([*ledger.items, further], ledger.decisions), as_of)
    assert after[again.id].status == "active"
    assert after[again.id].seen == entry.seen + 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "active"),
        ({"confidence": "observed"}, "waiting"),
        ({"confidence": "inferred"}, "waiting"),
        ({"taint": "external"}, "waiting"),
        ({"resolved": ()}, "waiting"),
        ({"evidence": ("a.md#01234567", "b.md#01234567"), "resolved": ("a.md#01234567",)}, "waiting"),
        ({"kind": "task", "confidence": "inferred"}, "active"),
        ({"kind": "task", "taint": "external"}, "waiting"),
        ({"kind": "task", "resolved": ()}, "waiting"),
        ({"kind": "rule", "enforced_by": "likeness"}, "waiting"),
    ],
)
def test_what_counts_without_a_person(changes, expected):
    assert status(record(**changes)) == expected


@pytest.mark.parametrize(
    ("changes", "said", "expected"),
    [
        ({"confidence": "inferred", "taint": "external"}, {}, "active"),
        ({"resolved": ()}, {}, "waiting"),
        ({"kind": "rule"}, {}, "waiting"),
        ({"kind": "rule"}, {"enforced_by": "likeness"}, "active"),
        ({"kind": "rule", "enforced_by": "likeness"}, {}, "active"),
        ({"kind": "rule", "enforced_by": "likeness", "resolved": ()}, {}, "waiting"),
    ],
)
def test_what_an_approval_lifts_and_what_not(changes, said, expected):
    item = record(**changes)
    assert status(item, decision(item, **said)) == expected


def test_an_approval_counts_from_the_evidence_on():
    old = record("Older", created="2026-11-15T00:00:00Z")
    item = record(confidence="observed", created="2026-11-20T00:00:00Z")
    entries = folded(old, item, decision(item, on="2026-11-10"))
    # Approved before it was proven, and proven after the other came: the other holds the key.
    assert entries[item.id].since == "2026-11-20T00:00:00Z"
    assert [entries[each.id].status for each in (old, item)] == ["active", "conflict"]


def test_two_halves_of_the_evidence_are_no_proof():
    both = ("a.md#01234567", "b.md#01234567")
    first = record(evidence=both, resolved=both[:1])
    assert status(first, record(evidence=both, resolved=both[1:], briefing="b2")) == "waiting"


def test_a_rejection_outlives_every_repetition_until_a_later_approval():
    item = record()
    no = decision(item, "reject", on="2026-11-02")
    again = record(briefing="b9", created="2026-11-20T00:00:00Z")
    assert status(item, again, no) == "rejected"
    assert status(item, again, no, decision(item, on="2026-11-02")) == "rejected"
    assert status(item, again, no, decision(item, on="2026-11-03")) == "active"


def test_the_same_sentence_in_another_case_is_the_same_item_seen_twice():
    more = ("b.md#01234567",)
    entry = folded(record(), record("LIKENESS falls", evidence=more, briefing="b2", created="2026-11-05T00:00:00Z"))
    [only] = entry.values()
    assert (only.seen, only.text) == (2, "Likeness falls")


def test_of_one_key_the_older_stays_and_the_newer_says_so():
    old, new = record(), record("Another sentence", created="2026-11-02T00:00:00Z")
    entries = folded(new, old)
    assert entries[old.id].status == "active"
    assert entries[new.id].status == "conflict"
    assert old.id in entries[new.id].reason
    assert open_for_review(entries) == [entries[new.id]]
    assert status(new, old, decision(old, "retract")) == "active"
    assert status(new, old, as_of=date(2027, 5, 1)) == "active"
    # Both have ended by then.
    assert status(new, old, as_of=date(2027, 5, 2)) == "expired"


def test_a_newer_item_may_hold_a_key_that_was_free_when_it_came():
    old = record(created="2025-12-01T00:00:00Z")
    new = record("Another sentence")
    assert [folded(old, new)[item.id].status for item in (old, new)] == ["expired", "active"]


def test_superseding_takes_the_old_out_and_the_key_over():
    old = record()
    new = record("Another sentence", created="2026-11-02T00:00:00Z", supersedes=(old.id,))
    assert [folded(old, new)[item.id].status for item in (old, new)] == ["superseded", "active"]
    # An end of the new one brings nothing back.
    later = folded(old, new, as_of=date(2028, 1, 1))
    assert [later[item.id].status for item in (old, new)] == ["superseded", "expired"]
    # A no to the new one undoes what it did.
    assert [folded(old, new, decision(new, "reject"))[i.id].status for i in (old, new)] == ["active", "rejected"]
    third = record("A third sentence", created="2026-11-03T00:00:00Z")
    assert status(third, old, new) == "conflict"


def test_superseding_with_another_key_frees_the_old_one():
    old = record()
    new = record("Another sentence", key="a.c", created="2026-11-02T00:00:00Z", supersedes=(old.id,))
    third = record("A third sentence", created="2026-11-03T00:00:00Z")
    assert [folded(old, new, third)[i.id].status for i in (old, new, third)] == ["superseded", "active", "active"]


def test_what_does_not_count_supersedes_nothing():
    old = record()
    weak = record("Another sentence", confidence="observed", created="2026-11-02T00:00:00Z", supersedes=(old.id,))
    assert status(old, weak) == "active"
    older = record("Older", created="2026-10-01T00:00:00Z", supersedes=(old.id,), key="a.c")
    assert status(old, older) == "active"


def test_two_that_supersede_each_other_leave_the_newer():
    one = record("One", supersedes=(record("Two").id,))
    two = record("Two", supersedes=(one.id,), created="2026-11-02T00:00:00Z")
    assert [folded(one, two)[item.id].status for item in (one, two)] == ["superseded", "active"]


@pytest.mark.parametrize(("kind", "last"), [("finding", date(2027, 4, 30)), ("task", date(2027, 1, 30))])
def test_items_end_after_their_days_and_being_seen_again_prolongs_them(kind, last):
    item = record(kind=kind)
    assert status(item, as_of=last) == "active"
    assert status(item, as_of=date.fromordinal(last.toordinal() + 1)) == "expired"
    more = ("b.md#01234567",)
    again = record(kind=kind, briefing="b2", created="2027-01-15T00:00:00Z", evidence=more)
    assert status(item, again, as_of=date.fromordinal(last.toordinal() + 1)) == "active"
    echo = record(kind=kind, briefing="b2", created="2027-01-15T00:00:00Z")
    assert status(item, echo, as_of=date.fromordinal(last.toordinal() + 1)) == "expired"
    unproven = record(kind=kind, briefing="b2", created="2027-01-15T00:00:00Z", resolved=())
    assert status(item, unproven, as_of=date.fromordinal(last.toordinal() + 1)) == "expired"


def test_a_person_sets_another_end():
    item = record()
    assert status(item, decision(item, until="2026-11-26")) == "expired"
    assert status(item, decision(item, until="2026-11-27")) == "active"
    assert status(item, decision(item, until="2030-01-01"), as_of=date(2029, 12, 31)) == "active"


def test_a_done_task_is_done_and_entries_come_in_order_of_kind_and_key():
    task = record("Train longer", kind="task")
    assert status(task, decision(task, "done")) == "done"
    entries = folded(task, record(key="z.z"), record("Two", key="a.a"), record(kind="rule"))
    assert [(e.kind, e.key) for e in entries.values()] == [
        ("finding", "a.a"), ("finding", "z.z"), ("rule", "a.b"), ("task", "a.b"),
    ]  # fmt: skip
    assert [entry.key for entry in active(entries, "finding")] == ["a.a", "z.z"]
