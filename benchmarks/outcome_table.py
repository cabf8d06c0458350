"""The table of outcomes as text: ours, the alternative, the ratio with its spread, the target, the word for it."""

from collections.abc import Sequence

from benchmarks.comparison import NO_TARGET, Comparison, Outcome, target_words
from benchmarks.table import number

_HEADINGS = ("comparison", "ours", "alternative", "ratio", "spread", "target", "")


def format_table(outcomes: Sequence[Outcome], left_out: Sequence[Comparison] = ()) -> str:
    """Return aligned columns; reasons and what the alternatives are stand numbered below, each once.

    Args:
        outcomes: one a row.
        left_out: named below the table: comparisons that were not asked for because they are slow.
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
    return "\n".join(text).rstrip()


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
    spread = outcome.spread if counted else None
    return (
        compared.id,
        _cell(outcome.our_median if counted else None, unit),
        _cell(outcome.alternative_median if counted else None, unit),
        _cell(outcome.ratio if counted else None, "x"),
        "-" if spread is None else f"{number(spread[0])} to {number(spread[1])}",
        target_words(compared.target, unit),
        word,
    )


def remark(outcome: Outcome) -> str:
    """Return why a row was not measured, else what stands against what and over how many pairs."""
    if outcome.reason is not None:
        return outcome.reason
    compared = outcome.comparison
    against = f" against {compared.alternative}" if compared.alternative else ""
    taken = f"; ratio: {compared.direction}" if compared.alternative else ""
    return f"{compared.ours}{against}{taken}; {len(outcome.pairs)} pairs in turn"


def _cell(value: float | None, unit: str) -> str:
    return "-" if value is None else f"{number(value)} {unit}"
