import json

import pytest

from lifeos.errors import InputError
from lifeos.operations.findings.fold import fold
from lifeos.operations.findings.ledger import ledger_of
from lifeos.operations.findings.review import ask, check_decisions, read_review
from tests.lifeos.operations.findings.ledgers import decision, record
from tests.lifeos.operations.findings.test_fold import TODAY

RULE = record("Ask for the tail", kind="rule")
NAMED = record("Ask for copies", kind="rule", key="a.c", enforced_by="copy_image")
WEAK = record("Skin looks odd", confidence="observed", key="a.d")
ENTRIES = fold(ledger_of([RULE, NAMED, WEAK], []), TODAY)


def enforces(name):
    return name in ("likeness_tail", "copy_image")


def walk(*answers):
    lines, said, shown = iter(answers), [], []

    def answer(question):
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    def show(entry, number, count):
        shown.append((entry.id, number, count))

    entries = list(ENTRIES.values())
    found = ask(entries, "Ada", "2026-11-27", show=show, answer=answer, refuse=said.append, enforces=enforces)
    return [(each.item, each.decision, each.reason, each.enforced_by) for each in found], said, shown


def test_a_walk_records_what_was_said_and_asks_a_rule_for_its_gate():
    found, said, shown = walk("s", "a", "likeness_tail", "twice seen", "a", "")
    first, second, third = ENTRIES
    assert found == [(second, "approve", "twice seen", "likeness_tail"), (third, "approve", "", None)]
    assert not said
    assert shown == [(first, 1, 3), (second, 2, 3), (third, 3, 3)]


def test_an_answer_that_means_nothing_is_asked_again():
    found, said, _ = walk("x", "r", "<!-- no -->", "r", "not so", "q")
    assert found == [(WEAK.id, "reject", "not so", None)]
    assert "accepted a, r, t, d, s or q" in said[0]
    assert "comment" in said[1]


@pytest.mark.parametrize("answers", [("q",), (), ("a",)])
def test_quitting_or_an_end_of_input_keeps_what_was_decided(answers):
    assert walk(*answers)[0] == []
    assert len(walk("r", "", *answers)[0]) == 1


def test_a_rule_is_not_approved_without_something_that_holds_it():
    _, said, _ = walk("s", "a", "no_such_gate", "why", "q")
    assert "enforced_by: accepted a gate" in said[0]
    with pytest.raises(InputError, match="enforced_by"):
        check_decisions([decision(RULE)], ENTRIES, enforces)
    check_decisions([decision(NAMED), decision(RULE, enforced_by="likeness_tail")], ENTRIES, enforces)


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([decision("F-0123456789ab")], "accepted an item of the ledger"),
        ([decision(WEAK), decision(WEAK, "reject")], "one decision an item"),
    ],
)
def test_decisions_that_could_have_no_effect_are_refused(records, said):
    with pytest.raises(InputError, match=said):
        check_decisions(records, ENTRIES, enforces)


def test_an_approval_without_evidence_is_refused_and_a_rejection_is_not():
    item = record("Unproven", resolved=())
    entries = fold(ledger_of([item], []), TODAY)
    with pytest.raises(InputError, match="evidence was there"):
        check_decisions([decision(item)], entries, enforces)
    check_decisions([decision(item, "reject")], entries, enforces)


def write(path, **changes):
    content = {"schema": "lifeos.review/1", "decisions": [{"item": WEAK.id, "decision": "approve"}]} | changes
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_file_of_decisions_is_read(tmp_path):
    [found] = read_review(write(tmp_path / "r.json", reviewer="Grace"), None, "2026-11-27")
    assert (found.item, found.by, found.on) == (WEAK.id, "Grace", "2026-11-27")
    [found] = read_review(write(tmp_path / "r.json", reviewer="Grace"), "Ada", "2026-11-27")
    assert found.by == "Ada"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "accepted a reviewer"),
        ({"schema": "x"}, "schema"),
        ({"decisions": []}, "decisions"),
        ({"decisions": [{"item": "x", "decision": "approve"}], "reviewer": "Ada"}, "item"),
        ({"decisions": [{"item": WEAK.id, "decision": "perhaps"}], "reviewer": "Ada"}, "decision"),
        ({"decisions": [{"item": WEAK.id, "decision": "done"}], "reviewer": "Ada"}, "done is for tasks"),
        ({"more": 1}, "more"),
        ({"reviewer": "<b>"}, "by"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, changes, said):
    with pytest.raises(InputError, match=said):
        read_review(write(tmp_path / "r.json", **changes), None, "2026-11-27")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b"x" * (2 << 20)])
def test_bytes_that_are_no_decisions_are_refused(tmp_path, data):
    path = tmp_path / "r.json"
    path.write_bytes(data)
    with pytest.raises(InputError):
        read_review(path, "Ada", "2026-11-27")
    with pytest.raises(InputError):
        read_review(tmp_path / "none.json", "Ada", "2026-11-27")
