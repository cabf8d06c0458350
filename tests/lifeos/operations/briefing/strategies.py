"""Briefings as hypothesis draws them."""

from hypothesis import strategies as st

from lifeos.operations.briefing import Briefing, Evidence, Input, Item, refused_text

HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
PATHS = st.from_regex(r"[a-z]{1,6}(/[a-z_]{1,6}){0,2}\.(md|jsonl)", fullmatch=True)
KEYS = st.from_regex(r"[a-z][a-z0-9_-]{0,5}(\.[a-z][a-z0-9_-]{0,5}){0,2}", fullmatch=True)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12)
SENTENCES = st.lists(WORDS, min_size=1, max_size=8).map(" ".join)
EVIDENCE = st.builds(Evidence, PATHS, HEX.map(lambda text: text[:8]))


def items(kind, letter):
    """Draw items of one kind."""
    return st.builds(
        Item,
        st.just(kind),
        KEYS,
        SENTENCES.filter(lambda text: refused_text(text, kind) is None),
        st.lists(EVIDENCE, min_size=1, max_size=3, unique=True).map(tuple),
        st.sampled_from(["measured", "observed", "inferred"]),
        st.lists(HEX.map(lambda text: f"{letter}-{text[:12]}"), max_size=2, unique=True).map(tuple),
        st.none() | KEYS if kind == "rule" else st.none(),
    )


def several(kind, letter):
    """Draw up to three items of one kind, no key twice."""
    return st.lists(items(kind, letter), max_size=3, unique_by=lambda item: item.key).map(tuple)


@st.composite
def briefings(draw):
    """Draw a briefing that the parser takes."""
    found = draw(several("finding", "F")) + draw(several("task", "T")) + draw(several("rule", "R"))
    prose = SENTENCES.filter(lambda text: refused_text(text, "finding") is None)
    outcome = draw(st.sampled_from(["ok", "partial", "blocked"] if found else ["no_work", "partial", "blocked"]))
    return Briefing(
        id=draw(st.from_regex(r"b[a-z0-9-]{0,20}", fullmatch=True)),
        run_id=draw(st.from_regex(r"[A-Z0-9][A-Za-z0-9-]{0,20}", fullmatch=True)),
        agent=draw(st.sampled_from(["builtin", "claude-code", "null-agent"])),
        contract=draw(PATHS),
        created=draw(st.datetimes()).strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0"),
        base_commit=draw(HEX.map(lambda text: text[:40]) | st.just("unknown")),
        outcome=outcome,
        inputs=tuple(draw(st.lists(st.builds(Input, PATHS, HEX), max_size=2))),
        taint=draw(st.sampled_from(["internal", "external"])),
        summary=draw(prose),
        items=found,
        no_work="" if found else draw(prose),
    )
