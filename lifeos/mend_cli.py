"""``where-to-mend``: which stage owns the mending of a rejected LoRA."""

import json
from typing import Annotated

import typer

SCHEMA = "lifeos.where-to-mend/1"


def where_to_mend(
    row: Annotated[str, typer.Argument(help="Start of a row's id or hash; default: the latest release.")] = "",
    history: Annotated[str | None, typer.Option("--history", help="History file.", metavar="FILE")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as one JSON object on stdout.")] = False,
) -> int:
    """Name the stage that owns the mending of a rejected row, from the pattern of its failing gates.

    Exit status: 0 answered (an answer may be that no rule fits), 2 no such row.
    """
    from pathlib import Path

    from evals.history import find, read
    from evals.where_to_mend import advice
    from lifeos.errors import InputError
    from lifeos.settings import load_project

    path = Path(history) if history is not None else load_project().path("history")
    if row:
        found = find(path, row)
    else:
        releases = [each for each in read(path) if each.get("phase") == "release"]
        if not releases:
            raise InputError(f"{path}: accepted a history with a release, got none; next: lifeos gate release")
        found = releases[-1]
    if "gates" not in found:
        raise InputError(f"{row}: accepted a scorecard, got {found.get('schema')}; next: lifeos history")
    given = advice(found)
    if as_json:
        body = {"schema": SCHEMA, "row": found["id"], "advice": [each.to_json() for each in given]}
        print(json.dumps(body, allow_nan=False))
        return 0
    print(f"row {found['id']}: {found['verdict'].replace('_', ' ')}")
    for each in given:
        print(f"{each.stage} ({each.rule}): {each.evidence}\n  next: {each.command}")
    if not given:
        fits = "nothing to mend" if found["verdict"] == "approved" else "no rule fits, and without evidence no advice"
        print(fits)
    return 0
