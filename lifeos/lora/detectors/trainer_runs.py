"""Known failures that a training log shows over many lines: steps, Prodigy's d, and what came before a message."""

import re
from itertools import pairwise

from evals.known_failures import detects
from lifeos.lora.training_log import first_look, least_d
from lifeos.lora.training_text import TrainingText

PRODIGY_START = 1e-6
"""Where Prodigy's d starts when nobody says otherwise (``d0`` of prodigyopt)."""
_FALL = 10.0
_BAR = re.compile(r"\bsteps?:\s*\d+%\|[^|]*\|\s*(\d+)/(\d+)", re.IGNORECASE)
"""A state of the bar that counts optimizer steps, as sd-scripts and diffusers' scripts name it."""
_RESUMED = re.compile(r"\bresum(?:e|ing|ed)\b.*?(?:checkpoint-|step[ _-]?0*)(\d+)", re.IGNORECASE)
_SAMPLING = re.compile(r"running validation|generating sample images|in (?:log_validation|sample_images\w*)\b",
                       re.IGNORECASE)  # fmt: skip
_OUT_OF_MEMORY = re.compile(r"CUDA out of memory|DefaultCPUAllocator: (?:can't allocate|not enough) memory")


@detects("prodigy-d-stuck-at-d0")
def d_stuck(log: TrainingText) -> str | None:
    """Return whether Prodigy's d never left its start in a run that was long enough to tell."""
    values = _d_values(log)
    done, total = _steps(log)
    done = max(done, len(values))
    least = least_d(PRODIGY_START)
    if not values or done < first_look(max(total, done)) or max(values) >= least:
        return None
    return f"{log.path.name}: Prodigy's d is {max(values):.1e} at most after {done} steps, {least:.1e} is the least"


@detects("prodigy-resume-d-reset")
def d_fell(log: TrainingText) -> str | None:
    """Return where Prodigy's d fell: within one run it never does."""
    values = _d_values(log)
    for number, (before, after) in enumerate(pairwise(values), 2):
        if after * _FALL <= before:
            return f"{log.path.name}: Prodigy's d falls from {before:.1e} to {after:.1e} at reading {number}"
    return None


@detects("resume-restarts-optimizer")
def steps_start_again(log: TrainingText) -> str | None:
    """Return where a run says at which step it goes on, and then counts from an earlier one or has none left."""
    resumed: int | None = None
    for line in log.lines:
        named = _RESUMED.search(line)
        if named is not None:
            resumed = int(named.group(1))
            continue
        bar = _BAR.search(line)
        if bar is None or not resumed:
            continue
        at, total = int(bar.group(1)), int(bar.group(2))
        if at < resumed:
            return f"{log.path.name}: it resumes at step {resumed} and counts on from {at} of {total}"
        if resumed >= total:
            return f"{log.path.name}: it resumes at step {resumed} of {total}: nothing is left to train"
        resumed = None
    return None


@detects("oom-at-validation")
def memory_ends_while_sampling(log: TrainingText) -> str | None:
    """Return whether memory ran out after samples were begun and before the next training step."""
    sampling: str | None = None
    for line in log.lines:
        if _OUT_OF_MEMORY.search(line) and sampling is not None:
            return f"{log.path.name}: {line.strip():.160} (after: {sampling.strip():.80})"
        if _SAMPLING.search(line):
            sampling = line
        elif _BAR.search(line):
            sampling = None
    return None


def _d_values(log: TrainingText) -> list[float]:
    """Return Prodigy's d in order, logged as ``d`` or, beside ``lr``, as their product."""
    values = log.figures("d")
    if values:
        return values
    products, rates = log.figures("d*lr"), log.figures("lr")
    if len(products) != len(rates):
        return []
    return [product / rate for product, rate in zip(products, rates, strict=True) if rate > 0.0]


def _steps(log: TrainingText) -> tuple[int, int]:
    """Return how many steps were done and how many there were to be; 0 where the log does not say."""
    bars = [(int(done), int(total)) for done, total in _BAR.findall(log.text)]
    done = [int(value) for value in log.figures("step")] + [each for each, _ in bars]
    return max(done, default=0), max((total for _, total in bars), default=0)
