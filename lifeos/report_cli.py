"""``lifeos report``: one recorded release as a page."""

import json
from pathlib import Path
from typing import Annotated

import typer

SCHEMA = "lifeos.report/1"


def report(
    row: Annotated[str, typer.Argument(help="Start of a row's id or hash; default: the latest release.")] = "",
    history: Annotated[str | None, typer.Option("--history", help="History file.", metavar="FILE")] = None,
    artifacts: Annotated[
        str | None, typer.Option("--artifacts", help="Folder for images and runs.", metavar="FOLDER")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as one JSON object on stdout.")] = False,
) -> int:
    """Write the page of a recorded release: gates, images, distributions, skin, history, how to reproduce.

    It lies in artifacts/reports/ROW/index.html, needs no network, and holds the judged images.
    """
    from evals.history import find, read
    from lifeos.errors import InputError
    from lifeos.report.page import write_page
    from lifeos.report.release_data import gather
    from lifeos.settings import load_project

    project = load_project()
    path = Path(history) if history is not None else project.path("history")
    folder = Path(artifacts).absolute() if artifacts is not None else project.path("artifacts")
    rows = read(path)
    if row:
        found = find(path, row)
    else:
        releases = [each for each in rows if each.get("phase") == "release"]
        if not releases:
            raise InputError(f"{path}: accepted a history with a release, got none; next: lifeos gate release")
        found = releases[-1]
    data = gather(found, rows, folder)
    out = folder / "reports" / str(found["id"]) / "index.html"
    write_page(data, out)
    shown = sum(pair.candidate.data is not None for pair in data.pairs)
    if as_json:
        print(json.dumps({"schema": SCHEMA, "row": found["id"], "page": str(out), "images": shown}, allow_nan=False))
    else:
        print(out)
        if data.missing:
            print(f"without images: {data.missing}")
    return 0
