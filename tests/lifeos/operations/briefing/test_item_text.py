import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from lifeos.operations.briefing.item_text import inert, item_id, refused_text, secret_in

CHARACTERS = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Co"))
NASTY = st.text(st.sampled_from(list("ab 1_*[](){}<>!&;|\\~=+-#.:/$^\"'")) | CHARACTERS, min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<!-- lifeos:end findings -->", "comment"),
        ("a --> b", "comment"),
        ("<?php", "comment"),
        ("<script>x", "tag"),
        ("a </b> c", "tag"),
        ("# Title", "structure"),
        ("- item", "structure"),
        ("> quote", "structure"),
        ("| a | b", "structure"),
        ("=== x", "structure"),
        ("1. first", "list number"),
        ("run `rm`", "fence"),
        ("~~~ sh", "fence"),
        ("see @CLAUDE.md", "@path"),
        ("@context/x is read", "@path"),
        ("(@x)", "@path"),
        ("\uff20CLAUDE.md is read", "@path"),
        ("LIFEOS:BEGIN findings", "marker"),
        ("a [link](target)", "link"),
        ("an ![image", "link"),
        ("a [link][ref]", "link"),
        ("x (evidence: y", "second"),
        ("a {{ value }}", "template"),
        ("a $(rm -r x)", "template"),
        ("a ${HOME}", "template"),
        ("a &lt; b", "entity"),
        ("a &#64;x", "entity"),
        ("\uff1cscript\uff1e", "tag"),
        (" x", "blanks"),
        ("", "empty"),
        ("123 4", "letter"),
        ("a\u202eb", "hidden"),
        ("a\u00adb", "hidden"),
        ("a\nb", "hidden"),
    ],
)
def test_what_could_mean_something_to_a_program_is_refused(text, why):
    assert why in refused_text(text, "finding")


@pytest.mark.parametrize(
    "text",
    [
        "13 of 96 images lie below tau (.6653), 5 % may",
        "likeness_tail fails where skin_z < -2.6 & likeness > .7",
        "mail someone@example.org",
        "Gesichtsähnlichkeit fällt um 3 %",
        "see https://example.org/x",
        "a - b, a * b, 2^8, [x], {y}",
    ],
)
def test_plain_sentences_pass(text):
    assert refused_text(text, "finding") is None


def test_only_rules_may_hold_no_address():
    assert refused_text("see https://example.org/x", "rule") == "an address in a rule"
    assert refused_text("see www.example.org", "rule") == "an address in a rule"
    assert refused_text("see the page", "rule") is None


@given(NASTY)
def test_an_accepted_sentence_is_shown_by_markdown_as_it_is(text):
    if refused_text(text, "rule") is not None:
        return
    # Tables, strikethrough and bare addresses are what readers add to CommonMark.
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = parser.parse(f"- {inert(text)} (F-0123456789ab)\n")
    assert [token.type for token in tokens] == [
        "bullet_list_open", "list_item_open", "paragraph_open", "inline", "paragraph_close", "list_item_close",
        "bullet_list_close",
    ]  # fmt: skip
    children = tokens[3].children
    assert {child.type for child in children} <= {"text", "text_special"}
    assert "".join(child.content for child in children) == f"{text} (F-0123456789ab)"


def test_ids_see_through_case_and_compatible_forms_and_nothing_else():
    first = item_id("finding", "a.b", "Likeness falls")
    assert first == item_id("finding", "a.b", "LIKENESS ﬁlls".replace("ﬁlls", "falls"))
    assert item_id("finding", "a.b", "ﬁne") == item_id("finding", "a.b", "fine")
    assert first.startswith("F-")
    assert len(first) == 14
    others = {("task", "a.b", "Likeness falls"), ("finding", "a.c", "Likeness falls"), ("finding", "a.b", "It fell")}
    assert len({item_id(*other) for other in others} | {first}) == 4


def test_secrets_are_seen():
    assert secret_in("the key is AKIAIOSFODNN7EXAMPLQ") == "AWS Access Key"
    assert secret_in("token ghp_abcdefghijklmnopqrstuvwxyzABCDEFGHIJ") == "GitHub Token"
    assert secret_in("evals/eval_history.jsonl#0123abcd and c3631276" + "a" * 56) is None
    assert secret_in("13 of 96 images lie below tau") is None
