"""``python -m benchmarks.training_search_simulation``: does a search find more than chance, trials for trials.

Nothing is trained. A likeness that is written down as a function of the parameters stands in for training, with normal
noise; suggestions come from the code that makes real ones, ``suggest``. Chance is the same code that never gets past
its trials drawn at random.
"""

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

import numpy as np

from benchmarks.arguments import positive
from benchmarks.comparison import Context, Pair
from lifeos.parameter_sweep.training_search import TrainingSearch
from lifeos.parameter_sweep.training_suggestions import STARTUP_TRIALS, suggest
from lifeos.parameter_sweep.training_trials import Trial, best_first

RUNS, SEED, NOISE = 200, 20261129, 0.01
"""Searches a line; the first seed; standard deviation of a likeness around its truth."""
TRIALS = (10, 20, 40)
BEST = 0.7
"""Likeness at the best place of either stand-in."""
SEARCH = {
    "optimizer.learning_rate": {"low": 1e-5, "high": 1e-1, "log": True},
    "rank": {"low": 4, "high": 64, "log": True},
    "caption_dropout": {"low": 0.0, "high": 0.5},
    "optimizer.schedule": {"choices": ["constant", "linear", "cosine"]},
}

Truth = Callable[[Mapping[str, Any]], float | None]
"""Likeness at some parameters; None: that training fails."""


def main(arguments: Sequence[str]) -> int:
    """Run the simulation and print its table; 0: 20 trials and more are shown to beat chance, 1: they are not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training_search_simulation", description=__doc__)
    parser.add_argument("--runs", type=positive, default=RUNS, metavar="N", help=f"searches a line ({RUNS})")
    options = parser.parse_args(arguments)
    found = simulate(options.runs)
    print(table(found))
    shown = [line["gain"] > 2.0 * line["gain_error"] for line in found if line["trials"] >= TRIALS[1]]
    return 0 if all(shown) else 1


def bowl(parameters: Mapping[str, Any]) -> float | None:
    """One best place, and parameters that do not depend on each other."""
    rate = math.log10(parameters["optimizer.learning_rate"]) + 3.0
    rank = math.log2(parameters["rank"] / 16)
    schedule = {"constant": 0.03, "linear": 0.01, "cosine": 0.0}[parameters["optimizer.schedule"]]
    return BEST - 0.08 * rate**2 - 0.01 * rank**2 - 0.3 * parameters["caption_dropout"] ** 2 - schedule


def ridge(parameters: Mapping[str, Any]) -> float | None:
    """A higher rank asks for a lower rate, and a rate ten times too high ends in NaN."""
    rank = math.log2(parameters["rank"] / 16)
    rate = math.log10(parameters["optimizer.learning_rate"]) + 3.0 + 0.3 * rank
    if rate > 1.0:
        return None
    return BEST - 0.1 * rate**2 - 0.3 * abs(parameters["caption_dropout"] - 0.1)


STAND_INS: Mapping[str, Truth] = {"bowl": bowl, "ridge with failures": ridge}


def simulate(runs: int = RUNS, trials: Sequence[int] = TRIALS) -> list[dict[str, Any]]:
    """Return for each stand-in and number of trials the true likeness of what search and chance would choose."""
    lines = []
    for name, truth in STAND_INS.items():
        longest = max(trials)
        by_search = [_walk(truth, SEED + run, longest, STARTUP_TRIALS) for run in range(runs)]
        by_chance = [_walk(truth, SEED + run, longest, longest) for run in range(runs)]
        for count in trials:
            search, chance = ([_chosen(truth, walk[:count]) for walk in walks] for walks in (by_search, by_chance))
            gains = [one - other for one, other in zip(search, chance, strict=True)]
            lines.append({
                "stand_in": name, "trials": count, "runs": runs, "search": fmean(search), "chance": fmean(chance),
                "gain": fmean(gains), "gain_error": stdev(gains) / math.sqrt(runs),
            })  # fmt: skip
    return lines


def search_pair(_: Context, number: int) -> Pair:
    """Return the likeness given up on the ridge after 20 trials, mean of 20: by a search, and by recipes at random."""
    seeds = [SEED + 20 * number + run for run in range(20)]
    search, chance = (fmean(BEST - _chosen(ridge, _walk(ridge, seed, 20, startup)) for seed in seeds)
                      for startup in (STARTUP_TRIALS, 20))  # fmt: skip
    return Pair(search, chance, details={"searches": len(seeds)})


def table(found: Sequence[Mapping[str, Any]]) -> str:
    """Return the lines as a table in Markdown."""
    rows = ["| stand-in | trials | searches | likeness by search | by chance | gain |"]
    rows.append("| --- | --- | --- | --- | --- | --- |")
    rows += [
        f"| {line['stand_in']} | {line['trials']} | {line['runs']} | {line['search']:.4f} | {line['chance']:.4f} | "
        f"{line['gain']:+.4f} +- {line['gain_error']:.4f} |" for line in found
    ]  # fmt: skip
    return "\n".join(rows)


def _walk(truth: Truth, seed: int, count: int, startup: int) -> list[Trial]:
    search = TrainingSearch.model_validate({"trials": count, "seed": seed, "search": SEARCH})
    noise, trials = np.random.default_rng(seed).normal(0.0, NOISE, count), list[Trial]()
    for number in range(count):
        parameters = suggest(search, trials, startup)
        value = truth(parameters)
        if value is None:
            trials.append(Trial(number, "failed", parameters, reason="the loss is NaN"))
            continue
        seen = {"name": "", "likeness": value + float(noise[number]), "standard_error": NOISE, "ruled_out": {},
                "images": 16}  # fmt: skip
        trials.append(Trial(number, "judged", parameters, lora=str(number), candidate=seen))
    return trials


def _chosen(truth: Truth, trials: Sequence[Trial]) -> float:
    ranked = best_first(trials)
    return (truth(ranked[0].parameters) or 0.0) if ranked else 0.0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
