"""``python -m benchmarks.decision_simulation``: how often the decision errs, what it sees, what stopping early saves.

Nothing is timed. Images are drawn from a model of likeness (a level a prompt, noise a seed: a spread at which the sizes
published for 80 % power have about that) and handed to the code that decides releases: ``evals.decision.decide`` and
``evals.early_stop``.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.arguments import positive
from evals.atomic import write_json
from evals.calibration import Calibration
from evals.decision import APPROVE, decide
from evals.early_stop import early_stop
from evals.evidence import Evidence
from evals.image_rows import ImageRow
from evals.inference import clopper_pearson_interval
from evals.policy import load_policy
from evals.rule import Reference, Rule

SCHEMA = "lifeos.decision-simulation/1"
# Standard deviations of paired differences of likeness: between prompts, and of an image's noise within one.
PROMPT_DEVIATION, SEED_DEVIATION = 0.0316, 0.0775
RUNS, SEED = 40_000, 20261127
# (difference, prompts, seeds): sizes published as having 80 % power one-sided at 5 %.
PUBLISHED = ((0.02, 39, 4), (0.02, 27, 8), (0.03, 18, 4), (0.05, 7, 4))
TAU = 0.61
PROMPTS, SEEDS = 24, 4


def main(arguments: Sequence[str]) -> int:
    """Run the simulation and print its tables; 0: every bound holds, 1: one does not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decision_simulation", description=__doc__)
    parser.add_argument("--runs", type=positive, default=RUNS, metavar="N", help=f"releases a line ({RUNS})")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="write decision-simulation.json here")
    options = parser.parse_args(arguments)
    found = simulate(options.runs)
    print(tables(found))
    if options.out is not None:
        write_json(options.out / "decision-simulation.json", found)
    return 0 if all(line["upper"] <= line["limit"] for line in found["false_promotion"]) else 1


def simulate(runs: int = RUNS, seed: int = SEED) -> dict[str, Any]:
    """Return everything that was simulated.

    Args:
        runs: releases of each line of false promotion; power takes a tenth of it, stopping a fortieth.
        seed: of everything drawn.
    """
    rule = load_policy().rules["champion"]
    alone = replace(rule, superior_on=(), also=())
    named = replace(rule, also=())
    return {
        "schema": SCHEMA,
        "seed": seed,
        "prompt_deviation": PROMPT_DEVIATION,
        "seed_deviation": SEED_DEVIATION,
        "margin": -rule.threshold.number,
        "false_promotion": [
            _false_promotion("equal, must be better", named, 0.0, runs, seed),
            _false_promotion("worse by the margin, must be better", named, rule.threshold.number, runs, seed + 1),
            _false_promotion("worse by the margin, not worse is enough", alone, rule.threshold.number, runs, seed + 2),
        ],
        "power": [
            _power(named, size, max(1, runs // 10), seed + 3 + number) for number, size in enumerate(PUBLISHED)
        ],
        "early_stop": [
            stopping(name, max(1, runs // 40), seed + 20 + number) for number, name in enumerate(_MODELS)
        ],
    }


def drawn_rows(
    generator: np.random.Generator, prompts: int, seeds: int, truth: float
) -> tuple[list[ImageRow], list[ImageRow]]:
    """Return rows of a candidate and a champion whose likeness truly differs by ``truth``."""
    differences = truth + generator.normal(0.0, PROMPT_DEVIATION, (prompts, 1))
    differences = differences + generator.normal(0.0, SEED_DEVIATION, (prompts, seeds))
    candidate, champion = [], []
    for prompt in range(prompts):
        for number in range(seeds):
            cell: dict[str, Any] = {"file": "x.png", "prompt": f"P{prompt:02}", "seed": number, "strength": 1.0}
            image = f"{prompt}-{number}"
            champion.append(ImageRow(image=f"c{image}", metrics={"likeness": 0.5}, reasons={}, **cell))
            likeness = 0.5 + float(differences[prompt, number])
            candidate.append(ImageRow(image=image, metrics={"likeness": likeness}, reasons={}, **cell))
    return candidate, champion


def promoted_share(
    rule: Rule, prompts: int, seeds: int, truth: float, runs: int, generator: np.random.Generator
) -> int:
    """Return in how many of ``runs`` releases the candidate is approved over the champion."""
    rule = replace(rule, minimum_images=2, minimum_prompts=2)
    level, promoted = load_policy().level, 0
    for _ in range(runs):
        candidate, champion = drawn_rows(generator, prompts, seeds, truth)
        evidence = Evidence(candidate, rule, level, _plain_number)
        promoted += decide(evidence, champion).verdict == APPROVE
    return promoted


def _plain_number(reference: Reference) -> float:
    return reference.number


def _false_promotion(name: str, rule: Rule, truth: float, runs: int, seed: int) -> dict[str, Any]:
    promoted = promoted_share(rule, PROMPTS, SEEDS, truth, runs, np.random.default_rng(seed))
    interval = clopper_pearson_interval(promoted, runs, 0.90)
    assert interval is not None
    return {
        "case": name, "truth": truth, "prompts": PROMPTS, "seeds": SEEDS, "runs": runs, "promoted": promoted,
        "rate": promoted / runs, "upper": interval.high, "limit": 0.055,
    }  # fmt: skip


def _power(rule: Rule, size: tuple[float, int, int], runs: int, seed: int) -> dict[str, Any]:
    difference, prompts, seeds = size
    found = promoted_share(rule, prompts, seeds, difference, runs, np.random.default_rng(seed))
    return {
        "difference": difference, "prompts": prompts, "seeds": seeds, "runs": runs, "power": found / runs,
        "published": 0.80,
    }  # fmt: skip


def _images(generator: np.random.Generator, mean: float) -> np.ndarray[Any, Any]:
    levels = mean + generator.normal(0.0, 0.03, (PROMPTS, 1))
    return np.clip(levels + generator.normal(0.0, 0.05, (PROMPTS, SEEDS)), -1.0, 1.0)


def _at_the_limit(generator: np.random.Generator) -> np.ndarray[Any, Any]:
    images = np.full(PROMPTS * SEEDS, 0.8)
    images[generator.choice(PROMPTS * SEEDS, 4, replace=False)] = 0.3
    return images.reshape(PROMPTS, SEEDS)


# Likeness of one image, given a generator: what kinds of LoRA come.
_MODELS: dict[str, Callable[[np.random.Generator], np.ndarray[Any, Any]]] = {
    "good (likeness .78)": lambda g: _images(g, 0.78),
    "base without a LoRA (.33)": lambda g: _images(g, 0.33),
    "under-trained (.50)": lambda g: _images(g, 0.50),
    "just under tau (.58)": lambda g: _images(g, 0.58),
    "a tenth of the images lost": lambda g: np.where(g.random((PROMPTS, SEEDS)) < 0.1, 0.3, _images(g, 0.80)),
    "at the tail's limit (4 of 96 below)": _at_the_limit,
}


def stopping(name: str, runs: int, seed: int) -> dict[str, Any]:
    """Draw whole plans, look after each block as a release does, and count images; a plan that passes must go on.

    Args:
        name: kind of LoRA, a key of ``_MODELS``.
        runs: plans.
        seed: of everything drawn.
    """
    model = _MODELS[name]
    policy, generator = load_policy(), np.random.default_rng(seed)
    sequential = policy.sequential
    assert sequential is not None
    calibration = _calibration()
    order = [f"P{number:02}" for number in range(PROMPTS)]
    drawn = stopped = passing = wrongly = 0
    for _ in range(runs):
        likeness = model(generator)
        rows = [_row(prompt, number, float(likeness[place, number]))
                for place, prompt in enumerate(order) for number in range(SEEDS)]  # fmt: skip
        passes = likeness.mean() >= TAU and (likeness < TAU).mean() <= 0.05
        count = PROMPTS
        for look in range(sequential.block, PROMPTS, sequential.block):
            if early_stop(
                rows[: look * SEEDS], calibration, policy, order,
                backend=calibration.backend, domain=calibration.domain,
            ):  # fmt: skip
                count = look
                break
        drawn += count * SEEDS
        stopped += count < PROMPTS
        passing += bool(passes)
        wrongly += bool(passes) and count < PROMPTS
    return {
        "case": name, "runs": runs, "planned": PROMPTS * SEEDS, "mean_images": drawn / runs, "stopped": stopped,
        "passing": passing, "wrongly_stopped": wrongly,
    }  # fmt: skip


def _row(prompt: str, seed: int, likeness: float) -> dict[str, Any]:
    metrics = {"face_count": 1.0, "likeness": likeness, "skin_z": 0.0, "copy_image": 0.0}
    return {"image": f"{prompt}-{seed}", "file": "x.png", "prompt": prompt, "seed": seed, "strength": 1.0,
            "metrics": metrics, "reasons": {}}  # fmt: skip


def _calibration() -> Calibration:
    from evals.policy import calibration_keys

    thresholds: dict[str, float | None] = dict.fromkeys(calibration_keys(), 0.0)
    thresholds |= {"tau": TAU, "skin_z_low": -2.0, "skin_z_high": 2.0}
    return Calibration.from_json({
        "schema": "lifeos.calibration/1", "persona": "simulation", "backend": {"name": "simulation"},
        "domain": {"base": "simulation"}, "references_hash": "0" * 64, "far": 0.01, "centroid": [1.0, 0.0],
        "thresholds": thresholds, "tau_interval": [0.6, None], "tau_group": "nulls", "far_upper": 0.03,
        "skin_bands": {}, "counts": {"references": 16, "impostors": 300},
    })  # fmt: skip


def tables(found: dict[str, Any]) -> str:
    """Return the three tables as Markdown."""
    lines = ["| truth | must it be better? | releases | promoted | rate | upper 95 % bound | at most |",
             "| --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for row in found["false_promotion"]:
        truth, asked = row["case"].split(", ", 1)
        lines.append(
            f"| {truth} ({row['truth']:+.2f}) | {'yes' if asked == 'must be better' else 'no'} | {row['runs']:,} "
            f"| {row['promoted']} | {row['rate']:.2%} | {row['upper']:.2%} | {row['limit']:.1%} |"
        )
    lines += ["", "| true difference | prompts x seeds | releases | power here | published |",
              "| --- | --- | --- | --- | --- |"]  # fmt: skip
    for row in found["power"]:
        lines.append(
            f"| {row['difference']:.2f} | {row['prompts']} x {row['seeds']} | {row['runs']:,} | {row['power']:.1%} "
            f"| {row['published']:.0%} |"
        )
    lines += ["", "| LoRA | plans | stopped early | images drawn, mean | of | plans that pass | of those stopped |",
              "| --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for row in found["early_stop"]:
        lines.append(
            f"| {row['case']} | {row['runs']:,} | {row['stopped']:,} | {row['mean_images']:.1f} | {row['planned']} "
            f"| {row['passing']:,} | {row['wrongly_stopped']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
