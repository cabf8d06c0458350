"""The review of captions on the terminal and as JSON: file, caption, what was left out of it, what became of it."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from lifeos.lora.caption.auto_caption import AutoCaption, Row
from lifeos.lora.caption.rules import CaptionRules
from lifeos.lora.caption.sidecars import Status
from lifeos.lora.dataset_lint.finding import printable
from lifeos.lora.dataset_lint.lint import DatasetLint

SCHEMA = "lifeos.captions/1"
MOST_ROWS = 200
_ORDER: tuple[Status, ...] = ("written", "to write", "kept", "refused")
_COLOURS: dict[Status, str] = {"written": "green", "to write": "cyan", "kept": "yellow", "refused": "red"}


def to_json(
    made: AutoCaption, folder: Path, backend: str, rules: CaptionRules, lint: DatasetLint | None, sheet: Path | None
) -> dict[str, Any]:
    """Return the answer of ``lifeos auto-caption --json``; ``lint`` and ``sheet`` are null in a dry run."""
    return {
        "schema": SCHEMA,
        "folder": str(folder),
        "backend": backend,
        "trigger": rules.trigger,
        "class_word": rules.class_word,
        "complete": made.complete,
        "every_picture": made.constant,
        "images": [
            {
                "file": row.image.name,
                "status": row.status,
                "caption": row.caption,
                "raw": row.raw,
                "not_measured": dict(row.missing),
                "removed": [{"text": part.text, "reason": part.reason} for part in row.removed],
                "reason": row.reason,
            }
            for row in made.rows
        ],
        "sheet": None if sheet is None else str(sheet),
        "lint": None if lint is None else lint.to_json(),
    }


def notes(row: Row) -> list[str]:
    """Return what there is to know of one caption beside its text, a line each."""
    lines = [f"{row.status}{': ' + row.reason if row.reason else ''}"]
    if row.status == "kept":
        return lines
    # One reason for all of the face says it once.
    lines += [
        f"not measured: {', '.join(kinds)}: {reason}"
        for reason, kinds in _by_reason(row).items()
        if reason != row.reason
    ]
    return lines + [f"left out: {part.text!r}: {part.reason}" for part in row.removed]


def show_captions(made: AutoCaption, folder: Path, stream: TextIO | None = None) -> None:
    """Write the review to ``stream`` (default stdout): a table on a terminal, lines elsewhere."""
    stream = stream or sys.stdout
    if stream.isatty():
        _show_table(made.rows, stream)
    else:
        for row in made.rows:
            first, *rest = notes(row)
            print(printable(f"{row.image.name}: {first}"), file=stream)
            for line in [*([row.caption] if row.caption else []), *rest]:
                print(f"    {printable(line)}", file=stream)
    for kind, phrase in made.constant.items():
        print(printable(f"in no caption: {phrase!r} ({kind}): every picture shows it"), file=stream)
    print(summary(made, folder), file=stream)


def summary(made: AutoCaption, folder: Path) -> str:
    """Return the outcome as one line."""
    counts = Counter(row.status for row in made.rows)
    parts = [f"{counts[status]} {status}" for status in _ORDER if counts[status]]
    faceless = sum(bool(row.reason) and row.status != "refused" for row in made.rows)
    if faceless:
        parts.append(f"{faceless} not evaluated in part")
    return printable(f"{folder.parent.name}/{folder.name}: {len(made.rows)} images, {', '.join(parts)}")


def _show_table(rows: Sequence[Row], stream: TextIO) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=stream)
    table = Table(box=SIMPLE_HEAD)
    table.add_column("file", overflow="fold")
    table.add_column("caption", overflow="fold", ratio=4)
    table.add_column("", no_wrap=True)
    table.add_column("not said", overflow="fold", ratio=3)
    for row in rows[:MOST_ROWS]:
        why = [row.reason] if row.reason else []
        table.add_row(
            Text(printable(row.image.name)),
            Text(printable(row.caption or "")),
            Text(row.status, style=_COLOURS[row.status]),
            Text("\n".join(printable(line) for line in [*why, *notes(row)[1:]]), style="dim"),
        )
    console.print(table)
    if len(rows) > MOST_ROWS:
        console.print(f"and {len(rows) - MOST_ROWS} more: --json, or | cat", highlight=False)


def _by_reason(row: Row) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for kind, reason in row.missing.items():
        found.setdefault(reason, []).append(kind)
    return found
