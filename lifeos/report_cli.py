"""``lifeos report``: one recorded release as a page."""

import json
from pathlib import Path
from typing import Annotated

import typer

from lifeos.cli_options import Artifacts, History, Json, artifacts_path, history_path, row_or_latest

SCHEMA = "lifeos.report/1"


def report(
    row: Annotated[str, typer.Argument(help="Start of a row's id or hash; default: the latest release.")] = "",
    history: History = None,
    artifacts: Artifacts = None,
    with_images: Annotated[
        bool, typer.Option("--with-images", help="Let the summary show the worst pairs; else no image leaves the page.")
    ] = False,
    step_summary: Annotated[
        bool, typer.Option("--step-summary", help="Append the summary to the file that GITHUB_STEP_SUMMARY names.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Write the page of a recorded release, and beside it JUnit XML, a summary in Markdown and a model card.

    They lie in artifacts/reports/ROW/. The page needs no network and holds the judged images; the others hold none.
    """
    import os

    from evals.atomic import write_bytes, write_text
    from evals.history import read
    from lifeos.errors import InputError
    from lifeos.report.junit import junit_xml
    from lifeos.report.model_card import model_card
    from lifeos.report.page import write_page
    from lifeos.report.release_data import gather
    from lifeos.report.step_summary import PICTURE, worst_pairs
    from lifeos.report.step_summary import step_summary as summary_of

    path, folder = history_path(history), artifacts_path(artifacts)
    found = row_or_latest(path, row)
    data = gather(found, read(path), folder)
    out = folder / "reports" / str(found["id"]) / "index.html"
    write_page(data, out)
    summary = summary_of(data, with_images=with_images)
    for name, text in (("junit.xml", junit_xml(found)), ("summary.md", summary), ("README.md", model_card(found))):
        write_text(out.with_name(name), text)
    picture = worst_pairs(data) if with_images else None
    if picture is not None:
        write_bytes(out.with_name(PICTURE), picture)
    if step_summary:
        target = os.environ.get("GITHUB_STEP_SUMMARY")
        if not target:
            raise InputError("--step-summary: accepted GITHUB_STEP_SUMMARY set to a file, got none; next: drop it here")
        with Path(target).open("a", encoding="utf-8", newline="\n") as file:
            file.write(summary)
    shown = sum(pair.candidate.data is not None for pair in data.pairs)
    if as_json:
        print(json.dumps({"schema": SCHEMA, "row": found["id"], "page": str(out), "images": shown}, allow_nan=False))
    else:
        print(out)
        print(f"beside it: junit.xml, summary.md, README.md (model card){f', {PICTURE}' if picture else ''}")
        if data.missing:
            print(f"without images: {data.missing}")
    return 0
