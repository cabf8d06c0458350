import json

import pytest
from hypothesis import given, settings

from lifeos.errors import InputError
from lifeos.operations.findings.ledger import (
    DECISIONS_FILE,
    FOLDER,
    ITEMS_FILE,
    append_decisions,
    append_items,
    line_of,
    read_ledger,
)
from tests.lifeos.operations.findings.ledgers import LEDGERS, decision, record


@settings(max_examples=30)
@given(LEDGERS)
def test_what_is_appended_is_read_back_and_adding_again_changes_no_byte(ledger):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        append_items(root, ledger.items)
        append_decisions(root, ledger.decisions)
        assert read_ledger(root) == ledger
        before = {path.name: path.read_bytes() for path in (root / FOLDER).glob("*")} if ledger.items else {}
        append_items(root, ledger.items[::-1])
        append_decisions(root, ledger.decisions)
        assert all((root / FOLDER / name).read_bytes() == data for name, data in before.items())


def test_lines_that_stand_stay_as_they_are(tmp_path):
    append_items(tmp_path, [record("One")])
    first = (tmp_path / FOLDER / ITEMS_FILE).read_bytes()
    append_items(tmp_path, [record("One"), record("Two", key="a.c")])
    assert (tmp_path / FOLDER / ITEMS_FILE).read_bytes().startswith(first)
    assert len(read_ledger(tmp_path).items) == 2


def test_a_line_without_its_end_is_no_record(tmp_path):
    append_items(tmp_path, [record("One")])
    path = tmp_path / FOLDER / ITEMS_FILE
    path.write_bytes(path.read_bytes() + b'{"schema": "lifeos.it')
    assert [each.text for each in read_ledger(tmp_path).items] == ["One"]
    append_items(tmp_path, [record("Two", key="a.c")])
    assert {each.text for each in read_ledger(tmp_path).items} == {"One", "Two"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text": "Another"}, "id is not that"),
        ({"key": "a.c"}, "id is not that"),
        ({"text": "<!-- lifeos:end findings -->"}, "comment"),
        ({"resolved": ["x.md#01234567"]}, "no evidence"),
        ({"evidence": []}, "evidence"),
        ({"confidence": "sure"}, "confidence"),
        ({"created": "yesterday"}, "created"),
        ({"more": 1}, "more"),
    ],
)
def test_a_record_that_was_edited_is_refused_with_its_line(tmp_path, changes, said):
    append_items(tmp_path, [record("Two", key="z.z")])
    path = tmp_path / FOLDER / ITEMS_FILE
    line = json.dumps(json.loads(line_of(record())) | changes)
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=f"line 2: .*{said}"):
        read_ledger(tmp_path)
    before = path.read_bytes()
    with pytest.raises(InputError):
        append_items(tmp_path, [record("Three")])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "changes",
    [
        {"on": "2026-02-30"},
        {"on": "today"},
        {"by": ""},
        {"by": "Ada\n"},
        {"by": "@ada"},
        {"by": "<b>"},
        {"reason": "<!-- x -->"},
        {"decision": "done"},
        {"until": "2026-13-01"},
        {"enforced_by": "a b"},
        {"item": "F-1"},
    ],
)
def test_a_decision_that_means_nothing_is_refused(tmp_path, changes):
    line = json.dumps(json.loads(line_of(decision(record()))) | changes)
    (tmp_path / FOLDER).mkdir(parents=True)
    (tmp_path / FOLDER / DECISIONS_FILE).write_text(line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 1"):
        read_ledger(tmp_path)


def test_names_of_people_are_taken():
    for name in ("Ada", "J. R.", "Zoë O'Neill", "李雷", "x"):
        assert decision(record(), by=name).by == name


def test_line_ends_of_windows_change_nothing(tmp_path):
    append_items(tmp_path, [record("One"), record("Two", key="a.c")])
    before = read_ledger(tmp_path)
    path = tmp_path / FOLDER / ITEMS_FILE
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_ledger(tmp_path) == before


@given(LEDGERS, LEDGERS)
def test_an_echo_is_not_kept_and_what_it_leaves_out_changes_no_memory(known, added):
    from datetime import date

    from lifeos.operations.findings.fold import fold
    from lifeos.operations.findings.ledger import ledger_of, without_echoes

    kept = without_echoes(known.items, added.items)
    assert without_echoes([*known.items, *kept], added.items) == []
    day = date(2026, 11, 27)
    whole = fold(ledger_of([*known.items, *added.items], known.decisions), day)
    assert fold(ledger_of([*known.items, *kept], known.decisions), day) == whole
