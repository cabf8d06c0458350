"""What the recorded runs come to: one line a measure; what is not recorded is not measured, with the reason."""

import statistics
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.generation_speed.profile import LOAD
from benchmarks.generation_speed.work import Work
from benchmarks.table import Line

TRAINING, SAMPLING = "training-speed", "sampling-speed"
TRAINING_AIM, SAMPLING_AIM = 1.5, 1.3
# Batch and threads may move a pixel of lifeos' own images by as much (lifeos/lora/sample_plan.py).
SAME_LEVELS = 2.0
# In 16 bits images of the same noise differ by rounding on average, those of other noise by far more than this.
SAME_MEAN_LEVELS = 16.0
README_STEPS = 500
_TRAINING = "training, times as fast as diffusers' DreamBooth script"
_MEMORY = "  peak memory, share of the script's"
GIB = 2**30

Found = Mapping[str, dict[str, Any]]
Obstacle = Callable[[str], str | None]


def lines_of(work: Work, found: Found, obstacle: Obstacle) -> list[Line]:
    """Return the lines of a comparison.

    Args:
        work: what was compared.
        found: recorded runs by name (``measure.jobs``).
        obstacle: part -> why it cannot be measured here, or None.
    """
    lines = training_lines(work, found, obstacle)
    for dtype in work.sampling_dtypes:
        lines += sampling_lines(work, dtype, found, obstacle)
    return lines + profile_lines(work, found, obstacle)


def training_lines(work: Work, found: Found, obstacle: Obstacle) -> list[Line]:
    """Return the ratio over whole runs, what it is made of, and memory."""
    names = {(side, length): [f"train-{side}-{number}-{length}" for number in range(work.rounds)]
             for side in ("ours", "theirs") for length in ("short", "long")}  # fmt: skip
    reason = _lacking(found, [name for each in names.values() for name in each],
                      obstacle("train-ours") or obstacle("train-theirs"))  # fmt: skip
    if reason is not None:
        return [Line(TRAINING, _TRAINING, None, "x", TRAINING_AIM, at_least=True, reason=reason),
                Line(TRAINING, _MEMORY, None, "%", 100.0, reason=reason)]  # fmt: skip
    runs = {key: [found[name] for name in each] for key, each in names.items()}
    images = work.trained_images("long")
    whole = {side: [run["seconds"] for run in runs[side, "long"]] for side in ("ours", "theirs")}
    used = {side: [run["processor_seconds"] for run in runs[side, "long"]] for side in ("ours", "theirs")}
    step = {side: steady(work, [run["seconds"] for run in runs[side, "short"]], whole[side]) for side in whole}
    used_step = {side: steady(work, [run["processor_seconds"] for run in runs[side, "short"]], of_side)
                 for side, of_side in used.items()}  # fmt: skip
    note = (f"{work.rounds} rounds in turn of {images} images each, start of the process to its end, caching and "
            f"saving included; rank {work.rank}, batch {work.batch_size} x {work.accumulation}, {work.dtype}, "
            f"{work.resolution} pixels, checkpointing {'on' if work.checkpointing else 'off'} both ways")  # fmt: skip
    lines = [_ratio(TRAINING, _TRAINING, whole, TRAINING_AIM, note),
             _ratio(TRAINING, "  the same in processor time", used, None, "of all threads and processes")]  # fmt: skip
    lines += [Line(TRAINING, f"  {side}, whole run", images / statistics.median(each), "images/s")
              for side, each in whole.items()]  # fmt: skip
    if all(each > 0.0 for side in step.values() for each in side):
        lines.append(_ratio(TRAINING, "  steady state", step, None,
                            f"the difference of runs of {work.long} and of {work.short} steps"))  # fmt: skip
        per_step = images / work.long
        lines += [Line(TRAINING, f"  {side}, steady state", per_step / statistics.median(step[side]), "images/s")
                  for side in step]  # fmt: skip
        if all(each > 0.0 for side in used_step.values() for each in side):
            lines.append(_ratio(TRAINING, "  steady state in processor time", used_step, None, ""))
        fixed = {side: statistics.median(whole[side]) - work.long * statistics.median(step[side]) for side in step}
        lines += [Line(TRAINING, f"  {side}, whatever the steps", fixed[side], "s", note=(
            "start-up, loading, caching and saving: a whole run less its steps at the steady rate"))
            for side in fixed]  # fmt: skip
        usual = {side: [fixed[side] + README_STEPS * statistics.median(step[side])] for side in fixed}
        lines.append(_ratio(TRAINING, f"  over {README_STEPS} steps", usual, None, (
            "not run: both parts above put together for the steps of the script's README")))  # fmt: skip
    else:
        lines.append(Line(TRAINING, "  steady state", None, "x", reason="a long run took no longer than a short one"))
    kind = "memory_bytes" if work.device == "cpu" else "gpu_bytes"
    peak = {side: max((run[kind] or 0) for run in runs[side, "long"]) for side in ("ours", "theirs")}
    if min(peak.values()) > 0:
        lines.append(Line(TRAINING, _MEMORY, 100.0 * peak["ours"] / peak["theirs"], "%", 100.0, note=(
            f"{'resident' if work.device == 'cpu' else 'on the GPU, context included'}, "
            f"{peak['ours'] / GIB:.2f} against {peak['theirs'] / GIB:.2f} GiB")))  # fmt: skip
    else:
        lines.append(Line(TRAINING, _MEMORY, None, "%", 100.0, reason="the driver did not tell the memory in use"))
    return lines


def sampling_lines(work: Work, dtype: str, found: Found, obstacle: Obstacle) -> list[Line]:
    """Return the ratio for one type, whether the images are the same, and loading apart."""
    measure = f"sampling in {dtype}, times as fast as a plain pipeline loop"
    names = {side: [f"sample-{side}-{number}-{dtype}" for number in range(work.rounds)] for side in ("ours", "theirs")}
    reason = _lacking(found, [name for each in names.values() for name in each], obstacle("sample"))
    apart = [found[name]["difference"] for each in names.values() for name in each
             if "difference" in found.get(name, {})]  # fmt: skip
    if reason is None and len(apart) < work.rounds:
        reason = "the images of a round were not compared"
    if reason is not None:
        return [Line(SAMPLING, measure, None, "x", SAMPLING_AIM, at_least=True, reason=reason)]
    exact = dtype == "float32"
    far = max(each["largest" if exact else "mean"] for each in apart)
    limit = SAME_LEVELS if exact else SAME_MEAN_LEVELS
    same = Line(SAMPLING, f"  {'largest' if exact else 'mean'} difference of the images", far, "levels", limit, note=(
        "of 255, over every pixel of every round"))  # fmt: skip
    if far > limit:
        differ = f"the images differ by {far:.1f} of 255 levels: not the same images"
        return [Line(SAMPLING, measure, None, "x", SAMPLING_AIM, at_least=True, reason=differ), same]
    runs = {side: [found[name] for name in each] for side, each in names.items()}
    images = runs["ours"][0]["images"]
    load = {side: [run["stages"][LOAD] for run in each] for side, each in runs.items()}
    drawing = {side: [sum(run["stages"].values()) - run["stages"][LOAD] for run in each] for side, each in runs.items()}
    used = {side: [sum(run["processor_stages"].values()) - run["processor_stages"][LOAD] for run in each]
            for side, each in runs.items()}  # fmt: skip
    both = {side: [sum(run["stages"].values()) for run in each] for side, each in runs.items()}
    return [
        _ratio(SAMPLING, measure, drawing, SAMPLING_AIM, (
            f"{work.rounds} rounds in turn, {images} images of {work.resolution} pixels, {work.sampling_steps} steps, "
            f"a LoRA, {min(work.sampling_batch, images)} at once against one a call; PNG files included, loading not")),
        same,
        _ratio(SAMPLING, "  the same in processor time", used, None, "of all threads"),
        _ratio(SAMPLING, "  with loading", both, None, "base and LoRA; ours hashes the base too"),
        *(Line(SAMPLING, f"  {side}", images / statistics.median(drawing[side]), "images/s") for side in drawing),
        *(Line(SAMPLING, f"  {side}, loading", statistics.median(load[side]), "s") for side in load),
    ]  # fmt: skip


def profile_lines(work: Work, found: Found, obstacle: Obstacle) -> list[Line]:
    """Return where the time of ours goes; without a GPU in processor time, which other work does not stretch."""
    lines = []
    kind = "processor_stages" if work.device == "cpu" else "stages"
    for benchmark, name, what in (
        (TRAINING, "profile-train", f"a training run of {work.trained_images('long')} images"),
        (SAMPLING, "profile-sample", f"drawing images in {work.sampling_dtypes[0]}"),
    ):
        reason = _lacking(found, [name], obstacle("profile"))
        if reason is not None:
            lines.append(Line(benchmark, f"where {what} of ours goes", None, "s", reason=reason))
            continue
        stages = found[name][kind]
        note = f"{'processor' if work.device == 'cpu' else 'wall'} time of one run, stages within it listed below"
        lines.append(Line(benchmark, f"where {what} of ours goes", sum(stages.values()), "s", note=note))
        lines += [Line(benchmark, f"  {stage}", seconds, "s") for stage, seconds in
                  sorted(stages.items(), key=lambda pair: -pair[1])]  # fmt: skip
    return lines


def steady(work: Work, short: list[float], long: list[float]) -> list[float]:
    """Return seconds a step of each round, from runs of two lengths."""
    return [(all_of - some) / (work.long - work.short) for some, all_of in zip(short, long, strict=True)]


def _ratio(benchmark: str, measure: str, seconds: Mapping[str, list[float]], aim: float | None, note: str) -> Line:
    """Return how many times as fast ours is, medians against each other, with the ratio of each round."""
    ratio = statistics.median(seconds["theirs"]) / statistics.median(seconds["ours"])
    rounds = [their / our for our, their in zip(seconds["ours"], seconds["theirs"], strict=True)]
    spread = f"{min(rounds):.2f} to {max(rounds):.2f} in the rounds" if len(rounds) > 1 else ""
    return Line(benchmark, measure, ratio, "x", aim, at_least=True,
                note="; ".join(part for part in (note, spread) if part))  # fmt: skip


def _lacking(found: Found, names: list[str], obstacle: str | None) -> str | None:
    """Return why runs measure nothing: one failed, or is missing."""
    for name in names:
        if "failed" in found.get(name, {}):
            return f"{name}: {found[name]['failed']}"
    if all(name in found for name in names):
        return None
    return obstacle or "not every run is recorded; next: the same command again"
