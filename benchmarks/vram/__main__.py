"""``python -m benchmarks.vram [published|recipes] [NAME ...]``: predicted against published or measured memory."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.comparison import Outcome, Pair, Target, all_met
from benchmarks.registry import entry
from benchmarks.table import format_table, number
from benchmarks.vram.pairs import peak_and_reserved
from benchmarks.vram.recipes import CASES
from lifeos.errors import InputError
from lifeos.pods.vram.published import published_rows

# What stands in the table was rounded to a ten-thousandth.
_SAME_GIB = 1e-4


def main(arguments: Sequence[str]) -> int:
    """Print the table; 0: every target met, 1: one missed, or nothing was measured, 2: the command was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vram", description=__doc__)
    parser.add_argument("table", nargs="?", choices=("recipes", "published"), default="recipes")
    parser.add_argument("names", nargs="*", help="only rows whose name holds one of these")
    options = parser.parse_args(arguments)
    try:
        outcomes = (published if options.table == "published" else recipes)(options.names or [""])
        if not outcomes:
            raise InputError(f"NAME: accepted part of a row's name, got {' '.join(options.names)}; next: name none")
    except InputError as error:
        print(f"benchmarks.vram: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print(format_table(outcomes))
    return 0 if all_met(outcomes) else 1


def published(names: Sequence[str]) -> list[Outcome]:
    """Return a row for each published one: predicted now, measured by others; the target is what its table says."""
    from benchmarks.vram.published import predicted_gib

    outcomes = []
    for row in published_rows():
        if any(name in row.id for name in names):
            same = Target("ours", row.predicted_gib - _SAME_GIB, row.predicted_gib + _SAME_GIB)
            pair = Pair(predicted_gib(row), row.measured_gib)
            note = "the model was fitted to it" if row.fitted else "the model was not fitted to it"
            outcomes.append(Outcome(replace(entry("vram-published"), id=row.id, target=same), (pair,), note=note))
            _say(row.id, pair)
    return outcomes


def recipes(names: Sequence[str]) -> list[Outcome]:
    """Return two rows a recipe, peak and reserved; without a GPU they have no alternative and no target to meet."""
    outcomes = []
    for case in CASES:
        if any(name in case.name for name in names):
            title = f"{case.name} (sampling)" if case.part == "sampling" else case.name
            rows = [replace(entry(f"vram-{case.part}{kind}"), id=f"{title}{kind.replace('-', ', ')}")
                    for kind in ("", "-reserved")]  # fmt: skip
            try:
                pairs = peak_and_reserved(case)
            except RuntimeError as error:  # torch's word for a GPU that is too small
                outcomes += [Outcome(row, (), str(error).partition("\n")[0]) for row in rows]
                continue
            for row, pair in zip(rows, pairs, strict=True):
                alone = {"alternative": "", "target": None} if pair.alternative is None else {}
                outcomes.append(Outcome(replace(row, **alone), (pair,)))
                _say(row.id, pair)
    return outcomes


def _say(name: str, pair: Pair) -> None:
    against = "no GPU" if pair.alternative is None else f"{pair.alternative:.2f} GiB"
    seconds = "".join(f", {what.replace('_', ' ')} {number(value)}" for what, value in pair.details.items())
    print(f"{name}: {pair.ours:.2f} GiB, {against}{seconds}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
