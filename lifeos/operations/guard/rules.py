"""Every rule of CLAUDE.md names the gate or test that holds it: a rule that nothing enforces is a wish."""

import re
from collections.abc import Callable, Iterator

from evals.verdict import Verdict, failed, not_evaluated, passed
from lifeos.operations.findings.enforcement import enforcer
from lifeos.operations.guard.checkout import Checkout

RULES_FILE = "CLAUDE.md"
_SECTION = re.compile(r"^## .*\brules?\b.*$", re.IGNORECASE)
_NAME = re.compile(r"`([^`]+)`")
_TEST = re.compile(r"tests/\S+")


def rules_verdict(checkout: Checkout) -> Verdict:
    """Hold every item below a heading with the word rule against gates and tests that are there.

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
    """Yield (line, text) of every list item in the sections of rules; continued lines are joined."""
    inside, item, begin = False, "", 0
    for number, line in enumerate([*text.split("\n"), "## end"], 1):
        continues = bool(item) and line.startswith("  ") and line.strip()
        if not continues and item:
            yield begin, item
            item = ""
        if line.startswith("## "):
            inside = _SECTION.match(line) is not None
        elif continues:
            item = f"{item} {line.strip()}"
        elif inside and line.startswith(("- ", "* ")):
            begin, item = number, line[2:].strip()


def _problems(items: list[tuple[int, str]], enforces: Callable[[str], bool]) -> Iterator[str]:
    for number, item in items:
        if re.match(r"\d+ more do not fit here", item):
            continue
        names = _NAME.findall(item)
        gone = [name for name in names if _TEST.fullmatch(name) and name.endswith(".py") and not enforces(name)]
        if gone:
            yield f"line {number}: {gone[0]} is not there"
        elif not any(enforces(name) for name in names):
            yield f"line {number}: names no gate of the manifest and no test file: {item[:60]!r}"
