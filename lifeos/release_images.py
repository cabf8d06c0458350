"""The images of a release: the plan's, block by block while they may still pass, the champion's, the class word's."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from evals.early_stop import EarlyStop, early_stop
from lifeos.base_images import class_plan
from lifeos.measure import ImageToMeasure, image_rows, images_of
from lifeos.progress import Progress
from lifeos.release_inputs import release_domain, release_plan

if TYPE_CHECKING:
    from evals.policy import Policy
    from lifeos.judged_rows import JudgedRows
    from lifeos.persona import Persona


def sample_step(
    request: Mapping[str, Any], persona: "Persona", lora: Path | None, engine: ModuleType, progress: Progress
) -> tuple[list[ImageToMeasure], int]:
    """Plan x LoRA -> image files, and how many were made just now; finished images are themselves."""
    if request["images"] is not None:
        from lifeos.finished_images import read_images

        return [ImageToMeasure(i.path, i.prompt, i.seed) for i in read_images(Path(request["images"]))], 0
    sampled = engine.sample(release_plan(persona), persona.base, lora, image_store(request), progress)
    return images_of(sampled), int(sampled.made)


def sample_by_blocks(
    request: Mapping[str, Any], persona: "Persona", lora: Path | None, engine: ModuleType, progress: Progress,
    judged: "JudgedRows", policy: "Policy",
) -> tuple[list[ImageToMeasure], int, EarlyStop | None]:  # fmt: skip
    """Draw the plan by blocks of prompts and stop where it can no longer pass; finished images are taken as they are.

    Returns:
        The images drawn, in the plan's order; how many were made just now; why sampling stopped, or None.
    """
    sequential = policy.sequential
    if lora is None or request["images"] is not None or sequential is None:
        return *sample_step(request, persona, lora, engine, progress), None
    order = prompt_order(persona)
    whole = len(order) * len(persona.seeds.b)
    domain = release_domain(persona, request["content"]["base"], (persona.sampler.width, persona.sampler.height))
    made = 0
    for count in range(sequential.block, len(order), sequential.block):
        sampled = engine.sample(
            release_plan(persona, order[:count]), persona.base, lora, image_store(request),
            lambda stage, done, _: progress(stage, done, whole),
        )  # fmt: skip
        made += int(sampled.made)
        images = images_of(sampled)
        records = judged.measurements.of_all([image.path for image in images], progress, "a look at the faces")
        # Only what is measured on each image by itself: an early stop asks neither CLIP nor a second backend.
        rows = image_rows(images, records, judged.training, judged.calibration, persona.sampler.strength)
        stop = early_stop(
            rows, judged.calibration, policy, order,
            backend=judged.measurements.backend_identity(), domain=domain,
        )  # fmt: skip
        if stop is not None:
            return images, made, stop
    images, more = sample_step(request, persona, lora, engine, progress)
    return images, made + more, None


def prompt_order(persona: "Persona") -> list[str]:
    """Return the ids of prompt set B in the order in which they are drawn: shuffled by the plan's hash, so known to
    everybody beforehand and to no outcome.
    """
    plan = release_plan(persona).content_hash
    ids = [prompt.id for prompt in persona.prompts_b]
    return sorted(ids, key=lambda prompt: hashlib.sha256(f"{plan} {prompt}".encode()).digest())


def champion_step(
    request: Mapping[str, Any], persona: "Persona", engine: ModuleType, progress: Progress
) -> tuple[list[ImageToMeasure], int]:
    """The same plan and noise with the champion's LoRA; no images in a first release."""
    if request["champion"] is None:
        return [], 0
    return sample_step({**request, "images": None}, persona, Path(request["champion"]), engine, progress)


def class_step(
    request: Mapping[str, Any],
    persona: "Persona",
    lora: Path | None,
    base: Sequence[Mapping[str, Any]] | None,
    engine: ModuleType,
    progress: Progress,
) -> tuple[list[ImageToMeasure], int]:
    """A tenth of the plan more, without the trigger; none for finished images or where nobody knows the base's own."""
    if lora is None or base is None:
        return [], 0
    sampled = engine.sample(class_plan(persona), persona.base, lora, image_store(request), progress)
    return images_of(sampled), int(sampled.made)


def missing_images(request: Mapping[str, Any], persona: "Persona", lora: Path, engine: ModuleType) -> int:
    """Return how many images of the plan the store lacks."""
    return int(engine.missing(release_plan(persona), persona.base, lora, image_store(request)))


def image_store(request: Mapping[str, Any]) -> Path:
    """Return the folder of the image store."""
    return Path(request["artifacts"]) / "samples"
