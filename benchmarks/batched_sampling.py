"""Sampling as lifeos does it against the quick start of diffusers' documentation: one prompt a call.

Both load the base, render the same prompts from the same noise with equal threads, type and steps, and save PNG files.
``python -m benchmarks.batched_sampling JOB.json`` times both in one process, in turn.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.comparison import Context, Pair, UnmeasuredError, in_turn
from benchmarks.overhead import SAME_IMAGES_LEVELS, run_child
from benchmarks.readiness import missing_parts
from lifeos.errors import InputError
from lifeos.lora.sample import sample_plan
from lifeos.lora.sample_plan import SamplePlan
from lifeos.lora.store import ImageStore
from lifeos.persona import load_persona
from lifeos.processor import available_cores
from lifeos.release_inputs import release_plan

IMAGES = 24


def own_dtype_pair(context: Context, number: int) -> Pair:
    """Time both ways in the persona's own type."""
    return _pair(context, number, None)


def float32_pair(context: Context, number: int) -> Pair:
    """Time both ways in float32, the quick start's default."""
    return _pair(context, number, "float32")


def pair_of(answer: dict[str, Any]) -> Pair:
    """Return the pair of a child's answer: ``ours``, ``theirs`` (seconds), ``images`` and their ``difference``.

    Raises:
        UnmeasuredError: the images are not the same.
    """
    if answer["difference"] > SAME_IMAGES_LEVELS:
        raise UnmeasuredError(f"the images differ by {answer['difference']:.1f} of 255 levels: not the same images")
    details = {"images": answer["images"], "difference": answer["difference"]}
    return Pair(answer["ours"], answer["theirs"], details=details)


def _pair(context: Context, number: int, dtype: Literal["float32"] | None) -> Pair:
    missing = missing_parts(context.persona, context.root)
    if missing is not None and "calibration" not in missing:
        raise UnmeasuredError(missing)
    loaded = load_persona(context.persona, context.root)
    plan = limited_plan(release_plan(loaded), context.images or IMAGES)
    plan = plan if dtype is None else replace(plan, dtype=dtype)
    folder = context.folder / str(number)
    folder.mkdir()
    job = {"plan": plan.to_json(), "base": str(loaded.base.absolute()), "number": number, "folder": str(folder),
           "threads": available_cores()}  # fmt: skip
    return pair_of(run_child("benchmarks.batched_sampling", job, folder, context.root)[1])


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

    def ours(plan: SamplePlan = plan) -> tuple[float, Any]:
        started = time.perf_counter()
        result = sample_plan(plan, base, None, ImageStore(folder / f"ours-{plan.steps}"), threads=threads)
        seconds = time.perf_counter() - started
        return seconds, np.stack([read_image(image.path) for image in result.images])

    def theirs(plan: SamplePlan = plan) -> tuple[float, Any]:
        from PIL import Image

        target = folder / f"theirs-{plan.steps}"
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
    ours(short)
    theirs(short)
    one, two = in_turn(ours, theirs, job["number"])
    difference = np.abs(one[1].astype(np.int16) - two[1].astype(np.int16)).mean()
    return {"ours": one[0], "theirs": two[0], "difference": float(difference), "images": len(requests)}


if __name__ == "__main__":
    print(json.dumps(_main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))
