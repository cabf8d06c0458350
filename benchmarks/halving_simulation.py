"""How often successive halving loses the truly best cell: ``python -m benchmarks.halving_simulation``."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.comparison import Context, Pair
from evals.successive_halving import Standing, blocks_of, departures

PROMPTS = 8
REPETITIONS = 2_000
SEED = 20261129


@dataclass(frozen=True)
class Case:
    """A field and how it is halved.

    Args:
        cells: how many.
        block: prompts a block; ``PROMPTS`` is the whole grid.
        spread: standard deviation of the cells' true likeness.
        noise: of what a cell's mean over seeds at one prompt is off by, beyond what the prompt is off by for all.
    """

    cells: int
    block: int
    spread: float
    noise: float


@dataclass(frozen=True)
class Result:
    """What came of a case.

    Args:
        lost: share of repetitions in which the truly best cell left before the end.
        chosen: share in which it was chosen.
        regret: mean of the best true likeness less that of the chosen cell.
        drawn: images drawn as a share of the whole grid's.
    """

    lost: float
    chosen: float
    regret: float
    drawn: float


def simulate(
    case: Case, keep: float = 0.5, fewest: int = 2, repetitions: int = REPETITIONS, seed: int = SEED
) -> Result:
    """Return how a case goes; equal arguments give equal results."""
    generator = np.random.default_rng(seed)
    lost = chosen = drawn = 0
    regret = 0.0
    for _ in range(repetitions):
        truth = generator.normal(0.65, case.spread, case.cells)
        seen = truth[:, None] + generator.normal(0.0, 0.05, PROMPTS) + generator.normal(
            0.0, case.noise, (case.cells, PROMPTS)
        )  # fmt: skip
        standing = list(range(case.cells))
        done = 0
        for block in blocks_of([str(prompt) for prompt in range(PROMPTS)], case.block):
            done += len(block)
            drawn += len(standing) * len(block)
            if done < PROMPTS:
                field = [Standing({str(p): float(seen[cell, p]) for p in range(done)}, False) for cell in standing]
                gone = {departure.place for departure in departures(field, keep, fewest)}
                standing = [cell for at, cell in enumerate(standing) if at not in gone]
        best, found = int(truth.argmax()), max(standing, key=lambda cell: float(seen[cell].mean()))
        lost += best not in standing
        chosen += best == found
        regret += float(truth[best] - truth[found])
    return Result(lost / repetitions, chosen / repetitions, regret / repetitions,
                  drawn / (repetitions * case.cells * PROMPTS))  # fmt: skip


def images_pair(_: Context, number: int) -> Pair:
    """Return the images that 27 cells draw at a seed, mean of 200 grids: halved every two prompts, and all of them."""
    case = Case(27, 2, 0.02, 0.025)
    found = simulate(case, repetitions=200, seed=SEED + number)
    return Pair(found.drawn * case.cells * PROMPTS, case.cells * PROMPTS,
                details={"best_lost": found.lost, "likeness_given_up": found.regret})  # fmt: skip


def cases() -> Iterator[Case]:
    """Yield what docs/parameter-sweep.md tables."""
    for noise in (0.025, 0.06):
        for cells in (8, 27):
            for block in (PROMPTS, 4, 2):
                yield Case(cells, block, 0.02, noise)


def main() -> None:
    """Print the table."""
    print("| noise | cells | prompts a block | images drawn | best cell lost | best cell chosen | likeness given up |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for case in cases():
        found = simulate(case)
        block = str(case.block) if case.block < PROMPTS else f"all {PROMPTS}"
        print(f"| {case.noise:g} | {case.cells} | {block} | {found.drawn:.0%} | {found.lost:.1%} | "
              f"{found.chosen:.1%} | {found.regret:.4f} |")  # fmt: skip


if __name__ == "__main__":
    main()
