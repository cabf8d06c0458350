"""``python -m benchmarks.page``: every comparison over commits on one page that needs no other file."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.__main__ import RESULTS
from benchmarks.chart import Chart, charts_of, machines_of
from benchmarks.comparison import UNMEASURED
from benchmarks.results import read
from lifeos.errors import InputError
from lifeos.settings import load_project

TEMPLATE = Path(__file__).with_name("page.html.j2")


def page(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the page.

    Args:
        lines: of results files (``benchmarks.results.read``), in any order.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    ordered = sorted(lines, key=lambda line: str(line["time"]))
    drawn = charts_of(ordered)
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        charts=drawn, machines=machines_of(ordered), runs=len(ordered), unmeasured=unmeasured(ordered, drawn)
    )


def unmeasured(lines: Sequence[Mapping[str, Any]], drawn: Sequence[Chart]) -> list[dict[str, str]]:
    """Return each comparison that no line measured, with the reason of the newest one."""
    found: dict[str, dict[str, str]] = {}
    for line in lines:
        for row in line["comparisons"]:
            if row["verdict"] == UNMEASURED:
                reason = row["reason"] or "no pair was run"
                found[row["id"]] = {"id": row["id"], "title": row["title"], "reason": reason}
    measured = {chart.id for chart in drawn}
    return [row for name, row in found.items() if name not in measured]


def main(arguments: Sequence[str]) -> int:
    """Write the page; 0: written, 2: the command was wrong."""
    from evals.atomic import write_text

    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--results", type=Path, nargs="+", metavar="FILE",
                        help=f"of one machine or of several (artifacts/{RESULTS.as_posix()})")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE", help="the page (results.html beside the first)")
    options = parser.parse_args(arguments)
    try:
        files = options.results or [load_project().path("artifacts") / RESULTS]
        text = page([line for file in files for line in read(file)])
    except InputError as error:
        print(f"benchmarks.page: {error}", file=sys.stderr)
        return 2
    out = options.out or files[0].with_suffix(".html")
    write_text(out, text)
    print(out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
