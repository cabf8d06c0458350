"""The two planes: files that people and the reducer own, and everything volatile."""

import re
from collections.abc import Iterator

from evals.verdict import Verdict, failed, not_evaluated, passed
from lifeos.operations.briefing.item_text import hidden_character
from lifeos.operations.guard.checkout import Checkout
from lifeos.operations.guard.globs import matches

# Patterns of the control plane; a tracked file in these folders that is on no list is on the wrong side.
CONTROL_FILES = (
    "CLAUDE.md", "PROGRESS.md", "context/session-learnings.md", "context/projects/*/context.md", "agents/*.md",
)  # fmt: skip
CONTROL_DATA = ("context/ledger/items.jsonl", "context/ledger/decisions.jsonl", "context/freshness-exceptions.toml")
CONTROL_FOLDERS = ("context/", "agents/")
DATA_FOLDERS = ("artifacts/",)
LARGEST_CONTROL_BYTES = 12 * 1024
LONGEST_LINE = 1500
_BLOB = re.compile(r"[A-Za-z0-9+/=_-]{200,}")
_STAMP = re.compile(r"\W{0,3}\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_CONFLICT = re.compile(r"^(?:<{7} |={7}$|>{7} )", re.MULTILINE)
_FEWEST_LINES = 8


def control_files(checkout: Checkout) -> list[str]:
    """Return the control files that git tracks, in order; none where git does not answer."""
    return sorted(name for name in checkout.tracked or () if any(matches(name, each) for each in CONTROL_FILES))


def control_plane_verdict(checkout: Checkout) -> Verdict:
    """Hold the tracked files against the two lists, and each control file against what a person would write."""
    if checkout.tracked is None:
        return not_evaluated("git does not list the tracked files; next: git init, git add, git commit")
    problems = list(_problems(checkout))
    if problems:
        return failed(_first(problems), value=len(problems), threshold=0)
    return passed(f"{len(control_files(checkout))} control files are small, plain and tracked", value=0, threshold=0)


def _problems(checkout: Checkout) -> Iterator[str]:
    tracked = checkout.tracked or frozenset()
    for pattern in CONTROL_FILES:
        if not any(matches(name, pattern) for name in tracked):
            yield f"{pattern}: accepted a tracked file, got none"
    for name in sorted(tracked):
        if name.startswith(DATA_FOLDERS):
            yield f"{name}: belongs to the data plane and is tracked; next: git rm --cached {name}"
        elif name.startswith(CONTROL_FOLDERS) and not any(matches(name, each) for each in CONTROL_FILES + CONTROL_DATA):
            yield f"{name}: is on no list of the control plane; next: move it to docs/ or artifacts/"
    for name in control_files(checkout):
        said = _looks_wrong(checkout, name)
        if said is not None:
            yield f"{name}: {said}"


def _looks_wrong(checkout: Checkout, name: str) -> str | None:
    data = checkout.read(name)
    if data is None:
        return "accepted a plain file, got a link, a folder or nothing"
    if len(data) > LARGEST_CONTROL_BYTES:
        return f"accepted at most {LARGEST_CONTROL_BYTES} bytes, got {len(data)}"
    text = checkout.text(name)
    if text is None:
        return "accepted UTF-8, got other bytes"
    if not text.strip():
        return "accepted text, got nothing"
    for number, line in enumerate(text.split("\n"), 1):
        hidden = hidden_character(line, "\t")
        if hidden is not None:
            return f"line {number}: the hidden character {hidden}"
        if len(line) > LONGEST_LINE:
            return f"line {number}: accepted lines that a person writes, got {len(line)} characters"
    if _CONFLICT.search(text):
        return "an unresolved conflict of a merge"
    if _BLOB.search(text):
        return "accepted words, got a run of 200 encoded characters"
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) >= _FEWEST_LINES and sum(bool(_STAMP.match(line)) for line in lines) * 2 > len(lines):
        return "accepted what a person writes, got a log: most lines begin with a time"
    return None


def _first(problems: list[str]) -> str:
    return problems[0] + (f" (and {len(problems) - 1} more)" if len(problems) > 1 else "")
