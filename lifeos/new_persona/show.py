"""A new persona on the terminal: what is there, what was done, what was left out, and what comes next."""

import sys
from collections.abc import Sequence
from typing import Any, TextIO

from lifeos.lora.dataset_lint.finding import printable, quoted
from lifeos.new_persona.create import NewPersona
from lifeos.new_persona.prepare import LeftOut

SCHEMA = "lifeos.new_persona/1"
MOST_ROWS = 200
_DONE = {
    "turned": "turned upright",
    "colour profile": "brought to sRGB",
    "CMYK": "converted from CMYK",
    "16 bits": "brought to 8 bits",
    "transparency": "with transparent pixels laid on white",
    "cropped": "cut to the trained shape",
    "scaled down": "scaled down",
}


def to_json(made: NewPersona) -> dict[str, Any]:
    """Return the answer of ``lifeos new-persona --json``."""
    plan = made.plan
    return {
        "schema": SCHEMA,
        "persona": str(plan.folder),
        "name": plan.name,
        "trigger": plan.trigger,
        "class_word": plan.request.class_word,
        "base": plan.base,
        "family": plan.request.family,
        "size": list(plan.size),
        "seed": plan.request.seed,
        "faces": plan.request.face_backend if plan.request.faces else None,
        "moments": made.moments,
        "training": dict(made.training),
        "references": dict(made.references),
        "changes": dict(made.changes),
        "left_out": _rows(made.left_out),
        "look_at": _rows(made.look_at),
        "notes": list(plan.notes),
    }


def show_persona(made: NewPersona, stream: TextIO | None = None) -> None:
    """Write what was made to ``stream`` (default stdout)."""
    stream = stream or sys.stdout
    show_left_out(made.left_out, stream)
    for row in made.look_at:
        _line(f"look at {row.name}: {row.reason}", stream)
    done = [f"{count} {_DONE[change]}" for change, count in made.changes.items()]
    _line(f"pictures: {', '.join([*done, 'EXIF and place of none kept'])}", stream)
    plan = made.plan
    looked = f"one face each by {plan.request.face_backend}" if plan.request.faces else "faces not looked at"
    _line(f"{plan.size[0]} x {plan.size[1]} is trained, on {plan.base}; {looked}", stream)
    for note in plan.notes:
        _line(f"note: {note}", stream)
    _line(
        f"{plan.folder}: {len(made.training)} training images, {len(made.references)} references held out, of "
        f"{made.moments} moments (seed {plan.request.seed})",
        stream,
    )
    folder = quoted(plan.folder)
    _line(
        f"next: every caption says {plan.caption!r}; add to each what varies and belongs to the picture (background, "
        "light, expression, clothes, pose), nothing of hair, eyes, skin or beauty",
        stream,
    )
    _line(f"next: lifeos lint-dataset --persona {folder}", stream)
    _line(f"next: lifeos calibrate {folder}", stream)
    _line(f"next: lifeos gate predeploy --persona {folder}", stream)


def show_left_out(left_out: Sequence[LeftOut], stream: TextIO | None = None) -> None:
    """Write the files that were not taken: a table on a terminal, a line each elsewhere."""
    stream = stream or sys.stdout
    if not left_out:
        return
    if not stream.isatty():
        for row in left_out:
            _line(f"left out: {row.name}: {row.reason}", stream)
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=stream)
    table = Table(box=SIMPLE_HEAD)
    table.add_column("left out", overflow="fold", ratio=2)
    table.add_column("because", overflow="fold", ratio=3)
    for row in left_out[:MOST_ROWS]:
        table.add_row(Text(printable(row.name), style="yellow"), Text(printable(row.reason)))
    console.print(table)
    if len(left_out) > MOST_ROWS:
        console.print(f"and {len(left_out) - MOST_ROWS} more: --json, or | cat", highlight=False)


def _rows(left_out: Sequence[LeftOut]) -> list[dict[str, str]]:
    return [{"file": row.name, "reason": row.reason} for row in left_out]


def _line(text: str, stream: TextIO) -> None:
    print(printable(text), file=stream)
