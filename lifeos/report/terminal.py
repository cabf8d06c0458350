"""A gate run on the terminal: the table of gates and the verdict in words."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from evals.verdict import PASSED_SO_FAR, Outcome, Verdict
from lifeos.gate_report import GateResult
from lifeos.manifest import Manifest
from lifeos.report.figure import figure as written
from lifeos.runner import GateRun

if TYPE_CHECKING:
    from rich.console import Console

_PLAIN_WIDTH = 110
_WORDS = {"approved": "APPROVED", "rejected": "REJECTED", "not_evaluated": "NOT EVALUATED"}
_COLOURS = {"approved": "green", "rejected": "red", "not_evaluated": "yellow"}
_OUTCOME_COLOURS = {
    Outcome.PASSED: "green",
    Outcome.FAILED: "red",
    Outcome.NOT_EVALUATED: "yellow",
    Outcome.NOT_APPLICABLE: "bright_black",
}


def show_run(run: GateRun, manifest: Manifest, history: Path, stream: TextIO | None = None) -> None:
    """Write table, reasons and verdict; colours and rules only where ``stream`` (default stdout) is a terminal."""
    console = _console(stream or sys.stdout)
    console.print(_table(run, console))
    _show_reasons(console, run, manifest)
    _show_advice(console, run)
    _show_judge(console, run)
    for reason in run.narrowed:
        console.print(f"not the whole phase: {reason}; a narrowed run approves nothing", markup=False, highlight=False)
    _show_row(console, run, history)
    _show_verdict(console, run)


def figure(verdict: Verdict) -> tuple[str, str, str, str]:
    """Return value, interval, threshold and its source as text; a dash where there is none."""
    interval = verdict.interval
    return (
        written(verdict.value),
        "-" if interval is None else f"{written(interval.low)} to {written(interval.high)}",
        written(verdict.threshold),
        verdict.threshold_source or "-",
    )


def _table(run: GateRun, console: "Console") -> Any:
    from rich.box import ASCII_DOUBLE_HEAD, SIMPLE_HEAD
    from rich.table import Table

    table = Table(
        title=f"Gates of phase {run.phase}",
        box=SIMPLE_HEAD if console.is_terminal else ASCII_DOUBLE_HEAD,
        title_justify="left",
    )
    for name in ("gate", "verdict", "value", "95 % interval", "threshold", "threshold from"):
        table.add_column(name, justify="right" if name in ("value", "threshold") else "left", overflow="fold")
    for result in run.results:
        table.add_row(_name(result), _outcome(result), *figure(result.verdict))
    return table


def _show_reasons(console: "Console", run: GateRun, manifest: Manifest) -> None:
    # One cause often blocks many gates: it is said once.
    by_reason: dict[tuple[Outcome, str], list[GateResult]] = {}
    for result in run.results:
        if result.verdict.blocks:
            by_reason.setdefault((result.verdict.outcome, _cause(result.verdict.reason)), []).append(result)
    for (outcome, reason), results in by_reason.items():
        names = ", ".join(_name(result) for result in results)
        row = manifest.row(results[0].id) if len(results) == 1 else None
        purpose = f" (a pass would prove: {row.proves})" if row is not None else ""
        text = f"{outcome.value.replace('_', ' ')}: {names}: {reason}{purpose}"
        console.print(text, style=_OUTCOME_COLOURS[outcome], markup=False, highlight=False, soft_wrap=True)


def _show_advice(console: "Console", run: GateRun) -> None:
    from evals.where_to_mend import advice

    release = run.release or {}
    row = {
        "verdict": run.verdict,
        "gates": [result.to_json() for result in run.results],
        "metrics": release.get("metrics"),
        "environment": {"source": release.get("source")},
    }
    for found in advice(row):
        text = f"where to mend: {found.stage}: {found.evidence}; next: {found.command}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def _cause(reason: str) -> str:
    # What twenty gates had measured when sampling stopped stands in the table; why it stopped is one cause.
    return reason.split(": ", 1)[0] if reason.startswith(PASSED_SO_FAR) else reason


def _name(result: GateResult) -> str:
    return result.id if result.severity == "hard" else f"{result.id} (soft)"


def _outcome(result: GateResult) -> str:
    colour = _OUTCOME_COLOURS[result.verdict.outcome]
    return f"[{colour}]{result.verdict.outcome.value.replace('_', ' ')}[/{colour}]"


def _show_judge(console: "Console", run: GateRun) -> None:
    release = run.release or {}
    backend = release.get("backend")
    if not backend:
        return
    console.print(
        f"judged {release.get('images')} images with {backend['name']}; licence of its weights: {backend['licence']}",
        markup=False,
        highlight=False,
    )


def _show_row(console: "Console", run: GateRun, history: Path) -> None:
    if run.row is None:
        console.print("nothing was recorded", highlight=False)
        return
    resumed = " (continues a run that was stopped)" if run.resumed else ""
    console.print(f"recorded as row {run.row}{resumed} in {history}", markup=False, highlight=False, soft_wrap=True)
    if run.phase == "release" and (run.release or {}).get("images"):
        console.print(f"its images beside the numbers: lifeos report {run.row}", markup=False, highlight=False)


def _show_verdict(console: "Console", run: GateRun) -> None:
    from rich.panel import Panel
    from rich.text import Text

    word = _WORDS[run.verdict]
    hard = [result for result in run.results if result.severity == "hard"]
    failed = [result.id for result in hard if result.verdict.outcome is Outcome.FAILED]
    unknown = [result.id for result in hard if result.verdict.outcome is Outcome.NOT_EVALUATED]
    parts = []
    if failed:
        parts.append("failed: " + ", ".join(failed))
    if unknown:
        parts.append("not evaluated: " + ", ".join(unknown))
    if not parts:
        passed = sum(result.verdict.outcome is Outcome.PASSED for result in hard)
        parts.append(f"{passed} hard gates passed" if run.verdict == "approved" else "the run was narrowed")
    text = f"{word}  {'; '.join(parts)}"
    if console.is_terminal:
        console.print(Panel(Text(text, style=f"bold {_COLOURS[run.verdict]}"), border_style=_COLOURS[run.verdict]))
    else:
        console.print(text, markup=False, highlight=False, soft_wrap=True)


def _console(stream: TextIO) -> "Console":
    from rich.console import Console

    return Console(file=stream, width=None if stream.isatty() else _PLAIN_WIDTH)
