"""``compare`` and ``history plot``: releases beside each other, in the terminal and as a page."""

import json
from pathlib import Path
from typing import Annotated

import typer

from lifeos.cli_options import (
    Artifacts,
    History,
    Json,
    artifacts_path,
    before_name,
    history_path,
    print_table,
    releases,
)
from lifeos.report.figure import figure

SCHEMA, PLOT_SCHEMA = "lifeos.compare/1", "lifeos.history-plot/1"
_Html = Annotated[Path | None, typer.Option("--html", help="Write a page here too.", metavar="FILE")]
_BARS = "▁▂▃▄▅▆▇█"
_MARKS = {"approved": "✓", "rejected": "✗", "not_evaluated": "?"}
_WORST = 3


def compare_rows(
    one: Annotated[str, typer.Argument(help="Start of a row's id or hash.", metavar="A")],
    other: Annotated[str, typer.Argument(help="Start of another row's.", metavar="B")],
    html: _Html = None,
    history: History = None,
    artifacts: Artifacts = None,
    as_json: Json = False,
) -> int:
    """Compare two recorded releases: metrics, gates, what they were made with, and their pairs of images."""
    from evals.history import find, read
    from lifeos.report.compare import as_release, compare
    from lifeos.report.page import write_page

    path = history_path(history)
    rows = read(path)
    found = compare(find(path, one), find(path, other), rows, artifacts_path(artifacts))
    if html is not None:
        shown = [row for row in releases(rows, path) if row["persona"] == found.one["persona"]]
        write_page(as_release(found, shown), html)
    if as_json:
        print(json.dumps({"schema": SCHEMA, **found.to_json()}, allow_nan=False))
        return 0
    table = [("", str(found.one["id"]), str(found.other["id"]), "difference")]
    table.append(("verdict", str(found.one["verdict"]), str(found.other["verdict"]), ""))
    table += [(name, figure(a), figure(b), _signed(difference)) for name, a, b, difference in found.metrics]
    table += [(f"gate {gate}", a, b, "differs") for gate, a, b in found.gates if a != b]
    print_table(table)
    equal = "made with equal base, plan, references, policy and calibration"
    print(f"made with another {', '.join(found.unequal)}" if found.unequal else equal)
    if found.why_unpaired is not None:
        print(f"no pairs of images: {found.why_unpaired}")
    for pair in found.pairs[:_WORST]:
        print(f"worst pair: {pair.candidate.prompt}, seed {pair.candidate.seed}: {_signed(pair.difference)}")
    if html is not None:
        print(html)
    return 0


def plot_history(
    context: typer.Context, html: _Html = None, history: History = None, as_json: Json = False
) -> int:
    """Draw each metric over the releases of the persona that was judged last, oldest left."""
    from evals.atomic import write_text
    from evals.history import read
    from lifeos.report.compare import NAMES_OF_PHOTOS
    from lifeos.report.history_plot import history_page

    path = history_path(history or before_name(context, "history"))
    found = releases(read(path), path)
    found = [row for row in found if row["persona"] == found[-1]["persona"]]
    names = sorted({name for row in found for name in row["metrics"]} - {*NAMES_OF_PHOTOS})
    series = {name: [(row["metrics"].get(name) or {}).get("mean") for row in found] for name in names}
    if html is not None:
        write_text(html, history_page(found, names))
    if as_json or before_name(context, "json"):
        body = {"rows": [row["id"] for row in found], "verdicts": [row["verdict"] for row in found],
                "metrics": series}  # fmt: skip
        print(json.dumps({"schema": PLOT_SCHEMA, **body}, allow_nan=False))
        return 0
    table = [(str(found[-1]["persona"]), "".join(_MARKS[row["verdict"]] for row in found), "lowest", "highest",
              "now")]  # fmt: skip
    for name, values in series.items():
        known = [value for value in values if value is not None]
        if known:
            table.append((name, bars(values), figure(min(known)), figure(max(known)), figure(values[-1])))
    print_table(table)
    if html is not None:
        print(html)
    return 0


def bars(values: list[float | None]) -> str:
    """Return one character a value, low to high; a dot where there is none."""
    known = [value for value in values if value is not None]
    low, span = min(known, default=0.0), max(known, default=0.0) - min(known, default=0.0)

    def bar(value: float | None) -> str:
        if value is None:
            return "·"
        return _BARS[len(_BARS) // 2] if span == 0.0 else _BARS[min(len(_BARS) - 1, int((value - low) / span * 8))]

    return "".join(bar(value) for value in values)


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4g}"
