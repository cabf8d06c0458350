"""Arguments whose meaning in a recipe depends on their value or on others; ``convert`` in the tables names them."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lifeos.lora.recipe.contradictions import FLOW_FAMILIES

Subfolders = Callable[[str], Sequence[str] | None]
"""Names of the folders in a folder; None where it is not on this machine."""

_REPEATED = re.compile(r"(\d{1,4})_(.*)")
_SCHEDULES = ("constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts")
_DTYPES = {"no": "float32", "float": "float32", "fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}
_OPTIMIZERS = {
    "adamw": "adamw", "torch.optim.adamw": "adamw", "adamw8bit": "adamw8bit", "prodigy": "prodigy",
    "bitsandbytes.optim.adamw8bit": "adamw8bit", "prodigyopt.prodigy": "prodigy",
}  # fmt: skip
_LORA_MODULES = ("networks.lora", "networks.lora_flux", "networks.lora_sd3")


@dataclass(frozen=True)
class Context:
    """What a conversion may look at: every value of the run, the trainer's defaults filled in, and the family."""

    values: Mapping[str, Any]
    family: str
    launched_dtype: str | None
    subfolders: Subfolders


@dataclass(frozen=True)
class Converted:
    """What became of an argument.

    Args:
        fields: keys of the recipe, dotted, and their values.
        note: what changed in meaning.
        reason: why it, or a part of it, is not mapped.
        matters: whether that changes the LoRA.
        missing: a key that only a person can say now, and why.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    reason: str = ""
    matters: bool = True
    missing: tuple[str, str] | None = None


NOTHING = Converted()
Conversion = Callable[[Any, Context], Converted]


def optimizer_name(values: Mapping[str, Any]) -> str | None:
    """Return the recipe's name of the optimizer that arguments choose; None for one that recipes do not have."""
    named = str(values.get("optimizer_type") or values.get("optimizer") or "").lower()
    if values.get("use_lion_optimizer"):
        return None
    if values.get("use_8bit_adam"):
        return "adamw8bit" if named in ("", "adamw") else None
    return _OPTIMIZERS.get(named or "adamw")


def network_module(values: Mapping[str, Any]) -> str | None:
    """Return ``networks.lora`` for each of kohya's LoRA modules, None for any other."""
    return "networks.lora" if values.get("network_module") in _LORA_MODULES else None


def _for_prodigy(key: str) -> Conversion:
    return lambda value, context: Converted({key: value}) if optimizer_name(context.values) == "prodigy" else NOTHING


def _optimizer(_: Any, context: Context) -> Converted:
    name = optimizer_name(context.values)
    if name is None:
        why = "the trainer's optimizer is none of prodigy, adamw and adamw8bit, and its rates mean nothing to another"
        return Converted(reason=why, missing=("optimizer.name", why))
    return Converted({"optimizer.name": name})


def _kohya_text_rate(value: list[str] | None, context: Context) -> Converted:
    if context.values.get("network_train_unet_only"):
        return Converted(reason="no text encoder is trained", matters=False) if value else NOTHING
    plain = context.values["learning_rate"]
    try:
        rates = {float(each) for each in value or []} or {plain}
    except ValueError:
        return Converted(reason="the trainer itself accepts numbers")
    rate = max(rates)
    if rates == {0.0}:
        return Converted({"train_text_encoder": False}, "at rate 0 the text encoders stay as they are")
    unet_rate = context.values.get("unet_lr")
    differs = rate != (plain if unet_rate is None else unet_rate)
    fields = {"optimizer.text_encoder_learning_rate": rate} if differs else {}
    return Converted(fields, reason="all text encoders have one rate" if len(rates) > 1 else "")


def _diffusers_text_rate(value: float, context: Context) -> Converted:
    name = optimizer_name(context.values)
    if not context.values.get("train_text_encoder") or name == "prodigy" or context.family == "sd15":
        return Converted(reason="the script does not read it here", matters=False)
    return Converted({"optimizer.text_encoder_learning_rate": value})


def _betas(value: list[Any], _: Context) -> Converted:
    try:
        betas = [float(each) for each in value]
    except ValueError:
        return Converted(reason="the trainer itself accepts two numbers")
    return Converted({"optimizer.betas": betas})


def _adam_betas(_: float, context: Context) -> Converted:
    return Converted({"optimizer.betas": [context.values["adam_beta1"], context.values["adam_beta2"]]})


def _schedule(value: str, context: Context) -> Converted:
    if value not in _SCHEDULES:
        why = f"the schedules of a recipe are {', '.join(_SCHEDULES)}"
        return Converted(reason=why, missing=("optimizer.schedule", why))
    if value == "constant_with_warmup" and not context.values.get("lr_warmup_steps"):
        return Converted({"optimizer.schedule": "constant"}, "without warm-up steps it is constant")
    return Converted({"optimizer.schedule": value})


def _warmup(value: float, context: Context) -> Converted:
    if not value:
        return NOTHING
    if context.values["lr_scheduler"] == "constant":
        return Converted(reason="constant has no warm-up: the trainer ignores it or stops", matters=False)
    if value >= 1:
        return Converted({"optimizer.warmup_steps": int(value)})
    steps = _known_steps(context)
    if steps is None:
        why = f"{value:g} of all steps, which are not known"
        return Converted(reason=why, missing=("optimizer.warmup_steps", why))
    return Converted({"optimizer.warmup_steps": int(value * steps)}, f"a share of {steps} steps")


def _cycles(value: int, context: Context) -> Converted:
    if context.values["lr_scheduler"] != "cosine_with_restarts":
        return Converted(reason="the schedule has no cycles", matters=False)
    return Converted({"optimizer.schedule_cycles": value})


def _known_steps(context: Context) -> int | None:
    steps = None if context.values.get("max_train_epochs") else context.values.get("max_train_steps")
    return int(steps) if steps else None


def _steps(value: int | None, context: Context) -> Converted:
    if _known_steps(context) is None:
        return Converted(missing=("steps", "epochs are counted there: pictures x repeats / batch steps each"))
    return Converted({"steps": value})


def _epochs(value: int | None, _: Context) -> Converted:
    if value is None:
        return NOTHING
    return Converted(reason="steps are counted, not epochs: pictures x repeats / batch is one epoch")


def _min_snr(value: float | None, _: Context) -> Converted:
    return Converted({"min_snr_gamma": value or "none"})


def _clip(value: float, _: Context) -> Converted:
    return Converted({"gradient_clip": value or "none"})


def _dtype(value: str | None, context: Context) -> Converted:
    named = value or context.launched_dtype
    if named is None:
        return Converted({"dtype": "float32"}, reason="accelerate's own configuration decides; float32 is written")
    if named not in _DTYPES:
        return Converted(missing=("dtype", f"{named} is not among the types"), reason="not among the types")
    return Converted({"dtype": _DTYPES[named]})


def _kohya_save(value: str | None, context: Context) -> Converted:
    named = value or ("fp16" if context.values.get("full_fp16") else "float")
    if named not in _DTYPES:
        return Converted(reason="not among the types")
    return Converted({"save_dtype": _DTYPES[named]})


def _diffusers_save(value: bool, context: Context) -> Converted:
    if context.family not in FLOW_FAMILIES or value:
        return Converted({"save_dtype": "float32"})
    named = context.values.get("mixed_precision") or context.launched_dtype or "no"
    return Converted({"save_dtype": _DTYPES.get(named, "float32")}, "the type it is trained in")


def _kohya_alpha(value: float, context: Context) -> Converted:
    return Converted({"alpha": value or float(context.values["network_dim"])})


def _diffusers_alpha(value: int, context: Context) -> Converted:
    # Only the script of flux has the argument; the others take the rank.
    return Converted({"alpha": value}) if context.family == "flux" else NOTHING


def _kohya_module(value: str, _: Context) -> Converted:
    if value not in _LORA_MODULES:
        why = f"LoRA is trained, and this module is none of {', '.join(_LORA_MODULES)}"
        return Converted(reason=why, missing=("targets", why))
    note = "the projections in and out of each block of transformers, which kohya trains too, are left out"
    return Converted({"targets": "attention_feedforward"}, note)


def _conv_dim(value: int | None, _: Context) -> Converted:
    return Converted({"targets": "full"}) if value else NOTHING


def _kohya_shuffle(value: bool, context: Context) -> Converted:
    return Converted({"caption_shuffle.separator": context.values["caption_separator"]}) if value else NOTHING


def _kohya_mask(value: bool, context: Context) -> Converted:
    if not value:
        return NOTHING
    if not context.values.get("conditioning_data_dir"):
        return Converted(reason="without conditioning_data_dir the alpha channel is the mask; pictures are opaque here")
    return Converted({"mask.outside_weight": 0.0})


def _kohya_resolution(value: str | None, context: Context) -> Converted:
    if not value:
        return NOTHING
    try:
        numbers = [int(each) for each in value.split(",")]
    except ValueError:
        return Converted(reason="the trainer itself accepts one or two whole numbers")
    if len(numbers) not in (1, 2) or not all(1 <= each <= 100_000 for each in numbers):
        return Converted(reason="the trainer itself accepts one or two whole numbers")
    width, height = numbers[0], numbers[-1]
    if width == height:
        return Converted({"resolution.sides": [width]})
    step = max(8, int(context.values["bucket_reso_steps"]))
    side = max(step, round(math.sqrt(width * height) / step) * step)
    if context.values.get("enable_bucket"):
        return Converted({"resolution.sides": [side]}, "the square of about the same area")
    return Converted({"resolution.sides": [side]}, reason="pictures are cut to that rectangle there, to a square here")


def _kohya_data(value: str | None, context: Context) -> Converted:
    if not value:
        return NOTHING
    names = context.subfolders(value)
    fields: dict[str, Any] = {"dataset": value}
    if names is None:
        why = "subfolders named 10_name say how often their pictures repeat; the folder is not on this machine"
        return Converted(fields, reason=why)
    found = {name: match for name in sorted(names) if (match := _REPEATED.fullmatch(name)) and int(match[1]) >= 1}
    if not found:
        return Converted(fields, "it has no subfolder named as 10_name, and kohya would find no picture")
    fields["repeats"] = {name: int(match[1]) for name, match in found.items()}
    words = {match[2].split()[0] for match in found.values() if match[2].split()}
    if len(words) == 1:
        fields["trigger"] = words.pop()
    return Converted(fields, "repeats and trigger as the names of its subfolders say")


def _kohya_reg(value: str | None, context: Context) -> Converted:
    if not value:
        return NOTHING
    found = [match for name in context.subfolders(value) or () if (match := _REPEATED.fullmatch(name))]
    if len(found) == 1:
        fields = {"prior.folder": f"{value.rstrip('/')}/{found[0][0]}"}
        return Converted({**fields, "prior.caption": found[0][2]} if found[0][2] else fields)
    return Converted({"prior.folder": value}, "its subfolders are not read")


def _class_tokens(value: str | None, _: Context) -> Converted:
    words = (value or "").split()
    return Converted({"trigger": words[0]}, "the first word; captions must hold it") if words else NOTHING


def _dataset(value: str | None, _: Context) -> Converted:
    note = "captions are .txt files beside the pictures, the trigger once in each"
    return Converted({"dataset": value}, note) if value else NOTHING


def _caption_extension(value: str, _: Context) -> Converted:
    if value == ".txt":
        return NOTHING
    return Converted(reason="captions are .txt files here: rename them")


def _cached_text(value: bool, context: Context) -> Converted:
    if not value:
        return NOTHING
    if "network_train_unet_only" in context.values and not context.values["network_train_unet_only"]:
        return Converted(reason="what the text encoders that are trained say is not cached there either", matters=False)
    return Converted({"cache_text": True})


def _center_crop(value: bool, _: Context) -> Converted:
    if value:
        return Converted(note="pictures are always cut to the middle here")
    return Converted(reason="pictures that are not square are cut at random there, to the middle here")


def _seed(value: int | None, _: Context) -> Converted:
    return NOTHING if value is None else Converted({"seed": value})


def _kohya_levels(value: str, context: Context) -> Converted:
    if context.family != "flux":
        return Converted(reason="only the script of flux reads it", matters=False)
    known = {"uniform": "uniform", "sigmoid": "logit_normal", "shift": "logit_normal", "flux_shift": "flux_shift"}
    if value == "sigma":
        return Converted(note="levels as weighting_scheme says")
    if value not in known:
        return Converted(reason="not among the samplings", missing=("timestep_sampling", "not among the samplings"))
    return Converted({"timestep_sampling": known[value]})


def _weighting(value: str, context: Context) -> Converted:
    if context.family not in FLOW_FAMILIES:
        return Converted(reason="no script of this family reads it", matters=False)
    weighs = value in ("sigma_sqrt", "cosmap")
    reason = "every noise level has the same weight in the loss" if weighs else ""
    if context.values.get("timestep_sampling", "sigma") != "sigma":
        return Converted(reason=reason or "timestep_sampling decides", matters=weighs)
    if value == "mode":
        return Converted(reason="levels are not drawn by mode", missing=("timestep_sampling", "mode is not among them"))
    return Converted({"timestep_sampling": "logit_normal" if value == "logit_normal" else "uniform"}, reason=reason)


def _flux_shift(value: float, context: Context) -> Converted:
    sampling = context.values.get("timestep_sampling")
    if context.family != "flux" or sampling == "flux_shift":
        return Converted(reason="it is not read here", matters=False)
    return Converted({"discrete_flow_shift": value if sampling in ("sigma", "shift") else 1.0})


def _sd3_shift(value: float, context: Context) -> Converted:
    if context.family != "sd3":
        return Converted(reason="only the script of sd3 reads it", matters=False)
    return Converted({"discrete_flow_shift": value})


CONVERSIONS: dict[str, Conversion] = {
    "adam_betas": _adam_betas,
    "attention_sdpa": lambda value, _: Converted({"attention": "sdpa"}) if value else NOTHING,
    "attention_xformers": lambda value, _: Converted({"attention": "xformers"}) if value else NOTHING,
    "betas": _betas,
    "cache_latents": lambda value, _: Converted({"cache_latents": True}) if value else NOTHING,
    "cache_text": _cached_text,
    "caption_extension": _caption_extension,
    "center_crop": _center_crop,
    "class_tokens": _class_tokens,
    "dataset_with_captions": _dataset,
    "diffusers_alpha": _diffusers_alpha,
    "diffusers_optimizer": _optimizer,
    "diffusers_resolution": lambda value, _: Converted({"resolution.sides": [value]}),
    "diffusers_save_dtype": _diffusers_save,
    "diffusers_steps": _steps,
    "diffusers_text_encoder_lr": _diffusers_text_rate,
    "diffusers_warmup": _warmup,
    "gradient_clip": _clip,
    "kohya_alpha": _kohya_alpha,
    "kohya_conv_dim": _conv_dim,
    "kohya_epochs": _epochs,
    "kohya_flux_shift": _flux_shift,
    "kohya_masked_loss": _kohya_mask,
    "kohya_network_module": _kohya_module,
    "kohya_no_upscale": lambda value, _: Converted({"resolution.upscale": not value}),
    "kohya_optimizer": _optimizer,
    "kohya_reg_data_dir": _kohya_reg,
    "kohya_resolution": _kohya_resolution,
    "kohya_save_precision": _kohya_save,
    "kohya_sd3_shift": _sd3_shift,
    "kohya_shuffle_caption": _kohya_shuffle,
    "kohya_steps": _steps,
    "kohya_text_encoder_lr": _kohya_text_rate,
    "kohya_timestep_sampling": _kohya_levels,
    "kohya_train_data_dir": _kohya_data,
    "kohya_unet_only": lambda value, _: Converted({"train_text_encoder": not value}),
    "kohya_warmup": _warmup,
    "min_snr": _min_snr,
    "mixed_precision": _dtype,
    "other_file": lambda value, _: Converted(reason="another file: name it beside this one") if value else NOTHING,
    "prodigy_bias_correction": _for_prodigy("optimizer.bias_correction"),
    "prodigy_safeguard": _for_prodigy("optimizer.safeguard_warmup"),
    "read_elsewhere": lambda *_: NOTHING,
    "schedule": _schedule,
    "schedule_cycles": _cycles,
    "seed": _seed,
    "weighting_scheme": _weighting,
}
"""Every conversion by its name in the tables."""
