"""The table of outcomes as text: ours, the alternative, the ratio with its spread, the target, the word for it."""

import math
from collections.abc import Sequence

from benchmarks.comparison import NO_TARGET, Comparison, Outcome, target_words

_HEADINGS = ("comparison", "ours", "alternative", "ratio", "spread", "target", "")


def format_table(
    outcomes: Sequence[Outcome], left_out: Sequence[Comparison] = (), apart: Sequence[tuple[str, str]] = ()
) -> str:
    """Return aligned columns; reasons and what the alternatives are stand numbered below, each once.

    Args:
        outcomes: one a row.
        left_out: named below the table: comparisons that were not asked for because they are slow.
        apart: likewise: (module, why) of what has a command of its own.
    """
    rows: list[tuple[str, ...]] = [_HEADINGS]
    remarks: list[str] = []
    for outcome in outcomes:
        told = remark(outcome)
        if told not in remarks:
            remarks.append(told)
        rows.append((*cells(outcome)[:-1], f"{cells(outcome)[-1]} [{remarks.index(told) + 1}]".strip()))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    rows.insert(1, tuple("-" * width for width in widths))
    text = [
        "  ".join(cell.ljust(width) if place in (0, 6) else cell.rjust(width)
                  for place, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]  # fmt: skip
    text += ["", *(f"[{place}] {told}" for place, told in enumerate(remarks, 1))]
    if left_out:
        text += ["", f"slow, so --quick did not run: {', '.join(each.id for each in left_out)}"]
    if apart:
        text += ["", *apart_lines(apart)]
    return "\n".join(text).rstrip()


def apart_lines(apart: Sequence[tuple[str, str]]) -> list[str]:
    """Return what stands below a table or a list of what is not run there: (module, why) each."""
    return ["not run here, each with a command of its own:", *(f"python -m {module}: {why}" for module, why in apart)]


def markdown_table(outcomes: Sequence[Outcome]) -> str:
    """Return the same columns as a table of Markdown, for docs/speed.md."""
    rows = [cells(outcome) for outcome in outcomes]
    head = ["| " + " | ".join(_HEADINGS).rstrip() + " |", "|" + " --- |" * len(_HEADINGS)]
    return "\n".join([*head, *("| " + " | ".join(row) + " |" for row in rows)])


def cells(outcome: Outcome) -> tuple[str, ...]:
    """Return one row, a cell a heading."""
    compared, unit = outcome.comparison, outcome.comparison.unit
    counted = outcome.reason is None
    word = "" if outcome.verdict == NO_TARGET else outcome.verdict
    spread = outcome.spread if counted and len(outcome.pairs) > 1 else None
    ratio = outcome.ratio if counted else None
    # Near one it is the distance from it that counts: memory is predicted to a thousandth.
    words = "{:.4f}".format if ratio is not None and 0.9 < ratio < 1.1 else number
    return (
        compared.id,
        _cell(outcome.our_median if counted else None, unit),
        _cell(outcome.alternative_median if counted else None, unit),
        "-" if ratio is None else f"{words(ratio)} x",
        "-" if spread is None else f"{words(spread[0])} to {words(spread[1])}",
        target_words(compared.target, unit),
        word,
    )


def remark(outcome: Outcome) -> str:
    """Return why a row was not measured, else what stands against what, how often it was run, and the note."""
    if outcome.reason is not None:
        return outcome.reason
    compared, count = outcome.comparison, len(outcome.pairs)
    against = f" against {compared.alternative}; ratio: {compared.direction}" if compared.alternative else ""
    each = "pair" if compared.alternative else "run"
    runs = f"1 {each}" if count == 1 else f"{count} {each}s{' in turn' if compared.alternative else ''}"
    return "; ".join(part for part in (f"{compared.ours}{against}", runs, outcome.note) if part)


def number(value: float) -> str:
    """Return a number with three digits that count, never as a power of ten: ``0.301``, ``5.42``, ``361``."""
    if value == 0.0:
        return "0"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def _cell(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{number(value)} {unit}"
