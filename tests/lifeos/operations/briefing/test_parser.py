import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeos.operations.briefing import (
    LARGEST_BYTES,
    Briefing,
    BriefingError,
    Evidence,
    Item,
    parse_briefing,
    render_briefing,
)
from tests.lifeos.operations.briefing import strategies

GOOD = """---
schema: briefing/1
id: run-1
run_id: 20261127T070000-ab12
agent: builtin
contract: agents/pistachio-agent-v3.md
created: 2026-11-27T07:00:00Z
base_commit: unknown
outcome: ok
taint: internal
inputs:
  - path: evals/eval_history.jsonl
    sha256: '{zeros}'
---

## Summary

One release was rejected.

## Findings

- [pistachio.likeness] 13 of 96 images lie below tau (evidence: evals/eval_history.jsonl#0123abcd; confidence: measured)

## Tasks

- [pistachio.retrain] Train with more steps (evidence: evals/eval_history.jsonl#0123abcd; confidence: inferred)

## Rules

- [release.tail] Ask for the tail (evidence: a.md#0123abcd; confidence: inferred; enforced_by: likeness_tail)

## No-work
""".format(zeros="0" * 64)

ROW = "evals/eval_history.jsonl#0123abcd; confidence: measured"
PIECES = [*"\n\r-#[]()`<>@:;|*_ \t>&=~!\\\u00e9\u202e\u200b\x00{}", "```", "## ", "lifeos:end x", "\n\n", "- [a.b] "]


def problems(text):
    with pytest.raises(BriefingError) as caught:
        parse_briefing(text if isinstance(text, bytes) else text.encode(), "b.md")
    assert "\n" not in str(caught.value)
    return caught.value.problems


def without_lines(briefing):
    return dataclasses.replace(briefing, items=tuple(dataclasses.replace(item, line=0) for item in briefing.items))


def test_a_good_briefing_is_read_whole():
    found = parse_briefing(GOOD.encode(), "b.md")
    assert found.created == "2026-11-27T07:00:00Z"
    assert [item.kind for item in found.items] == ["finding", "task", "rule"]
    assert found.items[0] == Item(
        "finding", "pistachio.likeness", "13 of 96 images lie below tau",
        (Evidence("evals/eval_history.jsonl", "0123abcd"),), "measured", line=22,
    )  # fmt: skip
    assert found.items[2].enforced_by == "likeness_tail"
    assert found.summary == "One release was rejected."


def test_line_ends_of_windows_change_nothing():
    assert parse_briefing(GOOD.replace("\n", "\r\n").encode(), "b.md") == parse_briefing(GOOD.encode(), "b.md")


@given(strategies.briefings())
def test_what_is_rendered_is_read_back(briefing):
    assert without_lines(parse_briefing(render_briefing(briefing).encode(), "b.md")) == briefing


@given(st.binary(max_size=400) | st.text(max_size=400).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_no_bytes_do_more_than_be_refused(data):
    assert all(problem.line >= 1 and problem.text for problem in problems(data))


@settings(max_examples=300)
@given(
    st.integers(0, len(GOOD)),
    st.integers(0, 12),
    st.lists(st.sampled_from(PIECES), max_size=6).map("".join),
)
def test_a_changed_briefing_is_refused_or_stays_inert(place, removed, inserted):
    text = GOOD[:place] + inserted + GOOD[place + removed :]
    try:
        found = parse_briefing(text.encode(), "b.md")
    except BriefingError:
        return
    assert isinstance(found, Briefing)
    # What is accepted says itself again: nothing of the file was taken that the briefing does not hold.
    assert without_lines(parse_briefing(render_briefing(found).encode(), "b.md")) == without_lines(found)
    assert len(found.items) == 3 or removed > 0 or inserted


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("## Summary", "## Summery", 16, "heading"),
        ("## Summary", "# Summary", 16, "heading"),
        ("## Summary", "Summary\n-------", 16, "heading"),
        ("## Tasks", "## Findings", 15, "once each"),
        ("- [pistachio.likeness]", "* [pistachio.likeness]", 22, "items with -"),
        ("- [pistachio.likeness]", "1. [pistachio.likeness]", 22, "items with -"),
        ("- [pistachio.likeness]", "    - [pistachio.likeness]", 22, "code_block"),
        ("- [pistachio.likeness]", "> - [pistachio.likeness]", 22, "blockquote"),
        ("## Tasks", "```\n- [a.b] x (evidence: a#01234567; confidence: measured)\n```\n\n## Tasks", 24, "fence"),
        ("## Tasks", "[ref]: /somewhere\n\n## Tasks", 24, "does not show"),
        ("## Tasks", "<div>\n\n## Tasks", 24, "html_block"),
        ("measured)\n", "measured)\n  and more\n", 22, "several lines"),
        ("measured)\n", "measured)\n  - [a.b] x (evidence: a#01234567; confidence: measured)\n", 22, "several lines"),
        ("pistachio.likeness", "Pistachio", 22, "key"),
        ("pistachio.likeness", "../x", 22, "key"),
        ("confidence: measured", "confidence: certain", 22, "confidence"),
        ("; confidence: measured", "", 22, "confidence"),
        ("confidence: measured", "confidence: measured; confidence: measured", 22, "once each"),
        ("confidence: measured", "confidence: measured; enforced_by: likeness", 22, "enforced_by"),
        ("confidence: measured", "confidence: measured; supersedes: T-0123456789ab", 22, "supersedes"),
        ("confidence: measured", "confidence: measured; supersedes: F-1, F-1", 22, "supersedes"),
        ("confidence: measured", "confidence: measured; why: x", 22, "once each"),
        ("enforced_by: likeness_tail", "enforced_by: ../x", 30, "enforced_by"),
        (ROW, "/etc/passwd#0123abcd; confidence: measured", 22, "evidence"),
        (ROW, "a/../b#0123abcd; confidence: measured", 22, "evidence"),
        (ROW, "a#0123abc; confidence: measured", 22, "evidence"),
        ("a.md#0123abcd", "a.md#0123abcd, a.md#0123abcd", 30, "each once"),
        ("a.md#0123abcd", ", ".join(f"a.md#{n:08x}" for n in range(9)), 30, "at most 8"),
        ("13 of 96 images lie below tau", "x" * 241, 22, "241 characters"),
        ("13 of 96 images lie below tau", "<!-- lifeos", 22, "comment"),
        ("One release was rejected.", "See @CLAUDE.md for more", 18, "@path"),
        ("One release was rejected.", "* a list", 18, "below Summary"),
        ("One release was rejected.", "", 33, "says nothing"),
        ("## No-work\n", "## No-work\n\nNothing at all.\n", 35, "there are items"),
        ("outcome: ok", "outcome: no_work", 1, "no_work with 3 items"),
        ("outcome: ok", "outcome: limit_time", 1, "outcome"),
        ("schema: briefing/1", "schema: briefing/2", 1, "schema"),
        ("id: run-1", "id: ../run", 1, "id"),
        ("id: run-1", "id: com1", 1, "id"),
        ("id: run-1", "id: run-1\nid: run-2", 4, "twice"),
        ("created: 2026-11-27T07:00:00Z", "created: 2026-13-27T07:00:00Z", 1, "created"),
        ("created: 2026-11-27T07:00:00Z", "created: 2026-11-27", 1, "created"),
        ("base_commit: unknown", "base_commit: 12", 1, "base_commit"),
        ("taint: internal", "taint: none", 1, "taint"),
        ("contract: agents/", "contract: /agents/", 1, "contract"),
        ("agent: builtin", "agent: builtin\nmood: good", 1, "unknown key"),
        ("agent: builtin\n", "", 1, "agent is missing"),
        ("    sha256: '" + "0" * 64, "    sha256: '0", 1, "inputs"),
        ("- [release.tail]", "- [release.tail] See https://example.org", 30, "address in a rule"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(old, new, line, said):
    assert GOOD.count(old) >= 1
    found = problems(GOOD.replace(old, new, 1))
    assert any(problem.line == line and said in problem.text for problem in found), found


def test_the_same_key_twice_is_refused_within_a_kind_only():
    item = "- [pistachio.likeness] Another sentence (evidence: a.md#0123abcd; confidence: measured)\n"
    found = problems(GOOD.replace("\n## Tasks", f"{item}\n## Tasks", 1))
    assert {problem.line for problem in found} == {22, 23}
    assert parse_briefing(GOOD.replace("pistachio.retrain", "pistachio.likeness").encode(), "b.md")


def test_every_problem_is_told_at_once_and_the_first_in_the_message():
    found = problems(GOOD.replace("measured", "certain").replace("taint: internal", "taint: x"))
    assert [problem.line for problem in found] == [1, 22]


@pytest.mark.parametrize(
    ("data", "line", "said"),
    [
        (b"", 1, "empty"),
        (b" \n\n", 1, "empty"),
        (b"x" * (LARGEST_BYTES + 1), 1, "bytes"),
        (b"\xef\xbb\xbf" + GOOD.encode(), 1, "hidden"),
        (GOOD.encode() + b"\n\xff", 34, "UTF-8"),
        (GOOD.replace("13 of", "13\u202eof").encode(), 22, "U\\+202E"),
        (GOOD.replace("13 of", "13\U000e0041of").encode(), 22, "U\\+E0041"),
        (GOOD.replace("13 of", "13\u200bof").encode(), 22, "U\\+200B"),
        (GOOD.replace("13 of", "13\tof").encode(), 22, "U\\+0009"),
        (GOOD.replace("13 of", "13\x00of").encode(), 22, "U\\+0000"),
        (GOOD.replace("13 of", "13\u2028of").encode(), 22, "U\\+2028"),
    ],
)
def test_bytes_that_are_no_text_are_refused(data, line, said):
    with pytest.raises(BriefingError, match=said) as caught:
        parse_briefing(data, "b.md")
    assert caught.value.problems[0].line == line


def test_more_than_twenty_items_are_refused():
    lines = "".join(f"- [a.b{n}] Text {n} (evidence: a.md#0123abcd; confidence: measured)\n" for n in range(18))
    found = problems(GOOD.replace("\n## Tasks", f"{lines}\n## Tasks", 1))
    assert "21 items" in found[0].text
    assert parse_briefing(GOOD.replace("\n## Tasks", lines.split("\n", 1)[1] + "\n## Tasks", 1).encode(), "b.md")


def test_a_declared_no_work_is_read():
    text = GOOD.replace("outcome: ok", "outcome: no_work")
    text = "\n".join(line for line in text.split("\n") if not line.startswith("- ["))
    found = parse_briefing((text + "\nNothing was released since.\n").encode(), "b.md")
    assert found.items == ()
    assert found.no_work == "Nothing was released since."
    assert "neither an item nor a reason" in problems(text)[-1].text
