"""How often the decision calls one and the same LoRA different from itself: an A/A test on images that are there.

The images of each prompt are parted at random into two halves, one plays the candidate and one the champion, and the
real decision is taken. Whatever it calls different is an error. Means of half of the images scatter by the square root
of two more than those of the plan, so margins are widened by as much: the rate is that of the plan's size.
"""

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from evals.bench import Bench
from evals.calibration import Calibration
from evals.decision import APPROVE, REJECT, decide
from evals.errors import InputError
from evals.evidence import CannotJudgeError, Evidence
from evals.image_rows import ImageRow
from evals.policy import Policy
from evals.rule import Reference, Rule
from evals.verdict import Verdict, failed, not_evaluated

REPEATS = 400
LARGEST_RATE = 0.10


@dataclass(frozen=True)
class NullDecisions:
    """Outcome of an A/A test.

    Args:
        repeats: random partings.
        better: in how many the one half was called better than the other and would have been promoted.
        worse: in how many it was called worse.
    """

    repeats: int
    better: int
    worse: int

    @property
    def rate(self) -> float:
        """Share of partings that were called different."""
        return (self.better + self.worse) / self.repeats

    @property
    def is_honest(self) -> bool:
        """Whether the rate is no larger than ``LARGEST_RATE``."""
        return self.rate <= LARGEST_RATE

    @property
    def note(self) -> str:
        """The figures in words."""
        return (
            f"one LoRA's images against each other, parted at random {self.repeats} times: called better in "
            f"{self.better}, worse in {self.worse} ({self.rate:.1%}, at most {LARGEST_RATE:.0%})"
        )


def null_decisions(evidence: Evidence, repeats: int = REPEATS, seed: int = 0) -> NullDecisions:
    """Part the rows of one LoRA ``repeats`` times and count what the decision calls different.

    Args:
        evidence: rows of one LoRA under a ``paired_difference`` rule; two seeds a prompt or more.
        repeats: at least 200, or the rate says little.
        seed: of the partings; the same seed gives the same rate.

    Raises:
        CannotJudgeError: a prompt has fewer than two images, or a half cannot be judged.
        ValueError: ``repeats`` is below 200.
    """
    if repeats < 200:
        raise ValueError(f"repeats must be at least 200, but got {repeats}")
    by_prompt: dict[str, list[ImageRow]] = {}
    for row in evidence.rows:
        by_prompt.setdefault(row.prompt, []).append(row)
    lonely = sorted(prompt for prompt, rows in by_prompt.items() if len(rows) < 2)
    if lonely:
        raise CannotJudgeError(f"{len(lonely)} prompts have one image only, first {lonely[0]}: nothing to part")
    half = sum(len(rows) // 2 for rows in by_prompt.values())
    rule = _widened(evidence.rule, math.sqrt(len(evidence.rows) / half), half)
    generator, better, worse = random.Random(seed), 0, 0  # noqa: S311 - partings, not secrets
    for _ in range(repeats):
        one, other = _parted(by_prompt, generator)
        verdict = decide(replace(evidence, rows=one, rule=rule), other).verdict
        better += verdict == APPROVE
        worse += verdict == REJECT
    return NullDecisions(repeats, better, worse)


def _widened(rule: Rule, factor: float, images: int) -> Rule:
    threshold = Reference(rule.threshold.number * factor)
    also = tuple(replace(margin, margin=margin.margin * factor) for margin in rule.also)
    return replace(rule, threshold=threshold, also=also, minimum_images=min(images, rule.minimum_images))


def with_null_decisions(
    instrument: Verdict,
    rows: Iterable[Mapping[str, Any]],
    calibration: Calibration | None,
    policy: Policy,
    *,
    backend: Mapping[str, Any] | None,
    domain: Mapping[str, Any] | None,
    decides: bool,
) -> Verdict:
    """Return the verdict of the gate ``instrument`` with the A/A test joined to it.

    Args:
        instrument: what the controls gave; one that blocks is returned as it is.
        rows: image rows of one LoRA: the champion's, or in a first release the candidate's own.
        calibration, policy, backend, domain: as ``evals.judge.judge``.
        decides: whether a champion is compared with: then a rate above ``LARGEST_RATE`` fails the instrument and a test
            that cannot be done is *not evaluated*; else both are only told.
    """
    rule = next((rule for rule in policy.rules.values() if rule.statistic == "paired_difference"), None)
    if rule is None or instrument.blocks:
        return instrument
    try:
        found = null_decisions(Bench.of(rows, calibration, policy, None, backend, domain).evidence(rule))
    except (InputError, CannotJudgeError) as error:
        told = f"{instrument.reason}; no A/A test: {error}"
        return not_evaluated(told, LARGEST_RATE, "design") if decides else replace(instrument, reason=told)
    told = f"{instrument.reason}; {found.note}"
    if decides and not found.is_honest:
        return failed(told, value=found.rate, threshold=LARGEST_RATE, threshold_source="design")
    return replace(instrument, reason=told)


def _parted(
    by_prompt: Mapping[str, Sequence[ImageRow]], generator: random.Random
) -> tuple[list[ImageRow], list[ImageRow]]:
    halves: tuple[list[ImageRow], list[ImageRow]] = ([], [])
    for rows in by_prompt.values():
        size = len(rows) // 2
        drawn = generator.sample(rows, 2 * size)
        for half, members in zip(halves, (drawn[:size], drawn[size:]), strict=True):
            # Pairs need a common cell; the seeds of an A/A test mean nothing beyond that.
            half.extend(replace(row, seed=number) for number, row in enumerate(members))
    return halves
