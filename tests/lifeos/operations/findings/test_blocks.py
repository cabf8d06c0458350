import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lifeos.errors import InputError
from lifeos.operations.briefing import refused_text
from lifeos.operations.findings.blocks import (
    HandEditedError,
    block_lines,
    empty_block,
    entry_line,
    render_entries,
    replace_block,
)
from lifeos.operations.findings.fold import active, fold
from lifeos.operations.findings.ledger import ledger_of
from tests.lifeos.operations.findings.ledgers import LEDGERS, decision, record
from tests.lifeos.operations.findings.test_fold import TODAY

LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1, max_size=20), max_size=5)
SAFE = LINES.filter(lambda lines: not any("lifeos:" in line for line in lines))
OUTSIDE = st.text(st.characters(codec="utf-8", exclude_characters="<"), max_size=60)


@given(OUTSIDE, OUTSIDE, SAFE, SAFE, st.sampled_from(["\n", "\r\n"]))
def test_bytes_outside_the_block_stay_and_a_second_time_changes_nothing(before, after, first, second, end):
    head = before + end if before else ""
    data = (head + empty_block("findings").replace("\n", end) + after).encode()
    written = replace_block(data, "findings", first, "f.md")
    again = replace_block(written, "findings", second, "f.md")
    for each in (written, again):
        assert each.startswith(head.encode())
        assert each.endswith(after.encode())
    assert replace_block(again, "findings", second, "f.md") == again
    assert replace_block(again, "findings", first, "f.md") == written
    assert replace_block(written, "findings", [], "f.md") == data


def test_windows_line_ends_stay_in_the_block_and_the_hash_agrees():
    data = ("# T\r\n" + empty_block("findings").replace("\n", "\r\n")).encode()
    written = replace_block(data, "findings", ["- one", "- two"], "f.md")
    assert b"\r\n- one\r\n- two\r\n<!-- lifeos:end" in written
    # Git may convert them; the block is the same then.
    unix = written.replace(b"\r\n", b"\n")
    assert replace_block(unix, "findings", ["- one", "- two"], "f.md") == unix
    assert block_lines(written, "findings", "f.md") == ["- one", "- two"]


EDITS = [("- one", "- One"), ("- one\n", ""), ("- one\n", "- one\n- more\n"), ("- one", "- one ")]


@pytest.mark.parametrize("edit", EDITS)
def test_a_block_edited_by_hand_is_not_written_over_unless_told(edit):
    data = replace_block(empty_block("findings").encode(), "findings", ["- one"], "f.md")
    changed = data.decode().replace(*edit).encode()
    with pytest.raises(HandEditedError, match="others"):
        replace_block(changed, "findings", ["- two"], "f.md")
    over = replace_block(changed, "findings", ["- two"], "f.md", overwrite=True)
    assert block_lines(over, "findings", "f.md") == ["- two"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        empty_block("pending-tasks"),
        empty_block("findings") * 2,
        empty_block("findings").replace("lifeos:end findings", "lifeos:end other"),
        empty_block("findings").replace("sha256=", "sha256=x"),
        "> " + empty_block("findings"),
        empty_block("findings").replace("None yet.\n", empty_block("pending-tasks")),
        empty_block("findings").replace("None yet.\n", "None yet."),
    ],
)
def test_a_block_that_is_not_there_once_and_whole_is_refused(text):
    for overwrite in (False, True):
        with pytest.raises(InputError, match="accepted"):
            replace_block(text.encode(), "findings", ["- x"], "f.md", overwrite=overwrite)


def test_a_missing_block_is_named_with_the_lines_that_make_it():
    with pytest.raises(InputError) as caught:
        replace_block(b"# T\n", "findings", [], "f.md")
    lines = str(caught.value).split("there: ")[1].split(" / ")
    assert "\n".join(lines) + "\n" == empty_block("findings")
    assert replace_block(("\n".join(lines) + "\n").encode(), "findings", ["- x"], "f.md")


def entry(item, *decisions):
    return fold(ledger_of([item], decisions), TODAY)[item.id]


def test_a_line_says_what_is_needed_to_ask_on():
    assert entry_line(entry(record("The tail * fails [x]"))) == (
        f"- a.b: The tail \\* fails \\[x\\] ({record('The tail * fails [x]').id}, until 2027-04-30)"
    )
    rule = record("Ask for the tail", kind="rule")
    line = entry_line(entry(rule, decision(rule, enforced_by="likeness_tail")))
    assert line == f"- a.b: Ask for the tail ({rule.id}, enforced by `likeness_tail`)"
    both = ledger_of([record(), record(briefing="b2", evidence=("b.md#01234567",))], [])
    assert "2 times" in entry_line(fold(both, TODAY)[record().id])


@given(LEDGERS, st.integers(60, 2000))
def test_a_block_never_grows_past_its_limit_and_counts_what_it_leaves_out(ledger, limit):
    entries = active(fold(ledger, TODAY), "finding")
    lines = render_entries(entries, limit)
    shown = [line for line in lines if "more do not fit" not in line]
    left = len(entries) - len(shown)
    assert sum(len(line.encode()) + 1 for line in lines) <= max(limit, 61)
    assert (f"- {left} more do not fit here: lifeos promote-findings lists them" in lines) == (left > 0)


def test_what_was_seen_most_often_and_last_stays_in_a_full_block():
    lines = [record(f"Number {n}", key=f"k.n{n}", created=f"2026-11-{n:02d}T00:00:00Z") for n in range(1, 10)]
    again = {"key": "k.n2", "created": "2026-11-02T00:00:00Z"}
    often = [record("Number 2", evidence=(f"b{n}.md#01234567",), **again) for n in "12"]
    entries = active(fold(ledger_of([*lines, *often], []), TODAY), "finding")
    shown = render_entries(entries, 260)
    assert [line.split(":")[0] for line in shown[:-1]] == ["- k.n2", "- k.n8", "- k.n9"]
    assert shown[-1].startswith("- 6 more")


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60))
def test_no_text_leaves_its_block(text):
    if refused_text(text, "finding") is not None:
        return
    line = entry_line(entry(record(text)))
    written = replace_block(empty_block("findings").encode(), "findings", [line], "f.md")
    assert block_lines(written, "findings", "f.md") == [line]
    kinds = [token.type for token in MarkdownIt("commonmark").parse(written.decode())]
    assert kinds.count("list_item_open") == 1
    assert kinds.count("html_block") == 2
