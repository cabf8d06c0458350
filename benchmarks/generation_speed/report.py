"""What the recorded runs come to: one row a measure; what is not recorded is unmeasured, with the reason."""

import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.comparison import SHARE, Comparison, Outcome, Pair, Target
from benchmarks.generation_speed.profile import LOAD
from benchmarks.generation_speed.work import LENGTHS, Work
from benchmarks.registry import entry
from benchmarks.table import number

# Batch and threads may move a pixel of lifeos' own images by as much (lifeos/lora/sample_plan.py).
SAME_LEVELS = 2.0
# In 16 bits images of the same noise differ by rounding on average, those of other noise by far more than this.
SAME_MEAN_LEVELS = 16.0
README_STEPS = 500
GIB = 2**30
SIDES = ("ours", "theirs")

Found = Mapping[str, dict[str, Any]]
Obstacle = Callable[[str], str | None]


def outcomes_of(work: Work, found: Found, obstacle: Obstacle) -> list[Outcome]:
    """Return the rows of a comparison.

    Args:
        work: what was compared.
        found: recorded runs by name (``measure.jobs``).
        obstacle: part -> why it cannot be measured here, or None.
    """
    outcomes = training_outcomes(work, found, obstacle)
    for dtype in work.sampling_dtypes:
        outcomes += sampling_outcomes(work, dtype, found, obstacle)
    return outcomes + profile_outcomes(work, found, obstacle)


def training_outcomes(work: Work, found: Found, obstacle: Obstacle) -> list[Outcome]:
    """Return the row of whole runs, what they are made of, and memory."""
    whole = _entry("training-speed", work)
    memory = _part(whole, "memory", unit="GiB", direction=SHARE, target=Target("ratio", high=1.0))
    names = [f"train-{side}-{number}-{length}" for number in range(work.rounds) for side in SIDES for length in LENGTHS]
    reason = _lacking(found, names, obstacle("train-ours") or obstacle("train-theirs"))
    if reason is not None:
        return [Outcome(whole, (), reason), Outcome(memory, (), reason)]
    rounds = [[training_parts(work, *(found[f"train-{side}-{number}-{length}"] for length in LENGTHS))
               for side in SIDES] for number in range(work.rounds)]  # fmt: skip
    images = work.trained_images("long")

    def part(row: Comparison, name: str, note: str = "", images: float | None = None) -> Outcome:
        return _outcome(row, [(ours[name], theirs[name]) for ours, theirs in rounds], note, images)

    outcomes = [
        part(whole, "whole", "start of the process to its end, caching and saving included; rank "
             f"{work.rank}, batch {work.batch_size} x {work.accumulation}, {work.dtype}, {work.resolution} pixels, "
             f"checkpointing {'on' if work.checkpointing else 'off'} both ways; {images} images", images),
        part(_part(whole, "processor-time"), "processor", "of all threads and processes"),
        part(_part(whole, "step"), "step", f"the difference of runs of {work.long} and of {work.short} steps, each",
             images / work.long),
    ]  # fmt: skip
    if outcomes[-1].reason is None:
        outcomes += [
            part(_part(whole, "step-processor-time"), "step processor"),
            part(_part(whole, "fixed"), "fixed",
                 "start-up, loading, caching and saving: a whole run less its steps at the steady rate"),
            part(_part(whole, f"{README_STEPS}-steps"), "usual",
                 "not run: both parts above put together for the steps of the script's README"),
        ]  # fmt: skip
    if not all(side["memory"] for both in rounds for side in both):
        return [*outcomes, Outcome(memory, (), "the driver did not tell the memory in use")]
    return [*outcomes, part(memory, "memory", "resident" if work.device == "cpu" else "on the GPU, context included")]


def training_parts(work: Work, short: Mapping[str, Any], long: Mapping[str, Any]) -> dict[str, float]:
    """Return what one side's runs of a round come to: seconds (``memory``: GiB, 0 where the driver did not tell)."""
    step, used = ((long[clock] - short[clock]) / (work.long - work.short) for clock in ("seconds", "processor_seconds"))
    fixed = long["seconds"] - work.long * step
    return {"whole": long["seconds"], "processor": long["processor_seconds"], "step": step, "step processor": used,
            "fixed": fixed, "usual": fixed + README_STEPS * step,
            "memory": (long["memory_bytes" if work.device == "cpu" else "gpu_bytes"] or 0) / GIB}  # fmt: skip


def sampling_outcomes(work: Work, dtype: str, found: Found, obstacle: Obstacle) -> list[Outcome]:
    """Return the row of one type, whether the images are the same, and loading apart."""
    drawn = _entry("sampling-speed", work)
    drawn = drawn if dtype == "float32" else replace(drawn, id=f"{drawn.id}-{dtype}")
    names = [[f"sample-{side}-{number}-{dtype}" for side in SIDES] for number in range(work.rounds)]
    every = [name for each in names for name in each]
    reason = _lacking(found, every, obstacle("sample"))
    apart = [found[name]["difference"] for name in every if "difference" in found.get(name, {})]
    if reason is None and len(apart) < work.rounds:
        reason = "the images of a round were not compared"
    if reason is not None:
        return [Outcome(drawn, (), reason)]
    kind, limit = ("largest", SAME_LEVELS) if dtype == "float32" else ("mean", SAME_MEAN_LEVELS)
    far = max(each[kind] for each in apart)
    same = Outcome(
        Comparison(f"{drawn.id}-difference", "how far the images are apart", f"{kind} difference of the images", "",
                   "levels", target=Target("ours", high=limit)),
        (Pair(far),), note="of 255, over every pixel of every round",
    )  # fmt: skip
    if far > limit:
        return [Outcome(drawn, (), f"the images differ by {far:.1f} of 255 levels: not the same images"), same]
    images = found[every[0]]["images"]

    def part(
        row: Comparison, seconds: Callable[[dict[str, float]], float], note: str = "", images: float | None = None,
        clock: str = "stages",
    ) -> Outcome:  # fmt: skip
        return _outcome(row, [tuple(seconds(found[name][clock]) for name in each) for each in names], note, images)

    def drawing(stages: dict[str, float]) -> float:
        return sum(stages.values()) - stages[LOAD]

    return [
        part(drawn, drawing, f"{work.resolution} pixels, {work.sampling_steps} steps, a LoRA, "
             f"{min(work.sampling_batch, images)} at once against one a call; PNG files included, loading not; "
             f"{images} images", images),
        same,
        part(_part(drawn, "processor-time"), drawing, "of all threads", clock="processor_stages"),
        part(_part(drawn, "with-loading"), lambda stages: sum(stages.values()),
             "base and LoRA; ours hashes the base too"),
        part(_part(drawn, "loading"), lambda stages: stages[LOAD]),
    ]  # fmt: skip


def profile_outcomes(work: Work, found: Found, obstacle: Obstacle) -> list[Outcome]:
    """Return where the time of ours goes; without a GPU in processor time, which other work does not stretch."""
    outcomes = []
    clock = "processor" if work.device == "cpu" else "wall"
    for name, what in (
        ("profile-train", f"a training run of {work.trained_images('long')} images"),
        ("profile-sample", f"drawing images in {work.sampling_dtypes[0]}"),
    ):
        whole = Comparison(name, f"where {what} goes", f"{what}, {clock} time by stage", "", "s")
        reason = _lacking(found, [name], obstacle("profile"))
        if reason is not None:
            outcomes.append(Outcome(whole, (), reason))
            continue
        stages = found[name]["processor_stages" if work.device == "cpu" else "stages"]
        outcomes.append(Outcome(whole, (Pair(sum(stages.values())),)))
        outcomes += [Outcome(_part(whole, re.sub(r"\W+", "-", stage)), (Pair(seconds),)) for stage, seconds in
                     sorted(stages.items(), key=lambda pair: -pair[1])]  # fmt: skip
    return outcomes


def _entry(name: str, work: Work) -> Comparison:
    return entry(name if work.device == "cpu" else f"{name}-gpu")


def _part(whole: Comparison, name: str, **changes: Any) -> Comparison:
    return replace(whole, **{"id": f"{whole.id}-{name}", "target": None, **changes})


def _outcome(
    row: Comparison, rounds: Sequence[tuple[float, ...]], note: str, images: float | None
) -> Outcome:  # fmt: skip
    """Return a row with a pair a round, and images a second where the sides drew or saw ``images`` each."""
    if min(map(min, rounds)) <= 0.0:
        return Outcome(row, (), "a difference of two runs came to 0 s or less")
    if images is not None:
        ours, theirs = (number(images / statistics.median(side)) for side in zip(*rounds, strict=True))
        note += f", {ours} against {theirs} images/s"
    return Outcome(row, tuple(Pair(*each) for each in rounds), note=note)


def _lacking(found: Found, names: list[str], obstacle: str | None) -> str | None:
    """Return why runs measure nothing: one failed, or is missing."""
    for name in names:
        if "failed" in found.get(name, {}):
            return f"{name}: {found[name]['failed']}"
    if all(name in found for name in names):
        return None
    return obstacle or "not every run is recorded; next: the same command again"
