import pytest

from evals.verdict import Outcome
from lifeos.operations.guard.rules import rule_items, rules_verdict
from tests.lifeos.operations.guard.world import Place


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def verdict_of(place, *items):
    place.write("CLAUDE.md", "# T\n\n## Rules\n\n" + "".join(f"- {item}\n" for item in items) + "\n## Else\n\n- free\n")
    return rules_verdict(place.look())


@pytest.mark.parametrize(
    "item",
    [
        "Missing is never a pass: gate `likeness`.",
        "Missing is never a pass: `tests/test_one.py`.",
        "Missing is never a pass,\n  which `likeness` holds.",
        "a.b: Ask for the tail (R-0123456789ab, enforced by `likeness`)",
        "3 more do not fit here: lifeos promote-findings lists them",
    ],
)
def test_a_rule_that_something_holds_passes(place, item):
    verdict = verdict_of(place, "One: `likeness`.", item)
    assert verdict.outcome is Outcome.PASSED, verdict.reason


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("Be careful.", "names no gate"),
        ("Be careful: gate `carefulness`.", "carefulness is no gate"),
        ("Be careful: gates `likeness` and `carefulness`.", "carefulness is no gate"),
        ("Be careful: gates `likeness`, `carefulness`.", "carefulness is no gate"),
        ("Be careful: gate `carefulness`, `tests/test_one.py`.", "carefulness is no gate"),
        ("3 more do not fit here, so be careful", "names no gate"),
        ("Be careful: likeness.", "names no gate"),
        ("Be careful: `tests/test_gone.py`.", "tests/test_gone.py is not there"),
        ("Be careful: `likeness`, `tests/test_gone.py`.", "tests/test_gone.py is not there"),
        ("Be careful: `tests/../src/code.py`.", "is not there"),
    ],
)
def test_a_rule_that_nothing_holds_is_named_with_its_line(place, item, said):
    verdict = verdict_of(place, "One: `likeness`.", item)
    assert verdict.outcome is Outcome.FAILED
    assert verdict.reason.startswith("CLAUDE.md: line 6: ")
    assert said in verdict.reason


@pytest.mark.parametrize("item", ["1. Be careful.", "2) Be careful.", "+ Be careful.", " - Be careful.",
                                  "  - Be careful.", "\t* Be careful.", "### Here\n\n- Be careful."])  # fmt: skip
def test_every_kind_of_list_holds_rules(place, item):
    assert verdict_of(place, f"One: `likeness`.\n{item}").outcome is Outcome.FAILED


def test_the_block_of_rules_counts_below_any_heading(place):
    block = "<!-- lifeos:begin critical-rules sha256=0 -->\n- Be careful\n<!-- lifeos:end critical-rules -->\n- free\n"
    place.write("CLAUDE.md", f"# T\n\n## Rules\n\n- One: `likeness`.\n\n## From findings\n\n{block}")
    assert verdict_reason(place) == "CLAUDE.md: line 10: names no gate of the manifest and no test file: 'Be careful'"
    place.write("CLAUDE.md", place.text("CLAUDE.md").replace("- Be careful", "None yet."))
    assert rules_verdict(place.look()).outcome is Outcome.PASSED


def verdict_reason(place):
    return rules_verdict(place.look()).reason


def test_no_rule_or_no_file_cannot_be_told(place):
    assert verdict_of(place).outcome is Outcome.NOT_EVALUATED
    (place.root / "CLAUDE.md").unlink()
    assert rules_verdict(place.look()).outcome is Outcome.NOT_EVALUATED


def test_items_are_joined_and_other_sections_left_alone():
    text = "## Rules that hold\n- one\n  two\n* three\n\ntext\n## Other\n- four\n"
    text += "## The rule\n### A part\n- five\n# Else\n- six"
    assert list(rule_items(text)) == [(2, "one two"), (4, "three"), (11, "five")]
