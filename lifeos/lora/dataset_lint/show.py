"""Findings on the terminal: a table where there is one, a line a finding elsewhere; the verdict a gate, last."""

import sys
from typing import TYPE_CHECKING, TextIO

from evals.verdict import Outcome
from lifeos.lora.dataset_lint.finding import printable
from lifeos.lora.dataset_lint.lint import DatasetLint
from lifeos.lora.dataset_lint.rules import GATES, SOFT_GATES

if TYPE_CHECKING:
    from rich.console import Console

MOST_ROWS = 200
_COLOURS = {Outcome.PASSED: "green", Outcome.FAILED: "red", Outcome.NOT_EVALUATED: "yellow"}
_WORDS = {Outcome.PASSED: "PASSED", Outcome.FAILED: "FAILED", Outcome.NOT_EVALUATED: "NOT EVALUATED"}


def show_lint(lint: DatasetLint, stream: TextIO | None = None) -> None:
    """Write findings, gates and verdict to ``stream`` (default stdout)."""
    stream = stream or sys.stdout
    if stream.isatty():
        from rich.console import Console

        _show_table(lint, Console(file=stream))
        return
    for finding in lint.findings:
        print(f"{finding.line} [{finding.rule}]", file=stream)
    for gate in GATES:
        verdict = lint.verdict(gate)
        soft = ", soft" if gate in SOFT_GATES else ""
        print(f"{gate}{soft}: {_WORDS[verdict.outcome]}: {_reason(lint, gate)}", file=stream)
    print(summary(lint), file=stream)


def summary(lint: DatasetLint) -> str:
    """Return the verdict as one line."""
    hard = sum(finding.gate not in SOFT_GATES for finding in lint.findings)
    advice = len(lint.findings) - hard
    parts = [f"{len(lint.dataset.images)} training images, {len(lint.references.images)} references",
             f"{hard} {'finding blocks' if hard == 1 else 'findings block'}"]  # fmt: skip
    if advice:
        parts.append(f"{advice} to look at")
    return printable(f"{_WORDS[lint.outcome]}  {lint.persona.name}: {', '.join(parts)}")


def _reason(lint: DatasetLint, gate: str) -> str:
    found = [finding for finding in lint.findings if finding.gate == gate]
    if found:
        return f"{len(found)} {'finding' if len(found) == 1 else 'findings'}"
    return lint.verdict(gate).reason  # type: ignore[arg-type]


def _show_table(lint: DatasetLint, console: "Console") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    if lint.findings:
        table = Table(box=SIMPLE_HEAD, show_lines=True)
        table.add_column("file", overflow="fold", ratio=3)
        table.add_column("accepted", overflow="fold", ratio=4)
        table.add_column("got", overflow="fold", ratio=4)
        table.add_column("fix", overflow="fold", ratio=5)
        for finding in lint.findings[:MOST_ROWS]:
            colour = "yellow" if finding.gate in SOFT_GATES else "red"
            cells = (finding.accepted, finding.got, finding.fix)
            table.add_row(Text(finding.place, style=colour), *(Text(printable(cell)) for cell in cells))
        console.print(table)
        if len(lint.findings) > MOST_ROWS:
            rest = len(lint.findings) - MOST_ROWS
            console.print(f"and {rest} more: lifeos lint-dataset --json, or | cat", highlight=False)
    for gate in GATES:
        verdict = lint.verdict(gate)
        line = Text(f"{gate:18} ")
        line.append(f"{_WORDS[verdict.outcome]:14} ", style=_COLOURS[verdict.outcome])
        line.append(printable(_reason(lint, gate)))
        console.print(line)
    console.print(Text(summary(lint), style=f"bold {_COLOURS[lint.outcome]}"))
