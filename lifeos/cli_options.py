"""What several commands share: options, where history and data lie, which row is meant, what time it is."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from lifeos.errors import InputError

Json = Annotated[bool, typer.Option("--json", help="Answer as one JSON object on stdout.")]
History = Annotated[str | None, typer.Option("--history", help="History file.", metavar="FILE")]
Artifacts = Annotated[str | None, typer.Option("--artifacts", help="Folder for images and runs.", metavar="FOLDER")]
Persona = Annotated[str | None, typer.Option("--persona", help="Persona folder.", metavar="FOLDER")]
Policy = Annotated[str | None, typer.Option("--policy", help="Thresholds of the judge.", metavar="FILE")]


def history_path(given: str | None) -> Path:
    """Return the history that an option names, else the project's.

    Raises:
        InputError: the settings cannot be read.
    """
    return _given_or("history", given)


def artifacts_path(given: str | None) -> Path:
    """Return the data folder that an option names, absolute, else the project's; raises as ``history_path``."""
    return _given_or("artifacts", given).absolute()


def before_name(context: typer.Context, name: str) -> Any:
    """Return an option that was given before the name of a sub-command, or None."""
    return context.obj.get(name) if isinstance(context.obj, dict) else None


def releases(rows: Sequence[Mapping[str, Any]], path: Path) -> list[Mapping[str, Any]]:
    """Return the rows of phase release, in file order.

    Args:
        rows: of a history.
        path: its file, for the message.

    Raises:
        InputError: there is none.
    """
    found = [row for row in rows if row.get("phase") == "release"]
    if not found:
        raise InputError(f"{path}: accepted a history with a release, got none; next: lifeos gate release")
    return found


def row_or_latest(path: Path, row: str) -> Mapping[str, Any]:
    """Return the row whose id or hash starts with ``row``; of an empty text the latest release.

    Raises:
        InputError: as ``evals.history.find`` and ``releases``.
    """
    from evals.history import find, read

    return find(path, row) if row else releases(read(path), path)[-1]


def utc_now() -> str:
    """Return the time as rows hold it, ``"2026-11-23T20:29:00Z"``."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def print_table(table: Sequence[Sequence[str]]) -> None:
    """Print rows of equally many cells in aligned columns."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _given_or(name: str, given: str | None) -> Path:
    from lifeos.settings import load_project

    return Path(given) if given is not None else load_project().path(name)
