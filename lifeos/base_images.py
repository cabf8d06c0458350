"""The base without a LoRA, on the prompts of a release less the trigger: what it draws, and what a LoRA makes of that.

What the base draws depends on no LoRA, so it is drawn at calibration and kept there as image rows. At a release only a
tenth of the plan is drawn more: the same prompts and noise with the LoRA, to see what it changed that nobody asked for.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.adherence_eval import METRICS as ADHERENCE
from lifeos.errors import InputError
from lifeos.measure import Measurements, image_rows, images_of_plan
from lifeos.progress import Progress

if TYPE_CHECKING:
    from evals.calibration import Calibration
    from evals.expression_reader import ExpressionReader
    from lifeos.clip_scores import ClipScores
    from lifeos.lora.sample_plan import SamplePlan
    from lifeos.persona import Persona, Prompt

# Far from the seeds of prompt sets and of the nulls (lifeos.strangers): no judged sample shares its noise.
FIRST_SEED = 690_000
BASE_IMAGES = 48
# This share of the plan's images is drawn more, without the trigger; fewer than the policy judges would be of no use.
CLASS_SHARE, FEWEST_CLASS_IMAGES = 0.1, 8
READING_REVISION = 1
"""Raised when images are read otherwise than before, so that rows of the base read that way are not compared."""
_KEPT = ("face_count", "likeness", "yaw", "clip_score", *ADHERENCE)


def base_plan(persona: "Persona") -> "SamplePlan":
    """Return what the base is asked for: every prompt of set B without the trigger, about ``BASE_IMAGES`` images."""
    prompts = persona.prompts_b
    return _plan(persona, prompts, math.ceil(BASE_IMAGES / len(prompts)))


def class_plan(persona: "Persona") -> "SamplePlan":
    """Return what is drawn with the LoRA and no trigger: some prompts of ``base_plan``, each with its first seed."""
    prompts = persona.prompts_b
    images = len(prompts) * len(persona.seeds.b)
    count = min(len(prompts), max(FEWEST_CLASS_IMAGES, int(CLASS_SHARE * images)))
    plan = _plan(persona, [prompts[number * len(prompts) // count] for number in range(count)], 1)
    return replace(plan, strength=persona.sampler.strength)


def class_prompts(persona: "Persona") -> dict[str, str]:
    """Return the text of each prompt of set B without the trigger, by id."""
    return {prompt.id: persona.fill_without_trigger(prompt) for prompt in persona.prompts_b}


def measure_base(
    persona: "Persona",
    artifacts: Path,
    measurements: Measurements,
    calibration: "Calibration",
    clip: "ClipScores | None",
    progress: Progress,
) -> tuple[dict[str, Any], list[Path]]:
    """Draw and measure what the base makes of the prompts; images that lie in the store are not drawn again.

    Args:
        persona: loaded persona folder.
        artifacts: data folder.
        measurements: measures the images.
        calibration: whose centroid likeness is measured to.
        clip: scores by the CLIP model; None without one.
        progress: called with (stage, done, total).

    Returns:
        What ``Calibration.base`` holds, and the image files.

    Raises:
        InputError: the base cannot be used.
    """
    from lifeos.lora.sample_once import sample_once

    sampled = sample_once(base_plan(persona), persona.base, None, artifacts, progress)
    images = images_of_plan(sampled)
    paths = [image.path for image in images]
    records = measurements.of_all(paths, progress, "the base without a LoRA")
    prompts = class_prompts(persona)
    scores = None if clip is None else clip.of_all(paths, [prompts[image.prompt] for image in images], progress)
    rows = image_rows(
        images, records, [], calibration, 0.0, prompts=prompts, readable=words_of(measurements.reader), clip=scores
    )
    bound_to = _bound_to(persona, measurements.reader, clip)
    return {"bound_to": bound_to, "rows": [_kept(row) for row in rows]}, paths


def same_base(
    persona: "Persona", calibration: "Calibration", reader: "ExpressionReader | None", clip: "ClipScores | None"
) -> dict[str, Any] | None:
    """Return what the persona's present calibration holds of the base, where measuring again would give the same.

    Args:
        persona: loaded persona folder.
        calibration: the one that is being made.
        reader: of expressions, None without one.
        clip: scores by the CLIP model, None without one.
    """
    from evals.calibration import load_calibration

    try:
        present = load_calibration(persona.calibration)
    except InputError:
        return None
    same = (present.backend, present.domain, present.centroid) == (
        calibration.backend, calibration.domain, calibration.centroid,
    )  # fmt: skip
    if present.base is None or not same:
        return None
    return present.base if present.base["bound_to"] == _bound_to(persona, reader, clip) else None


def base_rows(
    persona: "Persona", calibration: "Calibration | None", reader: "ExpressionReader | None", clip: str | None
) -> list[dict[str, Any]] | None:
    """Return the rows of the base that hold for these prompts and this way of reading; None where there are none.

    Args:
        persona: loaded persona folder; a prompt whose text changed since the calibration is left out.
        calibration: of the persona.
        reader: of expressions, None without one.
        clip: content hash of the CLIP model, None without one; scores of another are left out.
    """
    if calibration is None or calibration.base is None:
        return None
    bound_to: Mapping[str, Any] = calibration.base["bound_to"]
    read_by = None if reader is None else reader.sha256
    if (bound_to["revision"], bound_to["reader"]) != (READING_REVISION, read_by):
        return None
    known, texts = bound_to["prompts"], class_prompts(persona)
    rows = [row for row in calibration.base["rows"] if texts.get(row["prompt"]) == known.get(row["prompt"])]
    if bound_to["clip"] != clip:
        rows = [_without(row, "clip_score") for row in rows]
    return rows or None


def _bound_to(
    persona: "Persona", reader: "ExpressionReader | None", clip: "ClipScores | None"
) -> dict[str, Any]:
    return {
        "prompts": class_prompts(persona),
        "reader": None if reader is None else reader.sha256,
        "clip": None if clip is None else clip.identity,
        "revision": READING_REVISION,
    }


def _plan(persona: "Persona", prompts: Sequence["Prompt"], seeds: int) -> "SamplePlan":
    from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan

    return SamplePlan(
        prompts=tuple(PlannedPrompt(prompt.id, persona.fill_without_trigger(prompt)) for prompt in prompts),
        seeds=tuple(range(FIRST_SEED, FIRST_SEED + seeds)),
        **persona.drawing(),
    )


def words_of(reader: "ExpressionReader | None") -> tuple[str, ...]:
    """Return the words that a reader knows; none without one."""
    return () if reader is None else reader.words


def _kept(row: Mapping[str, Any]) -> dict[str, Any]:
    metrics = {name: value for name, value in row["metrics"].items() if name in _KEPT}
    rounded = {name: None if value is None else round(float(value), 6) for name, value in metrics.items()}
    reasons = {name: reason for name, reason in row["reasons"].items() if rounded.get(name, 0.0) is None}
    return {**row, "metrics": rounded, "reasons": reasons}


def _without(row: Mapping[str, Any], metric: str) -> dict[str, Any]:
    return {
        **row,
        "metrics": {name: value for name, value in row["metrics"].items() if name != metric},
        "reasons": {name: reason for name, reason in row["reasons"].items() if name != metric},
    }
