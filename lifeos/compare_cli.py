"""``compare`` and ``history plot``: releases beside each other, in the terminal and as a page."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

SCHEMA, PLOT_SCHEMA = "lifeos.compare/1", "lifeos.history-plot/1"
_Json = Annotated[bool, typer.Option("--json", help="Answer as one JSON object on stdout.")]
_History = Annotated[str | None, typer.Option("--history", help="History file.", metavar="FILE")]
_Html = Annotated[Path | None, typer.Option("--html", help="Write a page here too.", metavar="FILE")]
_BARS = "▁▂▃▄▅▆▇█"
_MARKS = {"approved": "✓", "rejected": "✗", "not_evaluated": "?"}
_WORST = 3


def compare_rows(
    one: Annotated[str, typer.Argument(help="Start of a row's id or hash.", metavar="A")],
    other: Annotated[str, typer.Argument(help="Start of another row's.", metavar="B")],
    html: _Html = None,
    history: _History = None,
    artifacts: Annotated[
        str | None, typer.Option("--artifacts", help="Folder for images and runs.", metavar="FOLDER")
    ] = None,
    as_json: _Json = False,
) -> int:
    """Compare two recorded releases: metrics, gates, what they were made with, and their pairs of images."""
    from evals.history import find, read
    from lifeos.report.compare import as_release, compare
    from lifeos.report.page import write_page
    from lifeos.settings import load_project

    project = load_project()
    path = Path(history) if history is not None else project.path("history")
    folder = Path(artifacts).absolute() if artifacts is not None else project.path("artifacts")
    rows = read(path)
    found = compare(find(path, one), find(path, other), rows, folder)
    if html is not None:
        releases = [row for row in rows if row.get("phase") == "release" and row["persona"] == found.one["persona"]]
        write_page(as_release(found, releases), html)
    if as_json:
        print(json.dumps({"schema": SCHEMA, **found.to_json()}, allow_nan=False))
        return 0
    table = [("", str(found.one["id"]), str(found.other["id"]), "difference")]
    table.append(("verdict", str(found.one["verdict"]), str(found.other["verdict"]), ""))
    table += [(name, _figure(a), _figure(b), _signed(difference)) for name, a, b, difference in found.metrics]
    table += [(f"gate {gate}", a, b, "differs") for gate, a, b in found.gates if a != b]
    _print_table(table)
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
    context: typer.Context, html: _Html = None, history: _History = None, as_json: _Json = False
) -> int:
    """Draw each metric over the releases of the persona that was judged last, oldest left."""
    from evals.atomic import write_text
    from evals.history import read
    from lifeos.errors import InputError
    from lifeos.report.compare import NAMES_OF_PHOTOS
    from lifeos.report.history_plot import history_page
    from lifeos.settings import load_project

    before: dict[str, Any] = context.obj if isinstance(context.obj, dict) else {}
    given = history or before.get("history")
    path = Path(given) if given is not None else load_project().path("history")
    releases = [row for row in read(path) if row.get("phase") == "release"]
    if not releases:
        raise InputError(f"{path}: accepted a history with a release, got none; next: lifeos gate release")
    releases = [row for row in releases if row["persona"] == releases[-1]["persona"]]
    names = sorted({name for row in releases for name in row["metrics"]} - {*NAMES_OF_PHOTOS})
    series = {name: [(row["metrics"].get(name) or {}).get("mean") for row in releases] for name in names}
    if html is not None:
        write_text(html, history_page(releases, names))
    if as_json or before.get("json"):
        body = {"rows": [row["id"] for row in releases], "verdicts": [row["verdict"] for row in releases],
                "metrics": series}  # fmt: skip
        print(json.dumps({"schema": PLOT_SCHEMA, **body}, allow_nan=False))
        return 0
    table = [(str(releases[-1]["persona"]), "".join(_MARKS[row["verdict"]] for row in releases), "lowest", "highest",
              "now")]  # fmt: skip
    for name, values in series.items():
        known = [value for value in values if value is not None]
        if known:
            table.append((name, bars(values), _figure(min(known)), _figure(max(known)), _figure(values[-1])))
    _print_table(table)
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


def _print_table(table: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4g}"
