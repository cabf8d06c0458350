"""``python -m benchmarks.training_stop_simulation``: how often a run is ended that still gained, or one that did not.

Nothing is timed. Looks are drawn from a model of likeness (how much each prompt gains, noise of an image, noise that
all images of a look share because the LoRA of that step is a little better or worse) and handed to
``evals.training_stop``, which decides where real runs end.
"""

import argparse
import sys
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.arguments import positive
from evals.inference import clopper_pearson_interval
from evals.training_stop import ERROR, Look, training_stop

WINDOW, MARGIN, PROMPTS = 3, 0.02, 8
# How differently prompts gain, as a share; noise of an image and of a look in likeness.
PROMPT_SHARE, IMAGE_DEVIATION, LOOK_DEVIATIONS = 0.15, 0.03, (0.005, 0.01)
LOOKS, RUNS, SEED = (8, 16, 32), 1000, 20261129
_ROUNDING = 1e-12

TRUTHS: dict[str, Callable[[NDArray[np.float64], int], NDArray[np.float64]]] = {
    # Exactly the margin while a window has three looks, more when it has grown.
    "gains the margin from window to window": lambda looks, _: MARGIN / WINDOW * looks,
    "nears its end within a sixth of the run": lambda looks, count: 0.35 * (1.0 - np.exp(-looks * 6 / count)),
    "gains nothing": lambda looks, _: 0.0 * looks,
}


def main(arguments: Sequence[str]) -> int:
    """Run the simulation and print its table; 0: the rate of wrong endings is shown to be within bounds, 1: not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training_stop_simulation", description=__doc__)
    parser.add_argument("--runs", type=positive, default=RUNS, metavar="N", help=f"runs a line ({RUNS})")
    rows = simulate(parser.parse_args(arguments).runs)
    print(table(rows))
    return 0 if all(row["upper"] <= ERROR for row in rows) else 1


def simulate(runs: int = RUNS, seed: int = SEED) -> list[dict[str, float | int | str]]:
    """Return a row for every truth, number of looks and noise of a look.

    A run is ended wrongly where the true likeness of its last window lies the margin or more above the one before.
    ``upper`` is the 95 % Clopper-Pearson bound of that rate.
    """
    rows: list[dict[str, float | int | str]] = []
    for truth, curve in TRUTHS.items():
        for looks in LOOKS:
            true = curve(np.arange(1.0, looks + 1.0), looks)
            for deviation in LOOK_DEVIATIONS:
                generator = np.random.default_rng([seed, looks, len(rows)])
                ends = [end for _ in range(runs) if (end := _end(true, deviation, generator)) is not None]
                wrong = sum(_gain(true, end) >= MARGIN - _ROUNDING for end in ends)
                bound = clopper_pearson_interval(wrong, runs)
                assert bound is not None
                rows.append({"truth": truth, "looks": looks, "deviation": deviation, "runs": runs, "ended": len(ends),
                             "wrong": wrong, "upper": bound.high, "mean_look": float(np.mean(ends)) if ends else 0.0})
    return rows


def table(rows: Sequence[dict[str, float | int | str]]) -> str:
    """Return the rows as Markdown."""
    lines = ["| likeness | looks | noise of a look | runs | ended early | at look, mean | ended wrongly |",
             "| --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for row in rows:
        at = f"{row['mean_look']:.1f}" if row["ended"] else "-"
        lines.append(f"| {row['truth']} | {row['looks']} | {row['deviation']} | {row['runs']:,} | {row['ended']} "
                     f"| {at} | {row['wrong']} |")  # fmt: skip
    return "\n".join(lines)


def _end(true: NDArray[np.float64], deviation: float, generator: np.random.Generator) -> int | None:
    """How many looks a run was ended after; None where it was not."""
    slopes = 1.0 + PROMPT_SHARE * generator.normal(size=PROMPTS)
    looks: list[Look] = []
    for number, value in enumerate(true, 1):
        noise = deviation * generator.normal() + IMAGE_DEVIATION * generator.normal(size=PROMPTS)
        likeness = {f"A{place}": float(each) for place, each in enumerate(0.35 + value * slopes + noise)}
        looks.append(Look(number, likeness, copies=0, stands=True))
        if training_stop(looks, WINDOW, MARGIN, len(true)) is not None:
            return number
    return None


def _gain(true: NDArray[np.float64], end: int) -> float:
    size = max(WINDOW, end // 4)
    return float(true[end - size : end].mean() - true[end - 2 * size : end - size].mean())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
