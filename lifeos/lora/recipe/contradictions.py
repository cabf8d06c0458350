"""Keys of a recipe that are each allowed and together cannot mean what they say; every one has its reason.

Each rule is a pure function of the recipe: the keys and the reason, or None. What depends on the pictures themselves
(are there enough of them for a batch of one shape) is a question for the dataset, not for the recipe.
"""

import os
from collections.abc import Callable
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
    """Return everything in a recipe that contradicts itself, in the order of ``RULES``."""
    return [found for rule in RULES if (found := rule(recipe)) is not None]


def text_cache_with_caption_dropout(recipe: "Recipe") -> Contradiction | None:
    """A cache of text alone has no other caption to give."""
    if recipe.cache_text and recipe.caption_dropout > 0.0:
        return Contradiction(
            ("cache_text", "caption_dropout"),
            "with cache_text = true the text encoder is asked once, for each caption as it stands, and dropout asks "
            "for another text; leave cache_text out and lifeos keeps the empty caption beside the others",
        )
    return None


def text_cache_with_caption_shuffle(recipe: "Recipe") -> Contradiction | None:
    """Every order of a caption is another text."""
    if recipe.cache_text and recipe.caption_shuffle is not None:
        return Contradiction(
            ("cache_text", "caption_shuffle"),
            "a cached caption keeps its first order for ever, so nothing would be shuffled; drop one of them",
        )
    return None


def text_cache_with_text_encoder_training(recipe: "Recipe") -> Contradiction | None:
    """What is trained answers differently after every step."""
    if recipe.cache_text and recipe.train_text_encoder:
        return Contradiction(
            ("cache_text", "train_text_encoder"),
            "cached text comes from the encoder before training, so its LoRA would get no gradient; drop one of them",
        )
    return None


def latent_cache_with_colour_augmentation(recipe: "Recipe") -> Contradiction | None:
    """A cached latent has the colours it was encoded with."""
    if recipe.cache_latents and recipe.colour_augmentation:
        return Contradiction(
            ("cache_latents", "colour_augmentation"),
            "a cached latent holds the colours of the first look, so no other would ever be trained; drop one of them",
        )
    return None


def prodigy_with_two_learning_rates(recipe: "Recipe") -> Contradiction | None:
    """prodigyopt: "Setting different lr values in different parameter groups is only supported for values of 0"."""
    optimizer = recipe.optimizer
    second = optimizer.text_encoder_learning_rate
    if optimizer.name == "prodigy" and second is not None and second != optimizer.base_learning_rate:
        return Contradiction(
            ("optimizer.text_encoder_learning_rate", "optimizer.name"),
            f"Prodigy estimates one step size for all weights and stops at two learning rates ({second:g} and "
            f"{optimizer.base_learning_rate:g}); drop text_encoder_learning_rate or take adamw",
        )
    return None


def prodigy_with_another_learning_rate(recipe: "Recipe") -> Contradiction | None:
    """At 1e-4, as left over from AdamW, 400 toy steps moved no weight."""
    optimizer = recipe.optimizer
    rate = optimizer.base_learning_rate
    if optimizer.name == "prodigy" and rate != 1.0 and not optimizer.learning_rate_is_deliberate:
        return Contradiction(
            ("optimizer.learning_rate", "optimizer.name"),
            f"Prodigy multiplies its own step size by the learning rate, and at {rate:g} it may never leave its start; "
            "drop learning_rate and set d_coefficient, or say learning_rate_is_deliberate = true",
        )
    return None


def deliberate_about_nothing(recipe: "Recipe") -> Contradiction | None:
    """A promise that covers no deviation would cover the next typing error."""
    optimizer = recipe.optimizer
    if optimizer.learning_rate_is_deliberate and optimizer.base_learning_rate == 1.0:
        return Contradiction(
            ("optimizer.learning_rate_is_deliberate", "optimizer.learning_rate"),
            "the learning rate is 1, where nothing needs to be said; drop learning_rate_is_deliberate",
        )
    return None


def prodigy_in_full_float16(recipe: "Recipe") -> Contradiction | None:
    """400 toy steps in float16: d stayed at 1e-6 and every lora_B at 0."""
    if recipe.full_float16 and recipe.optimizer.name == "prodigy":
        return Contradiction(
            ("full_float16", "optimizer.name"),
            "Prodigy's first steps are 1e-6, which float16 weights round away, so nothing is learnt; drop full_float16 "
            "or take adamw",
        )
    return None


def prodigy_warmup_without_safeguard(recipe: "Recipe") -> Contradiction | None:
    """The author's README: use safeguard_warmup wherever the rate warms up."""
    optimizer = recipe.optimizer
    if optimizer.name == "prodigy" and optimizer.warmup_steps and not optimizer.safeguard_warmup:
        return Contradiction(
            ("optimizer.warmup_steps", "optimizer.safeguard_warmup"),
            "the small rates of a warm-up enter Prodigy's estimate and it overshoots afterwards; set "
            "safeguard_warmup = true or warmup_steps = 0",
        )
    return None


def full_float16_without_float16(recipe: "Recipe") -> Contradiction | None:
    """float16 weights beside a base in another type would be cast at every product."""
    if recipe.full_float16 and recipe.dtype != "float16":
        return Contradiction(
            ("full_float16", "dtype"),
            f"weights in float16 need a base in float16, got dtype = {recipe.dtype!r}; set dtype = \"float16\"",
        )
    return None


def float16_on_the_processor(recipe: "Recipe") -> Contradiction | None:
    """Loss scaling and float16 kernels are the GPU's."""
    if recipe.dtype == "float16" and recipe.device == "cpu":
        return Contradiction(
            ("dtype", "device"),
            "float16 training needs loss scaling on a GPU; set device = \"cuda\", or dtype = \"auto\" on the processor",
        )
    return None


def gpu_code_on_the_processor(recipe: "Recipe") -> Contradiction | None:
    """xformers, the 8-bit optimizers of bitsandbytes and offloading are CUDA code."""
    used = {
        "attention": recipe.attention == "xformers",
        "optimizer.name": recipe.optimizer.name == "adamw8bit",
        "offload": recipe.offload,
    }
    fields = tuple(field for field, is_used in used.items() if is_used)
    if recipe.device == "cpu" and fields:
        return Contradiction(
            (*fields, "device"), "xformers, adamw8bit and offload need a GPU; set device = \"cuda\" or do without them"
        )
    return None


def min_snr_with_flow(recipe: "Recipe") -> Contradiction | None:
    """Hang et al., arXiv 2303.09556: the weight is derived from the SNR of a diffusion schedule."""
    if recipe.family in FLOW_FAMILIES and recipe.min_snr_gamma is not None:
        return Contradiction(
            ("min_snr_gamma", "family"),
            f"min-SNR weighs the noise levels of a diffusion schedule, and {recipe.family} follows a flow; drop "
            "min_snr_gamma and choose levels by timestep_sampling",
        )
    return None


def noise_offset_with_flow(recipe: "Recipe") -> Contradiction | None:
    """An offset repairs schedules that end with signal left; a flow ends in pure noise."""
    if recipe.family in FLOW_FAMILIES and recipe.noise_offset > 0.0:
        return Contradiction(
            ("noise_offset", "family"),
            f"an offset makes up for a diffusion schedule that never ends in pure noise, and {recipe.family} does end "
            "there; drop noise_offset",
        )
    return None


def flow_levels_without_flow(recipe: "Recipe") -> Contradiction | None:
    """Logit-normal levels and shifts are defined for t in [0, 1] along a flow."""
    unusual = recipe.timestep_sampling not in (None, "uniform")
    if recipe.family not in FLOW_FAMILIES and (unusual or recipe.discrete_flow_shift is not None):
        return Contradiction(
            ("timestep_sampling" if unusual else "discrete_flow_shift", "family"),
            f"these levels are those of a flow ({', '.join(sorted(FLOW_FAMILIES))}), and {recipe.family} draws from "
            "the steps of its schedule; drop timestep_sampling and discrete_flow_shift",
        )
    return None


def two_shifts(recipe: "Recipe") -> Contradiction | None:
    """``flux_shift`` computes the shift of each picture from its size."""
    if recipe.timestep_sampling == "flux_shift" and recipe.discrete_flow_shift is not None:
        return Contradiction(
            ("discrete_flow_shift", "timestep_sampling"),
            "flux_shift computes the shift from each picture's size; drop discrete_flow_shift or take logit_normal",
        )
    return None


def text_rate_without_text_training(recipe: "Recipe") -> Contradiction | None:
    """A rate for weights that do not exist."""
    if recipe.optimizer.text_encoder_learning_rate is not None and not recipe.train_text_encoder:
        return Contradiction(
            ("optimizer.text_encoder_learning_rate", "train_text_encoder"),
            "no text encoder is trained, so the rate has nothing to move; set train_text_encoder = true or drop it",
        )
    return None


def warmup_longer_than_training(recipe: "Recipe") -> Contradiction | None:
    """The learning rate would never arrive."""
    if recipe.optimizer.warmup_steps >= recipe.steps:
        return Contradiction(
            ("optimizer.warmup_steps", "steps"),
            f"a warm-up of {recipe.optimizer.warmup_steps} of {recipe.steps} steps never reaches its learning rate; "
            "shorten it",
        )
    return None


def constant_with_a_warmup(recipe: "Recipe") -> Contradiction | None:
    """Other trainers ignore the warm-up of ``constant`` or stop at it; here the name must say what happens."""
    optimizer = recipe.optimizer
    if optimizer.schedule == "constant" and optimizer.warmup_steps:
        return Contradiction(
            ("optimizer.warmup_steps", "optimizer.schedule"),
            "constant has no warm-up; set schedule = \"constant_with_warmup\" or warmup_steps = 0",
        )
    if optimizer.schedule == "constant_with_warmup" and not optimizer.warmup_steps:
        return Contradiction(
            ("optimizer.schedule", "optimizer.warmup_steps"),
            "constant_with_warmup without warm-up steps is constant; set warmup_steps or schedule = \"constant\"",
        )
    return None


def cycles_without_restarts(recipe: "Recipe") -> Contradiction | None:
    """Only one schedule has cycles."""
    optimizer = recipe.optimizer
    if optimizer.schedule_cycles > 1 and optimizer.schedule != "cosine_with_restarts":
        return Contradiction(
            ("optimizer.schedule_cycles", "optimizer.schedule"),
            f"{optimizer.schedule} falls once; set schedule = \"cosine_with_restarts\" or drop schedule_cycles",
        )
    if optimizer.schedule_cycles > recipe.steps:
        return Contradiction(
            ("optimizer.schedule_cycles", "steps"),
            f"{optimizer.schedule_cycles} cycles do not fit into {recipe.steps} steps; lower schedule_cycles",
        )
    return None


def average_longer_than_training(recipe: "Recipe") -> Contradiction | None:
    """At decay .9999 and 1,000 steps nine tenths of the average are still the untrained weights."""
    if recipe.ema is not None and 1.0 / (1.0 - recipe.ema.decay) > recipe.steps:
        return Contradiction(
            ("ema.decay", "steps"),
            f"an average over about {1.0 / (1.0 - recipe.ema.decay):.0f} steps still holds the untrained weights after "
            f"{recipe.steps}; lower decay below {1.0 - 1.0 / recipe.steps:.6g}",
        )
    return None


def saves_after_the_end(recipe: "Recipe") -> Contradiction | None:
    """A file or sample every n steps that never comes is missed at the end."""
    for field in ("save_every", "sample_every"):
        every = getattr(recipe, field)
        if every is not None and every > recipe.steps:
            return Contradiction(
                (field, "steps"),
                f"training ends after {recipe.steps} steps, before the first of every {every}; lower it",
            )
    return None


def bucket_sides_out_of_order(recipe: "Recipe") -> Contradiction | None:
    """No bucket could hold the area of a side."""
    size = recipe.resolution
    if size is None:
        return None
    smallest, largest = size.sides[0], size.sides[-1]
    if size.effective_min_side > smallest or size.effective_max_side < largest:
        return Contradiction(
            ("resolution.min_side", "resolution.sides", "resolution.max_side"),
            f"buckets of {size.effective_min_side} to {size.effective_max_side} pixels leave out the square of "
            f"{smallest if size.effective_min_side > smallest else largest}; widen min_side and max_side",
        )
    if size.buckets and any(side % size.bucket_step for side in size.sides):
        return Contradiction(
            ("resolution.sides", "resolution.bucket_step"),
            f"a bucket's sides are multiples of {size.bucket_step}, so the square itself would be left out; choose "
            "sides that are such multiples",
        )
    return None


def bucket_keys_without_buckets(recipe: "Recipe") -> Contradiction | None:
    """Keys that would be read by nobody."""
    size = recipe.resolution
    if size is None or size.buckets:
        return None
    fields = type(size).model_fields
    idle = [name for name in ("bucket_step", "min_side", "max_side") if getattr(size, name) != fields[name].default]
    if idle:
        return Contradiction(
            (f"resolution.{idle[0]}", "resolution.buckets"),
            "without buckets every picture is cut to a square; set buckets = true",
        )
    return None


def prior_is_the_dataset(recipe: "Recipe") -> Contradiction | None:
    """The persona's own pictures cannot keep the class apart from it."""
    if recipe.prior is not None and os.path.normpath(recipe.prior.folder) == os.path.normpath(recipe.dataset):
        return Contradiction(
            ("prior.folder", "dataset"),
            "prior preservation needs pictures of others of the class, and these are the persona's own; name another "
            "folder",
        )
    return None


def prior_caption_with_trigger(recipe: "Recipe") -> Contradiction | None:
    """The trigger would come to mean the class."""
    prior = recipe.prior
    if prior is not None and prior.caption is not None and recipe.trigger in prior.caption.replace(",", " ").split():
        return Contradiction(
            ("prior.caption", "trigger"),
            "pictures of others would be trained under the persona's word; write the caption without the trigger",
        )
    return None


def mask_folder_with_margin(recipe: "Recipe") -> Contradiction | None:
    """The margin widens a detected face only."""
    if recipe.mask is not None and recipe.mask.folder is not None:
        default = type(recipe.mask).model_fields["margin"].default
        if recipe.mask.margin != default:
            return Contradiction(
                ("mask.margin", "mask.folder"), "a mask from a file is taken as drawn; drop margin or folder"
            )
    return None


RULES: tuple[Callable[["Recipe"], Contradiction | None], ...] = (
    text_cache_with_caption_dropout,
    text_cache_with_caption_shuffle,
    text_cache_with_text_encoder_training,
    latent_cache_with_colour_augmentation,
    prodigy_with_two_learning_rates,
    prodigy_with_another_learning_rate,
    deliberate_about_nothing,
    prodigy_in_full_float16,
    prodigy_warmup_without_safeguard,
    full_float16_without_float16,
    float16_on_the_processor,
    gpu_code_on_the_processor,
    min_snr_with_flow,
    noise_offset_with_flow,
    flow_levels_without_flow,
    two_shifts,
    text_rate_without_text_training,
    warmup_longer_than_training,
    constant_with_a_warmup,
    cycles_without_restarts,
    average_longer_than_training,
    saves_after_the_end,
    bucket_sides_out_of_order,
    bucket_keys_without_buckets,
    prior_is_the_dataset,
    prior_caption_with_trigger,
    mask_folder_with_margin,
)
"""Every rule, in the order in which findings are told."""
