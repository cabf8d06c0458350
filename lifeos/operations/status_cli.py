"""``lifeos status``."""

import json
from typing import Annotated

import typer

from lifeos.cli_options import Artifacts, History, Json, artifacts_path, history_path


def status(
    as_of: Annotated[str | None, typer.Option("--as-of", help="Day to judge by; default: HEAD's.")] = None,
    history: History = None,
    artifacts: Artifacts = None,
    as_json: Json = False,
) -> int:
    """Say where things stand, in ten lines, and what to type next."""
    from datetime import UTC, datetime

    from lifeos.errors import InputError
    from lifeos.operations.as_of import read_as_of
    from lifeos.operations.status import read_status, status_lines
    from lifeos.settings import load_project

    project = load_project()
    try:
        day = read_as_of(as_of, project.root)
    except InputError:
        if as_of is not None:
            raise
        # Without a commit there is no day of HEAD; where things stand is asked of today.
        day = datetime.now(UTC).date()
    found = read_status(project, artifacts_path(artifacts), history_path(history).absolute(), day)
    print(json.dumps(found.to_json(), allow_nan=False) if as_json else "\n".join(status_lines(found)))
    return 0
