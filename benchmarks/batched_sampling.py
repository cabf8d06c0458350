"""Sampling as lifeos does it against the quick start of diffusers' documentation: one prompt a call.

Both load the base, render the same prompts from the same noise with equal threads, type and steps, and save PNG files.
``python -m benchmarks.batched_sampling JOB.json`` times both in one process, in turn.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.interleave import interleaved
from benchmarks.overhead import SAME_IMAGES_LEVELS, run_child
from benchmarks.readiness import missing_parts
from benchmarks.table import Line
from lifeos.errors import InputError
from lifeos.lora.sample import BATCH_SIZE, sample_plan
from lifeos.lora.sample_plan import SamplePlan
from lifeos.lora.store import ImageStore
from lifeos.persona import load_persona
from lifeos.processor import available_cores
from lifeos.release_inputs import release_plan

AIM = 1.5
NAME = "batched"
_MEASURE = "batched sampling, times as fast as the quick start"


def measure_batched(root: Path, persona: Path, rounds: int = 2, images: int = 24) -> list[Line]:
    """Return the ratio in the persona's own type (with the aim) and in float32, the quick start's default.

    Args:
        root: of this checkout.
        persona: persona folder; its base is rendered without a LoRA.
        rounds: how often each way is run.
        images: rendered each time; the persona's release prompts with as many seeds as that takes.
    """
    missing = missing_parts(persona, root)
    if missing is not None and "calibration" not in missing:
        return [_not_measured(_MEASURE, missing, AIM)]
    try:
        loaded = load_persona(persona, root)
        plan = limited_plan(release_plan(loaded), images)
    except InputError as error:
        return [_not_measured(_MEASURE, str(error), AIM)]
    lines = []
    for dtype in dict.fromkeys([plan.dtype, "float32"]):
        own = dtype == plan.dtype
        measure, target = (f"{_MEASURE} ({dtype})" if own else f"  the same in {dtype}"), AIM if own else None
        try:
            answer = compare(root, loaded.base, replace(plan, dtype=dtype), rounds)
        except (InputError, subprocess.SubprocessError, OSError, ValueError) as error:
            lines.append(_not_measured(measure, f"{type(error).__name__}: {error}", target))
            continue
        lines += lines_of(answer, measure, target)
    return lines


def compare(root: Path, base: Path, plan: SamplePlan, rounds: int) -> dict[str, Any]:
    """Time both ways in one child process.

    Returns:
        ``ours`` and ``theirs``: seconds of each round; ``difference``: of the images in levels of 255; ``images``.

    Raises:
        subprocess.SubprocessError, OSError, ValueError: the child failed.
    """
    with tempfile.TemporaryDirectory(prefix="lifeos benchmark ", ignore_cleanup_errors=True) as name:
        job = {"plan": plan.to_json(), "base": str(base.absolute()), "rounds": rounds, "folder": name,
               "threads": available_cores()}  # fmt: skip
        return run_child("benchmarks.batched_sampling", job, Path(name), root)[1]


def lines_of(answer: dict[str, Any], measure: str, target: float | None) -> list[Line]:
    """Return the ratio of a comparison and the speed of both ways."""
    if answer["difference"] > SAME_IMAGES_LEVELS:
        differ = f"the images differ by {answer['difference']:.1f} of 255 levels: not the same images"
        return [_not_measured(measure, differ, target)]
    ours, theirs = statistics.median(answer["ours"]), statistics.median(answer["theirs"])
    spread = [f"{their / our:.2f}" for our, their in zip(answer["ours"], answer["theirs"], strict=True)]
    note = (f"{len(spread)} rounds in turn of {answer['images']} images, {' and '.join(spread)}; batches of "
            f"{BATCH_SIZE} against one prompt a call, loading and saving included; images differ by "
            f"{answer['difference']:.2f} of 255 levels on average")  # fmt: skip
    return [
        Line(NAME, measure, theirs / ours, "x", target, at_least=True, note=note),
        Line(NAME, "    lifeos", answer["images"] / ours, "images/s"),
        Line(NAME, "    quick start", answer["images"] / theirs, "images/s"),
    ]


def limited_plan(plan: SamplePlan, images: int) -> SamplePlan:
    """Return the plan with its first prompts and as few seeds as give ``images`` images (rounded up to whole seeds).

    Raises:
        InputError: ``images`` is below 1.
    """
    if images < 1:
        raise InputError(f"--images: accepted 1 or more, got {images}; next: python -m benchmarks --help")
    prompts = plan.prompts[:images]
    return replace(plan, prompts=prompts, seeds=plan.seeds[: -(-images // len(prompts))])


def _main(job: dict[str, Any]) -> dict[str, Any]:
    from benchmarks.bare_diffusers import load_pipeline, quiet, render
    from evals.images import read_image
    from lifeos.lora.train import limited_threads

    quiet()
    plan, base, folder = SamplePlan.from_json(job["plan"]), Path(job["base"]), Path(job["folder"])
    requests, threads = plan.requests(), job["threads"]

    def ours(number: int, plan: SamplePlan = plan) -> tuple[float, Any]:
        started = time.perf_counter()
        result = sample_plan(plan, base, None, ImageStore(folder / f"ours-{number}"), threads=threads)
        seconds = time.perf_counter() - started
        return seconds, np.stack([read_image(image.path) for image in result.images])

    def theirs(number: int, plan: SamplePlan = plan) -> tuple[float, Any]:
        from PIL import Image

        target = folder / f"theirs-{number}"
        target.mkdir(parents=True)
        started = time.perf_counter()
        with limited_threads(threads):
            pipeline = load_pipeline(plan, base)
            pixels = render(pipeline, plan, requests, batch_size=1)
        for index, picture in enumerate(pixels):
            Image.fromarray(picture).save(target / f"{index:04d}.png")
        return time.perf_counter() - started, pixels

    # Imports and the first touch of every kernel belong to neither.
    short = replace(plan, steps=1)
    ours(-1, short)
    theirs(-1, short)
    one, two = interleaved(ours, theirs, job["rounds"])
    difference = np.abs(one[0][1].astype(np.int16) - two[0][1].astype(np.int16)).mean()
    return {"ours": [seconds for seconds, _ in one], "theirs": [seconds for seconds, _ in two],
            "difference": float(difference), "images": len(requests)}  # fmt: skip


def _not_measured(measure: str, reason: str, target: float | None) -> Line:
    return Line(NAME, measure, None, "x", target, at_least=True, reason=reason)


if __name__ == "__main__":
    print(json.dumps(_main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
