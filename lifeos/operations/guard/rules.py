"""Every rule of CLAUDE.md names the gate or test that holds it: a rule that nothing enforces is a wish."""

import re
from collections.abc import Callable, Iterator

from evals.verdict import Verdict, failed, not_evaluated, passed
from lifeos.operations.findings.enforcement import enforcer
from lifeos.operations.guard.checkout import Checkout

RULES_FILE = "CLAUDE.md"
_HEADING = re.compile(r"(#{1,6}) ")
_ABOUT_RULES = re.compile(r"\brules?\b", re.IGNORECASE)
_BLOCK = re.compile(r"<!-- lifeos:(begin|end) critical-rules\b")
# Nested and numbered items too: what looks like a rule to a reader is one.
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s+(\S.*)")
_NAME = re.compile(r"`([^`]+)`")
_GATES = re.compile(r"\bgates?:?\s+(`[^`]+`(?:(?:,|\s+and|,\s+and)\s+`[^`]+`)*)", re.IGNORECASE)
_TEST = re.compile(r"tests/\S+")
_LEFT_OUT = re.compile(r"\d+ more do not fit here: lifeos promote-findings lists them")


def rules_verdict(checkout: Checkout) -> Verdict:
    """Hold every item below a heading with the word rule, and of the block of rules, against gates and tests.

    Raises:
        InputError: the manifest of gates cannot be read.
    """
    text = checkout.text(RULES_FILE)
    if text is None:
        return not_evaluated(f"{RULES_FILE} cannot be read; next: git checkout {RULES_FILE}")
    items = list(rule_items(text))
    problems = list(_problems(items, enforcer(checkout.root)))
    if problems:
        rest = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return failed(f"{RULES_FILE}: {problems[0]}{rest}", value=len(problems), threshold=0)
    if not items:
        return not_evaluated(f"{RULES_FILE} holds no rule; next: write what holds below '## Rules'")
    return passed(f"{len(items)} rules, each held by a gate or test", value=0, threshold=0)


def rule_items(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of every list item in the sections and the block of rules; continued lines are joined.

    A section reaches to the next heading of its level. The block counts wherever it stands: a heading that loses the
    word rule would otherwise free what promotion wrote below it.
    """
    level, block, item, begin = 0, False, "", 0
    for number, line in enumerate([*text.split("\n"), "# end"], 1):
        heading, marker, starts = _HEADING.match(line), _BLOCK.match(line), _ITEM.match(line)
        continues = bool(item) and starts is None and line.startswith("  ") and bool(line.strip())
        if item and not continues:
            yield begin, item
            item = ""
        if heading is not None and (level == 0 or len(heading[1]) <= level):
            level = len(heading[1]) if _ABOUT_RULES.search(line) else 0
        elif marker is not None:
            block = marker[1] == "begin"
        elif continues:
            item = f"{item} {line.strip()}"
        elif starts is not None and (level or block):
            begin, item = number, starts[1].strip()


def _problems(items: list[tuple[int, str]], enforces: Callable[[str], bool]) -> Iterator[str]:
    for number, item in items:
        if _LEFT_OUT.fullmatch(item):
            continue
        names = _NAME.findall(item)
        gates = [name for listed in _GATES.findall(item) for name in _NAME.findall(listed) if "/" not in name]
        tests = [name for name in names if _TEST.fullmatch(name) and name.endswith(".py")]
        gone = [name for name in (*gates, *tests) if not enforces(name)]
        if gone:
            yield f"line {number}: {gone[0]} is {'not there' if '/' in gone[0] else 'no gate of the manifest'}"
        elif not any(enforces(name) for name in names):
            yield f"line {number}: names no gate of the manifest and no test file: {item[:60]!r}"
