"""The decision against what people do without one: compare two means, and draw every image of the plan."""

from dataclasses import replace

import numpy as np

from benchmarks.comparison import Context, Pair
from benchmarks.decision_simulation import PROMPTS, SEED, SEEDS, drawn_rows, promoted_share, stopping
from evals.policy import load_policy

RELEASES, PLANS = 1000, 20


def false_promotion_pair(context: Context, number: int) -> Pair:
    """Return how often an equal candidate is promoted: by the shipped rule, and by the higher mean likeness.

    Both see releases of one model of likeness (``decision_simulation``), another seed a pair.
    """
    rule = replace(load_policy().rules["champion"], also=())
    seed = SEED + 1000 + number
    ours = promoted_share(rule, PROMPTS, SEEDS, 0.0, RELEASES, np.random.default_rng(seed))
    generator, higher = np.random.default_rng(seed), 0
    for _ in range(RELEASES):
        candidate, champion = drawn_rows(generator, PROMPTS, SEEDS, 0.0)
        means = [np.mean([row.metrics["likeness"] for row in rows]) for rows in (candidate, champion)]
        higher += bool(means[0] > means[1])
    return Pair(ours / RELEASES, higher / RELEASES, details={"releases": RELEASES})


def images_pair(context: Context, number: int) -> Pair:
    """Return the images drawn of a LoRA that fails, mean of 20 plans: with looks on the way, and all planned ones."""
    found = stopping("under-trained (.50)", PLANS, SEED + 2000 + number)
    return Pair(found["mean_images"], found["planned"], details={"plans": PLANS})
