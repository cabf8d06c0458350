"""What a rule is judged on: rows, the numbers it is compared with, and the comparison itself."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from evals.image_rows import ImageRow
from evals.rule import Reference, Rule
from evals.verdict import Interval, Verdict, failed, passed


class CannotJudgeError(Exception):
    """Evidence for a rule is missing; its text is the reason of a ``not_evaluated`` verdict."""


@dataclass(frozen=True)
class Evidence:
    """The rows that one rule reads.

    Args:
        rows: sorted by prompt and seed.
        rule: what is asked of them.
        level: confidence of intervals, in (0, 1).
        number: gives the number behind a reference; raises ``CannotJudgeError`` where the calibration holds none.
        base: rows of the base without a LoRA on the same prompts; None where there are none.
    """

    rows: Sequence[ImageRow]
    rule: Rule
    level: float
    number: Callable[[Reference], float]
    base: Sequence[ImageRow] | None = None

    @property
    def prompts(self) -> list[str]:
        """The prompt of each row: the clusters of every statistic."""
        return [row.prompt for row in self.rows]

    def of(self, rows: Sequence[ImageRow]) -> "Evidence":
        """Return the same evidence on other rows."""
        return replace(self, rows=rows)

    def values(self) -> list[float | None]:
        """Return the rule's metric of each row."""
        return [row.metrics[self.rule.metric] for row in self.rows]

    def filled(self) -> list[float]:
        """Return the rule's metric of each row, ``missing_value`` where it is missing."""
        assert self.rule.missing_value is not None
        return [self.rule.missing_value if value is None else value for value in self.values()]

    def hits(self) -> list[bool]:
        """Return, for a rule that counts a share, which rows count; a missing metric never counts in its own favour."""
        rule = self.rule
        if rule.statistic == "rate":
            against = rule.direction == "at_most"
            hits = [against if value is None else value == rule.equals for value in self.values()]
            if rule.requires is None:
                return hits
            return [hit and row.metrics[rule.requires] is not None for hit, row in zip(hits, self.rows, strict=True)]
        assert rule.limit is not None
        limit, below = self.number(rule.limit), rule.statistic == "share_below"
        return [value is None or (value < limit if below else value > limit) for value in self.values()]

    def missing_note(self) -> str:
        """Return in words how many rows lack the metric, how they count and why they lack it; empty where none does."""
        missing = [row for row in self.rows if row.metrics[self.rule.metric] is None]
        if not missing:
            return ""
        counted = "against" if self.rule.missing_value is None else f"as {self.rule.missing_value:g}"
        why = tally(row.reasons[self.rule.metric] for row in missing)
        return f"; {len(missing)} of {len(self.rows)} images have no {self.rule.metric} and count {counted} ({why})"

    def present(self, *also: str) -> tuple["Evidence", str]:
        """Leave out rows without the metric (or one of ``also``) where the rule gives them no value.

        Returns:
            The evidence that is left, still as much as the rule asks for, and in words what was left out.

        Raises:
            CannotJudgeError: too few images or prompts are left.
        """
        asked = [*also] if self.rule.missing_value is not None else [self.rule.metric, *also]
        lacking = [(row, next((name for name in asked if row.metrics[name] is None), None)) for row in self.rows]
        kept = [row for row, name in lacking if name is None]
        if len(kept) == len(self.rows):
            return self, ""
        why = tally(row.reasons[name] for row, name in lacking if name is not None)
        require(kept, self.rule, f"images with {' and '.join(asked)}", f" ({why})")
        return self.of(kept), f"; {len(self.rows) - len(kept)} of {len(self.rows)} images are left out ({why})"


def require(rows: Sequence[ImageRow], rule: Rule, what: str, why: str = "") -> None:
    """Refuse fewer distinct images or prompts than the rule asks for, and rows that lack one of its metrics.

    Args:
        rows: what there is.
        rule: what it asks for.
        what: how the images are called in the message.
        why: added to the count.

    Raises:
        CannotJudgeError: as said.
    """
    images, prompts = len({row.image for row in rows}), len({row.prompt for row in rows})
    if images < rule.minimum_images or prompts < rule.minimum_prompts:
        raise CannotJudgeError(
            f"{images} distinct {what} of {prompts} prompts{why}, "
            f"the policy asks for {rule.minimum_images} of {rule.minimum_prompts}"
        )
    for name in filter(None, (rule.metric, rule.requires, rule.by, rule.kinds)):
        if any(name not in row.metrics for row in rows):
            raise CannotJudgeError(f"{name} was not measured")


def compare(evidence: Evidence, value: float, interval: Interval | None, what: str) -> Verdict:
    """Compare a statistic (or its bound) with the rule's threshold.

    Args:
        evidence: the rule and its numbers.
        value: the statistic.
        interval: its interval at ``interval_level``, or None.
        what: the figures in words.

    Raises:
        CannotJudgeError: the rule compares a bound and there is none, or its threshold is unknown.
    """
    rule = evidence.rule
    threshold, source = evidence.number(rule.threshold), rule.threshold.source
    at_least = rule.direction == "at_least"
    compared, name = value, "value"
    if rule.compares == "bound":
        if interval is None:
            raise CannotJudgeError(f"there is no interval to take the bound from: {what}")
        compared, name = (interval.low if at_least else interval.high), f"one-sided {evidence.level:.0%} bound"
    good = compared >= threshold if at_least else compared <= threshold
    relation = ("at least" if at_least else "at most") if good else ("below" if at_least else "above")
    reason = f"{what}: {name} {compared:.4g} is {relation} {threshold:.4g} ({source})"
    return (passed if good else failed)(reason, value, interval, threshold, source)


def interval_level(evidence: Evidence) -> float:
    """Return the level of the two-sided interval: one end of it at 2 * level - 1 is the one-sided bound at level."""
    return 2.0 * evidence.level - 1.0 if evidence.rule.compares == "bound" else evidence.level


def mean_of(values: Iterable[float]) -> float:
    """Return the mean of at least one number."""
    members = list(values)
    return math.fsum(members) / len(members)


def tally(reasons: Iterable[str]) -> str:
    """Return how often each reason stands, the most frequent first; figures behind a colon are left out."""
    counts = Counter(reason.split(":", 1)[0].strip() for reason in reasons)
    return ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items(), key=lambda kind: (-kind[1], kind)))
