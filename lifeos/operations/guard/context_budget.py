"""How much of the control plane an agent reads: bytes and lines exactly, tokens by estimate."""

import math
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from evals.verdict import Verdict, failed, not_evaluated, passed
from lifeos.operations.guard.checkout import Checkout
from lifeos.operations.guard.globs import matches
from lifeos.operations.guard.planes import control_files

KIB = 1024
BYTES_PER_TOKEN = 3
TOTAL_BYTES = 32 * KIB
DEEPEST_IMPORT = 4
# Pattern to most lines (None: any) and most bytes; the first that matches holds.
LIMITS: Mapping[str, tuple[int | None, int]] = {
    "CLAUDE.md": (150, 8 * KIB),
    "PROGRESS.md": (200, 12 * KIB),
    "context/session-learnings.md": (120, 8 * KIB),
    "context/projects/*/context.md": (200, 12 * KIB),
    "agents/*.md": (None, 8 * KIB),
}
_IMPORT = re.compile(r"(?:^|\s)@((?:\.{0,2}/)?[\w./-]+\.\w+)")


@dataclass(frozen=True)
class Used:
    """One file: lines, bytes, its limits, and its sections by size."""

    name: str
    lines: int
    size: int
    most_lines: int | None
    most_bytes: int | None
    sections: tuple[tuple[str, int], ...]

    @property
    def tokens(self) -> int:
        """Return the estimate: a third of the bytes, rounded up."""
        return math.ceil(self.size / BYTES_PER_TOKEN)

    @property
    def over(self) -> bool:
        """Return whether it is larger than its limits."""
        return (self.most_lines is not None and self.lines > self.most_lines) or (
            self.most_bytes is not None and self.size > self.most_bytes
        )


@dataclass(frozen=True)
class Budget:
    """All files that an agent reads, imports included, and what is wrong with the imports."""

    files: tuple[Used, ...]
    problems: tuple[str, ...]

    @property
    def total(self) -> int:
        """Return the bytes of all files."""
        return sum(used.size for used in self.files)

    def cuts(self) -> list[tuple[str, str, int]]:
        """Return (file, heading, bytes) of all sections, the biggest first."""
        found = [(used.name, heading, size) for used in self.files for heading, size in used.sections]
        return sorted(found, key=lambda cut: (-cut[2], cut[0], cut[1]))


def measure_budget(checkout: Checkout) -> Budget:
    """Measure the control files and whatever CLAUDE.md imports by ``@path``, four hops deep."""
    names = control_files(checkout)
    imported, problems = _imports(checkout)
    files = [_used(checkout, name) for name in [*names, *(name for name in imported if name not in names)]]
    gone = [f"{name}: accepted a plain file, got a link, a folder or nothing" for name in names
            if checkout.read(name) is None]  # fmt: skip
    return Budget(tuple(used for used in files if used is not None), (*gone, *problems))


def budget_verdict(checkout: Checkout) -> Verdict:
    """Judge the budget: each file, and the total."""
    if checkout.tracked is None:
        return not_evaluated("git does not list the tracked files; next: git init, git add, git commit")
    budget = measure_budget(checkout)
    if not budget.files and not budget.problems:
        return not_evaluated("there is no control file; next: lifeos preflight")
    problems = list(budget.problems)
    for used in budget.files:
        if used.over:
            lines = f"{used.most_lines} lines and " if used.most_lines else ""
            got = f"{used.lines} lines and {used.size} bytes"
            problems.append(f"{used.name}: accepted {lines}{used.most_bytes} bytes, got {got}")
    if budget.total > TOTAL_BYTES:
        problems.append(f"accepted {TOTAL_BYTES} bytes in all, got {budget.total}")
    if problems:
        cuts = (f"biggest section: {heading!r} of {name}, {size} bytes; " for name, heading, size in budget.cuts())
        cut = next(cuts, "")
        return failed(f"{problems[0]}; {cut}next: lifeos context-budget",
                      value=budget.total, threshold=TOTAL_BYTES, threshold_source="design")  # fmt: skip
    return passed(f"{len(budget.files)} files hold {budget.total} bytes", value=budget.total, threshold=TOTAL_BYTES,
                  threshold_source="design")  # fmt: skip


def _used(checkout: Checkout, name: str) -> Used | None:
    data = checkout.read(name)
    if data is None:
        return None
    text = data.decode("utf-8", "replace")
    lines, size = next((limit for pattern, limit in LIMITS.items() if matches(name, pattern)), (None, None))
    return Used(name, len(text.splitlines()), len(data), lines, size, tuple(_sections(text)))


def _sections(text: str) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = [("(beginning)", 0)]
    for line in text.splitlines(keepends=True):
        if line.startswith("#"):
            found.append((line.lstrip("#").strip(), 0))
        heading, size = found[-1]
        found[-1] = (heading, size + len(line.encode("utf-8")))
    return [(heading, size) for heading, size in found if size]


def _imports(checkout: Checkout) -> tuple[list[str], list[str]]:
    found: list[str] = []
    problems: list[str] = []

    def follow(name: str, path: tuple[str, ...]) -> None:
        for target in _IMPORT.findall(_without_code(checkout.text(name) or "")):
            place = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
            if place in path:
                problems.append(f"{name}: @{target} imports itself")
            elif place.startswith("..") or checkout.read(place) is None:
                problems.append(f"{name}: @{target} is not there")
            elif len(path) > DEEPEST_IMPORT:
                problems.append(f"{name}: @{target} is more than {DEEPEST_IMPORT} imports deep")
            elif place not in found:
                found.append(place)
                follow(place, (*path, place))

    follow("CLAUDE.md", ("CLAUDE.md",))
    return found, problems


def _without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
