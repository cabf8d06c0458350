"""One comparison from its needs to its outcome: pairs in turn, each kept, a failure said."""

import importlib
import subprocess
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

from benchmarks.comparison import (
    FEWEST_PAIRS,
    TIMES_AS_FAST,
    Comparison,
    Context,
    Outcome,
    Pair,
    PairedRun,
    UnmeasuredError,
)
from benchmarks.machine import load_average, without_paths
from benchmarks.needs import unmet
from lifeos.errors import InputError

# What a side may end with; anything else is an error of the benchmark itself, whose traceback is told.
_FAILURES = (UnmeasuredError, InputError, subprocess.SubprocessError, OSError, ValueError, ImportError)
_REASON_LETTERS = 300


def run_comparison(
    comparison: Comparison, context: Context, runs: int | None = None, told: Callable[[str], None] = lambda _: None
) -> Outcome:
    """Run the pairs of a comparison.

    Args:
        comparison: what is run.
        context: its ``folder`` is where a folder for this comparison is made, and removed at the end.
        runs: how many pairs, where they are the caller's to choose; None: the comparison's own number.
        told: is told each pair as it comes, and the traceback of an error of the benchmark itself.

    Returns:
        The outcome: with a reason where something is missing or a side failed; never half a set that counts.

    Raises:
        ValueError: ``runs`` is below 3.
    """
    if runs is not None and runs < FEWEST_PAIRS:
        raise ValueError(f"runs must be {FEWEST_PAIRS} or more, but got {runs}")
    missing = unmet(comparison, context)
    if missing is not None:
        return Outcome(comparison, (), missing)
    count = comparison.pairs if runs is None or comparison.fixed_pairs else runs
    before, pairs, reason = load_average(), [], None
    with tempfile.TemporaryDirectory(
        prefix="lifeos benchmark ", dir=context.folder, ignore_cleanup_errors=True
    ) as folder:
        own = replace(context, folder=Path(folder))
        try:
            run = run_of(comparison)
            if comparison.warms_up:
                run(own, -1)
            for number in range(count):
                pair = run(own, number)
                _check(comparison, pair)
                pairs.append(pair)
                told(f"{comparison.id}: pair {number + 1} of {count}: {pair_words(comparison, pair)}")
        except Exception as error:
            if not isinstance(error, _FAILURES):
                told(traceback.format_exc())
            kind = "" if isinstance(error, UnmeasuredError | InputError) else f"{type(error).__name__}: "
            said = without_paths(f"{kind}{error}", own.folder, context.checkout, context.root)
            reason = " ".join(said.split())[:_REASON_LETTERS]
    after = load_average()
    load = None if before is None or after is None else (before, after)
    return Outcome(comparison, tuple(pairs), reason, load)


def run_of(comparison: Comparison) -> PairedRun:
    """Import the function of a comparison.

    Raises:
        ImportError: its module cannot be imported, or has no such function.
    """
    module, _, name = comparison.run.partition(":")
    function = getattr(importlib.import_module(module), name, None)
    if not callable(function):
        raise ImportError(f"{module} has no function {name}")
    return cast("PairedRun", function)


def pair_words(comparison: Comparison, pair: Pair) -> str:
    """Return a pair in one line: ``2.1 s against 4.3 s``."""
    other = "" if pair.alternative is None else f" against {pair.alternative:.4g} {comparison.unit}"
    return f"{pair.name + ': ' if pair.name else ''}{pair.ours:.4g} {comparison.unit}{other}"


def _check(comparison: Comparison, pair: Pair) -> None:
    if (pair.alternative is None) != (not comparison.alternative):
        raise ValueError(f"{comparison.id} and its pair disagree on whether there is an alternative")
    divisor = pair.ours if comparison.direction == TIMES_AS_FAST else pair.alternative
    if pair.alternative is not None and divisor == 0.0:
        raise UnmeasuredError("one side is 0, so there is no ratio")
