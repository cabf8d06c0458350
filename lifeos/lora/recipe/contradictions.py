"""Keys of a recipe that are each allowed and together cannot mean what they say; every one has its reason.

Pure functions of the recipe, one a subject. What depends on the pictures themselves (are there enough of one shape for
a batch) is a question for the dataset, not for the recipe.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lifeos.lora.recipe.schema import Recipe

FLOW_FAMILIES = frozenset({"sd3", "flux"})
"""Families whose model predicts a velocity along straight paths from noise to image (rectified flow)."""


@dataclass(frozen=True)
class Contradiction:
    """Keys that cannot stand together.

    Args:
        fields: dotted names of the keys, as in the file.
        reason: why not, and which edit helps.
    """

    fields: tuple[str, ...]
    reason: str


def contradictions(recipe: "Recipe") -> list[Contradiction]:
    """Return everything in a recipe that contradicts itself."""
    return [Contradiction(fields, reason) for rule in RULES for fields, reason in rule(recipe)]


_Found = Iterator[tuple[tuple[str, ...], str]]


def _caches(recipe: "Recipe") -> _Found:
    if recipe.cache_text and recipe.caption_dropout > 0.0:
        yield ("cache_text", "caption_dropout"), (
            "with cache_text = true the text encoder is asked once, for each caption as it stands, and dropout asks "
            "for another text; leave cache_text out and lifeos keeps the empty caption beside the others")  # fmt: skip
    if recipe.cache_text and recipe.caption_shuffle is not None:
        yield ("cache_text", "caption_shuffle"), (
            "a cached caption keeps its first order for ever, so nothing would be shuffled; drop one of them")
    if recipe.cache_text and recipe.train_text_encoder:
        yield ("cache_text", "train_text_encoder"), (
            "cached text comes from the encoder before training, so its LoRA would get no gradient; drop one of them")
    if recipe.cache_latents and recipe.colour_augmentation:
        yield ("cache_latents", "colour_augmentation"), (
            "a cached latent holds the colours of the first look, so no other would ever be trained; drop one of them")


def _prodigy(recipe: "Recipe") -> _Found:
    optimizer, rate = recipe.optimizer, recipe.optimizer.base_learning_rate
    if optimizer.learning_rate_is_deliberate and rate == 1.0:
        yield ("optimizer.learning_rate_is_deliberate", "optimizer.learning_rate"), (
            "the learning rate is 1, where nothing needs to be said; drop learning_rate_is_deliberate")
    if optimizer.name != "prodigy":
        return
    second = optimizer.text_encoder_learning_rate
    if second is not None and second != rate:
        yield ("optimizer.text_encoder_learning_rate", "optimizer.name"), (
            f"Prodigy estimates one step size for all weights and stops at two learning rates, {second:g} and {rate:g} "
            "(known failure prodigy-multi-lr-groups); drop text_encoder_learning_rate or take adamw")  # fmt: skip
    # Seen: at 1e-4, as left over from AdamW, 400 toy steps moved no weight.
    if rate != 1.0 and not optimizer.learning_rate_is_deliberate:
        yield ("optimizer.learning_rate", "optimizer.name"), (
            f"Prodigy multiplies its own step size by the learning rate, and at {rate:g} it may never leave its start "
            "(known failure prodigy-lr-not-one); drop learning_rate and set d_coefficient, or say "
            "learning_rate_is_deliberate = true")  # fmt: skip
    # Seen: in float16 d stayed at 1e-6 for 400 toy steps and every lora_B at 0.
    if recipe.full_float16:
        yield ("full_float16", "optimizer.name"), (
            "Prodigy's first steps are 1e-6, which float16 weights round away, so nothing is learnt (known failure "
            "fp16-lora-weights-no-learning); drop full_float16 or take adamw")  # fmt: skip
    if optimizer.warmup_steps and not optimizer.safeguard_warmup:
        yield ("optimizer.warmup_steps", "optimizer.safeguard_warmup"), (
            "the small rates of a warm-up enter Prodigy's estimate and it overshoots afterwards (known failure "
            "prodigy-d-overshoot); set safeguard_warmup = true or warmup_steps = 0")  # fmt: skip


def _device(recipe: "Recipe") -> _Found:
    if recipe.full_float16 and recipe.dtype != "float16":
        yield ("full_float16", "dtype"), (
            f'weights in float16 need a base in float16, got dtype = {recipe.dtype!r}; set dtype = "float16"')
    if recipe.device != "cpu":
        return
    if recipe.dtype == "float16":
        yield ("dtype", "device"), (
            'float16 training needs loss scaling on a GPU; set device = "cuda", or dtype = "auto" on the processor')
    used = {"attention": recipe.attention == "xformers", "optimizer.name": recipe.optimizer.name == "adamw8bit",
            "offload": recipe.offload}  # fmt: skip
    fields = tuple(field for field, is_used in used.items() if is_used)
    if fields:
        yield (*fields, "device"), (
            'xformers, adamw8bit and offload need a GPU; set device = "cuda" or do without them')


def _noise(recipe: "Recipe") -> _Found:
    unusual = recipe.timestep_sampling not in (None, "uniform")
    if recipe.family in FLOW_FAMILIES:
        if recipe.min_snr_gamma is not None:
            yield ("min_snr_gamma", "family"), (
                f"min-SNR weighs the noise levels of a diffusion schedule, and {recipe.family} follows a flow; drop "
                "min_snr_gamma and choose levels by timestep_sampling")  # fmt: skip
        if recipe.noise_offset > 0.0:
            yield ("noise_offset", "family"), (
                "an offset makes up for a diffusion schedule that never ends in pure noise, and "
                f"{recipe.family} does end there; drop noise_offset")  # fmt: skip
        if recipe.timestep_sampling == "flux_shift" and recipe.discrete_flow_shift is not None:
            yield ("discrete_flow_shift", "timestep_sampling"), (
                "flux_shift computes the shift from each picture's size; drop discrete_flow_shift or take logit_normal")
    elif unusual or recipe.discrete_flow_shift is not None:
        yield ("timestep_sampling" if unusual else "discrete_flow_shift", "family"), (
            f"these levels are those of a flow ({', '.join(sorted(FLOW_FAMILIES))}), and {recipe.family} draws from "
            "the steps of its schedule; drop timestep_sampling and discrete_flow_shift")  # fmt: skip


def _schedule(recipe: "Recipe") -> _Found:
    optimizer, steps = recipe.optimizer, recipe.steps
    warmup, cycles = optimizer.warmup_steps, optimizer.schedule_cycles
    if optimizer.text_encoder_learning_rate is not None and not recipe.train_text_encoder:
        yield ("optimizer.text_encoder_learning_rate", "train_text_encoder"), (
            "no text encoder is trained, so the rate has nothing to move; set train_text_encoder = true or drop it")
    if warmup >= steps:
        yield ("optimizer.warmup_steps", "steps"), (
            f"a warm-up of {warmup} of {steps} steps never reaches its learning rate; shorten it")
    # Other trainers ignore the warm-up of constant, or stop at it: here the name must say what happens.
    if optimizer.schedule == "constant" and warmup:
        yield ("optimizer.warmup_steps", "optimizer.schedule"), (
            'constant has no warm-up; set schedule = "constant_with_warmup" or warmup_steps = 0')
    if optimizer.schedule == "constant_with_warmup" and not warmup:
        yield ("optimizer.schedule", "optimizer.warmup_steps"), (
            'constant_with_warmup without warm-up steps is constant; set warmup_steps or schedule = "constant"')
    if cycles > 1 and optimizer.schedule != "cosine_with_restarts":
        yield ("optimizer.schedule_cycles", "optimizer.schedule"), (
            f'{optimizer.schedule} falls once; set schedule = "cosine_with_restarts" or drop schedule_cycles')
    elif cycles > steps:
        yield ("optimizer.schedule_cycles", "steps"), (
            f"{cycles} cycles do not fit into {steps} steps; lower schedule_cycles")


def _counts(recipe: "Recipe") -> _Found:
    steps = recipe.steps
    if recipe.ema is not None and 1.0 / (1.0 - recipe.ema.decay) > steps:
        yield ("ema.decay", "steps"), (
            f"an average over about {1.0 / (1.0 - recipe.ema.decay):.0f} steps still holds the untrained weights after "
            f"{steps}; lower decay below {1.0 - 1.0 / steps:.6g}")  # fmt: skip
    for field, every in (("save_every", recipe.save_every), ("sample_every", recipe.sample_every)):
        if every is not None and every > steps:
            yield (field, "steps"), f"training ends after {steps} steps, before the first of every {every}; lower it"
    if recipe.early_stop is None:
        return
    window, every = recipe.early_stop.window, recipe.sample_every
    if every is None:
        yield ("early_stop", "sample_every"), "nothing is looked at while training; set sample_every"
    elif every <= steps and (steps - 1) // every < 2 * window:
        yield ("early_stop.window", "sample_every", "steps"), (
            f"a plateau is found in {2 * window} looks before the last step, and there are {(steps - 1) // every}; "
            "lower sample_every or window")  # fmt: skip


def _resolution(recipe: "Recipe") -> _Found:
    size = recipe.resolution
    if size is None:
        return
    if not size.buckets:
        fields = type(size).model_fields
        idle = [name for name in ("bucket_step", "min_side", "max_side") if getattr(size, name) != fields[name].default]
        if idle:
            yield (*(f"resolution.{name}" for name in idle), "resolution.buckets"), (
                "without buckets every picture is cut to a square; set buckets = true")
        return
    low, high = size.effective_min_side, size.effective_max_side
    outside = [side for side in size.sides if not low <= side <= high]
    if outside:
        yield ("resolution.min_side", "resolution.sides", "resolution.max_side"), (
            f"buckets of {low} to {high} pixels leave out the square of {outside[0]}; widen min_side and max_side")
    if any(side % size.bucket_step for side in size.sides):
        yield ("resolution.sides", "resolution.bucket_step"), (
            f"a bucket's sides are multiples of {size.bucket_step}, so the square itself would be left out; choose "
            "sides that are such multiples")  # fmt: skip


def _pictures(recipe: "Recipe") -> _Found:
    prior, mask = recipe.prior, recipe.mask
    if prior is not None and os.path.normpath(prior.folder) == os.path.normpath(recipe.dataset):
        yield ("prior.folder", "dataset"), (
            "prior preservation needs pictures of others of the class, and these are the persona's own; name another "
            "folder")  # fmt: skip
    if prior is not None and prior.caption is not None and recipe.trigger in prior.caption.replace(",", " ").split():
        yield ("prior.caption", "trigger"), (
            "pictures of others would be trained under the persona's word; write the caption without the trigger")
    if mask is not None and mask.folder is not None and mask.margin != type(mask).model_fields["margin"].default:
        yield ("mask.margin", "mask.folder"), "a mask from a file is taken as drawn; drop margin or folder"
    if mask is not None and mask.folder is not None and mask.face_models is not None:
        yield ("mask.face_models", "mask.folder"), "masks from files need no detector; drop face_models or folder"


RULES: tuple[Callable[["Recipe"], _Found], ...] = (
    _caches, _prodigy, _device, _noise, _schedule, _counts, _resolution, _pictures,
)  # fmt: skip
"""Every rule: yields the keys and the reason of each contradiction in a recipe."""
