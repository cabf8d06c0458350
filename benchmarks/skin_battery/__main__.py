"""``python -m benchmarks.skin_battery WORK``: measure the renders of a work folder; tables, JSON and a picture."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.arguments import positive
from benchmarks.skin_battery.measure import ROOT, measure_all, measure_through_autoencoder
from benchmarks.skin_battery.report import draw, tables
from benchmarks.skin_battery.results import results

NAME = "skin-battery"


def main(arguments: Sequence[str]) -> int:
    """Measure and write ``skin-battery.json``, ``.md`` and ``.png``."""
    from evals.atomic import write_text

    options = _parser().parse_args(arguments)
    if not list((options.work / "renders").glob("*.npz")):
        print(f"{options.work}: accepted a folder with renders, got none; "
              "next: python -m benchmarks.skin_battery.renders -h", file=sys.stderr)  # fmt: skip
        return 2
    out = options.out or options.work
    halves = measure_all(options.work, options.workers)
    drawn = measure_through_autoencoder(options.work, options.base)
    found = results(halves, drawn, options.photographs)
    write_text(out / f"{NAME}.json", json.dumps(found, allow_nan=False, separators=(",", ":")) + "\n")
    text = "\n\n".join(f"<!-- {name} -->\n{table}" for name, table in tables(found).items())
    write_text(options.work / f"{NAME}.md", text + "\n")
    draw(found, out / f"{NAME}.png")
    print(text)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.skin_battery", description=__doc__)
    parser.add_argument("work", type=Path, help="folder with the renders of benchmarks.skin_battery.renders")
    parser.add_argument("--photographs", type=Path, metavar="FOLDER", help="photographs beside the two shipped ones")
    parser.add_argument("--base", type=Path, default=ROOT / "models" / "tiny-base", help="whose autoencoder")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="for JSON and picture (default: the work folder)")
    parser.add_argument("--workers", type=positive, default=2)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
