"""``where-to-mend``: which stage owns the mending of a LoRA."""

import json
from typing import Annotated

import typer

from lifeos.cli_options import History, Json, history_path, row_or_latest

SCHEMA = "lifeos.where-to-mend/1"


def where_to_mend(
    row: Annotated[str, typer.Argument(help="Start of a row's id or hash; default: the latest release.")] = "",
    history: History = None,
    as_json: Json = False,
) -> int:
    """Name the stage that owns the mending of a row, from the pattern of its failing gates.

    Exit status: 0 answered (an answer may be that no rule fits), 2 no such row.
    """
    from evals.where_to_mend import advice
    from lifeos.errors import InputError

    found = row_or_latest(history_path(history), row)
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
