"""What a release does, counted before it is done: steps, images, controls, judging. No torch, no weights."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lifeos.errors import InputError
from lifeos.pods.throughput import Dtype, Operation

if TYPE_CHECKING:
    from lifeos.inputs import Inputs
    from lifeos.lora.recipe import Recipe
    from lifeos.lora.sample_plan import SamplePlan
    from lifeos.persona import Persona


@dataclass(frozen=True)
class Part:
    """``calls`` calls of one operation, each with ``images`` rows of ``side`` pixels (None: the row's own side)."""

    phase: str
    operation: Operation
    family: str
    calls: int
    images: int = 1
    side: int | None = None
    dtype: Dtype = "bfloat16"


@dataclass(frozen=True)
class Workload:
    """Everything that is paid for, in the order in which it happens."""

    parts: tuple[Part, ...]


def count_workload(inputs: "Inputs") -> Workload:
    """Count what ``lifeos gate release`` does with these inputs on a fresh pod, as if nothing had been made before.

    Training, cached latents and the looks at it (for a recipe), samples of the candidate, the champion's on the same
    plan, controls (images rendered twice, at strength 1.8, without the trigger; faces of the bare base where the
    persona has no calibration yet), judging every image.

    Raises:
        InputError: persona, prompts, recipe or dataset cannot be read, or a processor would draw with a large base.
    """
    from lifeos.inputs import champion_file
    from lifeos.lora.dataset import image_files, pictures_below
    from lifeos.persona import load_persona

    persona = load_persona(inputs.persona, inputs.project.root)
    parts = [Part("start", "start", persona.family, 1)]
    training_folders, looked_at = {persona.dataset.resolve()}, 0
    if inputs.lora is None and inputs.images is None:
        from lifeos.lora.recipe import find_folder, read_recipe

        path = inputs.recipe or persona.recipe
        recipe = read_recipe(path)
        dataset = find_folder(path, recipe.dataset, "dataset")
        training_folders.add(dataset.resolve())
        parts += _training(recipe, path, len(pictures_below(dataset)))
        looked_at = _looked_at(recipe, persona)
        parts += _sampling(persona, "looks", looked_at)
    judged = looked_at if inputs.images is None else len(image_files(inputs.images))
    if inputs.images is None:
        plan = len(persona.prompts_b) * len(persona.seeds.b)
        champions = 0 if champion_file(inputs) is None else plan
        controls = _controls(inputs, persona)
        for phase, images in (("sampling", plan), ("champion", champions), ("controls", controls)):
            parts += _sampling(persona, phase, images)
        judged += plan + champions + controls
    judged += sum(len(pictures_below(folder)) for folder in training_folders) + len(image_files(persona.references))
    parts.append(Part("judging", "judge", persona.family, judged, side=_side(persona)))
    return Workload(tuple(part for part in parts if part.calls))


def _training(recipe: "Recipe", path: Path, pictures: int) -> list[Part]:
    sides = _trained_sides(recipe, path)
    dtype: Dtype = "float32" if recipe.dtype == "float32" else "bfloat16"
    batches = recipe.steps * recipe.gradient_accumulation
    parts = []
    # Each picture is encoded, and trained as often, at every side.
    for number, side in enumerate(sides):
        share = batches // len(sides) + (number < batches % len(sides))
        encoded = pictures if recipe.caches_latents else share * recipe.batch_size
        parts += [Part("training", "encode", recipe.family, encoded, side=side, dtype=dtype),
                  Part("training", "train", recipe.family, share, recipe.batch_size, side, dtype)]
    return parts


def _looked_at(recipe: "Recipe", persona: "Persona") -> int:
    from lifeos.training_watch.inputs import looks_of, watch_plan

    return looks_of(recipe) * len(watch_plan(persona).requests()) if recipe.sample_every is not None else 0


def _sampling(persona: "Persona", phase: str, images: int) -> list[Part]:
    drawn = persona.sampler
    if images and drawn.device == "cpu" and drawn.backend == "diffusers" and persona.family != "tiny_base":
        raise InputError(f"[sampler] of {persona.folder / 'persona.toml'}: accepted device = \"cuda\" where time on a "
                         'pod is counted, got "cpu": no row of throughput.toml speaks of a processor; next: edit it')
    # One image a call: larger batches are quicker, and which batch the pod takes is not known here.
    rows = 2 if persona.sampler.guidance > 1 else 1
    dtype: Dtype = "float32" if persona.sampler.dtype == "float32" else "bfloat16"
    side = _side(persona)
    return [
        Part(phase, "denoise", persona.family, images * persona.sampler.steps, rows, side, dtype),
        Part(phase, "decode", persona.family, images, 1, side, dtype),
    ]


def _controls(inputs: "Inputs", persona: "Persona") -> int:
    from evals.policy import load_policy
    from lifeos.base_images import base_plan, class_plan
    from lifeos.instrument import overdriven_part
    from lifeos.release_inputs import repeated_part
    from lifeos.strangers import nulls_to_draw

    repeated = repeated_part([prompt.id for prompt in persona.prompts_b], persona.seeds.b)
    overdriven = overdriven_part(persona, load_policy(inputs.policy))
    parts: list[tuple[Sequence[object], Sequence[int]]] = [repeated, overdriven, _asked(class_plan(persona))]
    nulls = 0
    if not persona.calibration.exists():
        parts.append(_asked(base_plan(persona)))
        nulls = nulls_to_draw(persona)
    return nulls + sum(len(prompts) * len(seeds) for prompts, seeds in parts)


def _asked(plan: "SamplePlan") -> tuple[Sequence[object], Sequence[int]]:
    return plan.prompts, plan.seeds


def _side(persona: "Persona") -> int:
    return math.ceil(math.sqrt(persona.sampler.width * persona.sampler.height))


def _trained_sides(recipe: "Recipe", path: Path) -> tuple[int | None, ...]:
    """Sides that pictures are trained at; of the base's images where the recipe names none and its configuration lies
    here, None where only the pod will have it."""
    if recipe.resolution is not None:
        return recipe.resolution.sides
    from lifeos.lora.families import get_family
    from lifeos.lora.recipe import find_base

    try:
        sides: Sequence[int] = get_family(recipe.family).image_size(find_base(path, recipe.base))
    except InputError:
        return (None,)
    return (math.ceil(math.sqrt(math.prod(sides))),)
