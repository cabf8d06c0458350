"""What a comparison is: two ways of doing one thing, run in turn, a target, and the words for what came out."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

_First = TypeVar("_First")
_Second = TypeVar("_Second")

Direction = Literal["alternative / ours", "ours / alternative"]
Verdict = Literal["met", "MISSED", "unmeasured", "no target"]
TIMES_AS_FAST: Direction = "alternative / ours"
SHARE: Direction = "ours / alternative"
MET: Verdict = "met"
MISSED: Verdict = "MISSED"
UNMEASURED: Verdict = "unmeasured"
NO_TARGET: Verdict = "no target"
FEWEST_PAIRS = 3


class UnmeasuredError(Exception):
    """A comparison says nothing here; its text is the reason that stands in the table."""


@dataclass(frozen=True)
class Target:
    """What a comparison is to reach.

    Args:
        of: the median ratio, our own median (in the comparison's unit), or the ratio of each single pair.
        low, high: both ends count as reached; None where one end is open.
    """

    of: Literal["ratio", "ours", "every pair"]
    low: float | None = None
    high: float | None = None

    def holds(self, value: float) -> bool:
        """Whether a number, before rounding, lies within."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)


@dataclass(frozen=True)
class Context:
    """Where a pair is run and what the caller named.

    Args:
        root: this checkout.
        checkout: the checkout whose commands are measured; ``root`` unless another was named.
        persona: persona folder.
        folder: empty at first, lasts as long as the comparison.
        lora: LoRA file; None: the one of the persona's recipe.
        script: training script of the diffusers examples; None where none was named.
        images: how many images the comparisons of images take; None: their own number.
        packages_first: a fresh clone finds its packages in pip's cache.
    """

    root: Path
    checkout: Path
    persona: Path
    folder: Path
    lora: Path | None = None
    script: Path | None = None
    images: int | None = None
    packages_first: bool = False


@dataclass(frozen=True)
class Pair:
    """Both ways once, in the comparison's unit.

    Args:
        ours: finite, 0 or more.
        alternative: likewise; None where a comparison has no alternative.
        name: what this pair is of, where the pairs of a comparison differ.
        details: further numbers to keep: parts of a time, how equal the answers were.

    Raises:
        ValueError: a number is not finite or below 0.
    """

    ours: float
    alternative: float | None = None
    name: str = ""
    details: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        sides = [self.ours, *([] if self.alternative is None else [self.alternative])]
        if not all(math.isfinite(value) and value >= 0.0 for value in sides):
            raise ValueError(f"a pair must be finite and not below 0, but got {sides}")
        if not all(map(math.isfinite, self.details.values())):
            raise ValueError(f"details must be finite, but got {dict(self.details)}")


PairedRun = Callable[[Context, int], Pair]


@dataclass(frozen=True)
class Comparison:
    """One row of the table.

    Args:
        id: lower-case words joined by ``-``; the first words name a group on the command line.
        title: what is done, both ways.
        ours: what of lifeos is measured.
        alternative: what it is held against and how its own documentation says to use it; "" where there is nothing.
        unit: of the raw numbers: ``s``, ``GiB``, ``images``, ``share``, ``levels`` (of 255).
        run: ``module:function`` of one paired run (``PairedRun``), imported when it is run. The number of the pair is
            its second argument; -1 warms up and is not counted. "" for a row that a module's own command measures.
        direction: which way the ratio is taken.
        target: what is to be reached; None where a row only informs.
        needs: what a machine or a caller must have: see ``benchmarks.needs``.
        packages: distributions whose versions belong to the numbers.
        is_quick: seconds rather than minutes.
        pairs: how many are run unless the caller says otherwise.
        fixed_pairs: the pairs are cases, so their number is not the caller's to choose.
        warms_up: a pair is run first and thrown away.
        of_any_checkout: it starts commands only, so another checkout can be measured.
    """

    id: str
    title: str
    ours: str
    alternative: str
    unit: str
    run: str = ""
    direction: Direction = TIMES_AS_FAST
    target: Target | None = None
    needs: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    is_quick: bool = False
    pairs: int = FEWEST_PAIRS
    fixed_pairs: bool = False
    warms_up: bool = False
    of_any_checkout: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a comparison.

    Args:
        comparison: which.
        pairs: all that were run; those before a failure are kept.
        reason: why the pairs say nothing; None when they count.
        load: average number of waiting processes over a minute, before and after; None where the system tells none.
        note: what a reader must know besides to trust the numbers.
    """

    comparison: Comparison
    pairs: tuple[Pair, ...]
    reason: str | None = None
    load: tuple[float, float] | None = None
    note: str = ""

    @property
    def ratios(self) -> tuple[float, ...]:
        """The ratio of each pair; empty without an alternative."""
        return tuple(
            pair.alternative / pair.ours if self.comparison.direction == TIMES_AS_FAST else pair.ours / pair.alternative
            for pair in self.pairs
            if pair.alternative is not None
        )

    @property
    def our_median(self) -> float | None:
        """Median of our side, in the unit."""
        return _median([pair.ours for pair in self.pairs])

    @property
    def alternative_median(self) -> float | None:
        """Median of the other side, in the unit."""
        return _median([pair.alternative for pair in self.pairs if pair.alternative is not None])

    @property
    def ratio(self) -> float | None:
        """Median of the ratios, which are taken pair by pair."""
        return _median(self.ratios)

    @property
    def spread(self) -> tuple[float, float] | None:
        """Smallest and largest ratio; of our own numbers where there is no alternative."""
        values = self.ratios or tuple(pair.ours for pair in self.pairs)
        return (min(values), max(values)) if values else None

    @property
    def verdict(self) -> Verdict:
        """What came out, judged before rounding; what was not measured has met nothing."""
        target = self.comparison.target
        if self.reason is not None or not self.pairs:
            return UNMEASURED
        if target is None:
            return NO_TARGET
        judged = {"ratio": [self.ratio], "ours": [self.our_median], "every pair": list(self.ratios)}[target.of]
        return MET if judged and all(value is not None and target.holds(value) for value in judged) else MISSED


def in_turn(
    ours: Callable[[], _First], alternative: Callable[[], _Second], number: int
) -> tuple[_First, _Second]:
    """Call both; the other one first in every second pair, so that a machine that slows down slows down both."""
    if number % 2 == 0:
        one = ours()
        return one, alternative()
    two = alternative()
    return ours(), two


def interleaved(
    ours: Callable[[int], _First], alternative: Callable[[int], _Second], rounds: int
) -> tuple[list[_First], list[_Second]]:
    """Call both in turn ``rounds`` times with the number of the round; returns what each answered.

    Raises:
        ValueError: ``rounds`` is below 1.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be 1 or more, but got {rounds}")
    both = [in_turn(partial(ours, number), partial(alternative, number), number) for number in range(rounds)]
    return [one for one, _ in both], [two for _, two in both]


def all_met(outcomes: Sequence[Outcome]) -> bool:
    """Return whether something was judged, every target was met, and nothing that was asked for went unmeasured."""
    verdicts = [outcome.verdict for outcome in outcomes]
    return MET in verdicts and all(verdict in (MET, NO_TARGET) for verdict in verdicts)


def target_words(target: Target | None, unit: str) -> str:
    """Return a target as it stands in the table: ``>= 2 x``, ``<= 0.3 s``, ``0.97 to 1.03 x each``."""
    if target is None:
        return ""
    sign = unit if target.of == "ours" else "x"
    each = " each" if target.of == "every pair" else ""
    if target.low is not None and target.high is not None:
        return f"{target.low:g} to {target.high:g} {sign}{each}"
    return f"{'<=' if target.low is None else '>='} {target.high if target.low is None else target.low:g} {sign}{each}"


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
