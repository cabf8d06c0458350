"""``lifeos history``: list, show, verify and merge the append-only log of finished runs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifeos.cli_options import History, Json, before_name, history_path, print_table, utc_now
from lifeos.errors import InputError

if TYPE_CHECKING:
    from evals.history_index import Entry

app = typer.Typer(
    help="The append-only log of finished runs.",
    invoke_without_command=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

_SCHEMA = "lifeos.history/1"
_COLUMNS = ("id", "phase", "persona", "verdict", "reused")


@app.callback()
def list_rows(
    context: typer.Context,
    persona: Annotated[str, typer.Option("--persona", help="Rows of this persona alone.", metavar="NAME")] = "",
    phase: Annotated[str, typer.Option("--phase", help="Rows of this phase alone.", metavar="PHASE")] = "",
    verdict: Annotated[str, typer.Option("--verdict", help="Rows with this verdict alone.", metavar="VERDICT")] = "",
    last: Annotated[int | None, typer.Option("--last", help="The last so many of them.", min=1, metavar="N")] = None,
    as_json: Json = False,
    history: History = None,
) -> int:
    """List rows, oldest first; or show, verify and merge."""
    if context.invoked_subcommand is not None:
        # Sub-commands look here for options that were given before their name.
        context.obj = {"json": as_json, "history": history}
        return 0
    from evals.history_index import entries, rows

    path = history_path(history)
    given = {"persona": persona, "phase": phase, "verdict": verdict}
    asked = {name: value for name, value in given.items() if value}
    if as_json:
        _print_json({"history": str(path), "rows": rows(path, last=last, **asked)})
        return 0
    found = entries(path, last=last, **asked)
    if not found:
        wanted = " ".join(f"{name} {value}" for name, value in asked.items())
        print(f"{path}: no row with {wanted}; next: lifeos history" if asked else
              f"{path}: nothing was recorded yet; next: lifeos gate release")  # fmt: skip
        return 0
    print_table([_COLUMNS, *[tuple(_cell(entry, name) for name in _COLUMNS) for entry in found]])
    return 0


@app.command()
def show(
    context: typer.Context,
    row: Annotated[str, typer.Argument(help="Start of a row's id or hash.", metavar="ID")],
    as_json: Json = False,
    history: History = None,
) -> int:
    """Show one row."""
    from evals.history import find

    found = find(history_path(history or before_name(context, "history")), row)
    if as_json or before_name(context, "json"):
        _print_json({"row": found})
        return 0
    print(json.dumps({key: value for key, value in found.items() if key != "gates"}, indent=2, allow_nan=False))
    for gate in found.get("gates", []):
        print(f"{gate['verdict']:15} {gate['id']} ({gate['severity']}): {gate['reason']}")
    return 0


@app.command()
def verify(context: typer.Context, as_json: Json = False, history: History = None) -> int:
    """Derive every hash again; exit status 1 when the chain is broken."""
    from evals.history import verify as verify_history

    path = history_path(history or before_name(context, "history"))
    if not path.exists():
        raise InputError(f"{path}: accepted a history file, got none there; next: lifeos gate release")
    found = verify_history(path)
    if as_json or before_name(context, "json"):
        _print_json(
            {
                "history": str(path),
                "rows": found.rows,
                "tips": list(found.tips),
                "problems": list(found.problems),
                "torn": list(found.torn),
            }
        )
        return 1 if found.problems else 0
    for problem in found.problems:
        print(problem)
    for name in found.torn:
        print(f"a torn line was moved aside: {name}")
    if len(found.tips) > 1:
        print(f"{len(found.tips)} rows end the chain: a fork; next: lifeos history merge {path}")
    print(f"{path}: {found.rows} rows, {'BROKEN' if found.problems else 'every hash derives again'}")
    return 1 if found.problems else 0


@app.command()
def merge(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="The other history.", metavar="FILE")],
    as_json: Json = False,
    history: History = None,
) -> int:
    """Bring the rows of another history in and append a row that joins both ends."""
    from evals.history import merge as merge_history

    path = history_path(history or before_name(context, "history"))
    row = merge_history(path, file, time=utc_now())
    if as_json or before_name(context, "json"):
        _print_json({"row": row})
    else:
        print(f"{path}: ends with row {row['id']}")
    return 0


def _cell(entry: "Entry", name: str) -> str:
    if name == "reused":
        return "-" if entry.reused is None else str(entry.reused)
    text = entry.facts[name]
    if text is None and name == "phase":
        # Reviews and selections have no phase: their kind stands there.
        return (entry.facts["schema"] or "-").removeprefix("lifeos.").split("/")[0]
    return "-" if text is None else text


def _print_json(body: dict[str, Any]) -> None:
    print(json.dumps({"schema": _SCHEMA, **body}, allow_nan=False))
