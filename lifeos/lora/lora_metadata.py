"""What a finished LoRA says about itself, in the words that diffusers, ComfyUI and kohya's tools read.

``lora_adapter_metadata`` is what diffusers needs to restore alpha: without it a file loads with scale 1.
``modelspec.*``: https://github.com/Stability-AI/ModelSpec. ``ss_*``: kohya-ss/sd-scripts.
"""

import json
from collections import Counter

from evals.content_hash import canonical_json
from lifeos.lora.families import Family
from lifeos.lora.families.adapters import TEXT_ATTENTION
from lifeos.lora.training_inputs import TrainingInputs

OPTIMIZERS = {
    "prodigy": "prodigyopt.prodigy.Prodigy",
    "adamw": "torch.optim.AdamW",
    "adamw8bit": "bitsandbytes.optim.adamw.AdamW8bit",
}
"""A recipe's optimizer -> ``ss_optimizer``: kohya writes module and class."""
_PRECISIONS = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}
PREDICTION_NAMES = {"epsilon": "epsilon", "v_prediction": "v"}
"""What a scheduler calls the kind of prediction -> ``modelspec.prediction_type``, which sd-scripts writes too."""


def lora_metadata(
    inputs: TrainingInputs, family: Family, date: str | None = None, steps: int | None = None
) -> dict[str, str]:
    """Return the text metadata of a finished file.

    Args:
        inputs: what it was trained on.
        family: the base's family.
        date: ISO 8601 date for ``modelspec.date``; left out when None, so that equal inputs give equal bytes.
        steps: after how many the file lies there; None: after all of the recipe's.
    """
    recipe = inputs.recipe
    width, height = family.image_size(recipe.base)
    alpha = recipe.effective_alpha
    settings = {
        "r": recipe.rank,
        "lora_alpha": int(alpha) if alpha.is_integer() else alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "peft_type": "LORA",
        **({"use_dora": True} if recipe.dora else {}),
    }
    targets = {family.lora_components[0]: family.target_suffixes(recipe.targets)}
    if recipe.train_text_encoder:
        targets |= dict.fromkeys(family.text_components, TEXT_ATTENTION)
    adapter = {
        f"{component}.{name}": value
        for component, endings in targets.items()
        for name, value in {**settings, "target_modules": sorted(endings)}.items()
    }
    own = [example for example in inputs.examples if not example.prior]
    tags = Counter(tag.strip() for example in own for tag in example.caption.split(",") if tag.strip())
    optimizer = recipe.optimizer
    metadata = {
        "format": "pt",
        "lora_adapter_metadata": json.dumps(adapter, sort_keys=True),
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": family.architecture,
        "modelspec.implementation": "https://github.com/huggingface/diffusers",
        "modelspec.title": recipe.title,
        "modelspec.resolution": f"{width}x{height}",
        "modelspec.trigger_phrase": recipe.trigger,
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(recipe.rank),
        "ss_network_alpha": f"{alpha:g}",
        "ss_base_model_version": family.base_model_version,
        "ss_sd_model_name": recipe.base.name,
        "ss_sd_model_hash": inputs.base_hash,
        "ss_base_model": inputs.base_hash,
        "ss_output_name": recipe.title,
        "ss_seed": str(recipe.seed),
        "ss_max_train_steps": str(recipe.steps),
        "ss_steps": str(recipe.steps if steps is None else steps),
        "ss_total_batch_size": str(recipe.batch_size),
        "ss_num_train_images": str(sum(example.repeats for example in own)),
        "ss_resolution": f"({width}, {height})",
        "ss_learning_rate": f"{optimizer.base_learning_rate:g}",
        "ss_optimizer": OPTIMIZERS[optimizer.name],
        "ss_lr_scheduler": optimizer.schedule,
        "ss_mixed_precision": _PRECISIONS[recipe.effective_dtype],
        "ss_min_snr_gamma": f"{recipe.min_snr_gamma:g}" if family.weighs_by_snr and recipe.min_snr_gamma else "None",
        "ss_caption_dropout_rate": f"{recipe.caption_dropout:g}",
        "ss_tag_frequency": json.dumps({recipe.title: dict(sorted(tags.items()))}),
        "lifeos.recipe": canonical_json(recipe.settings()),
        "lifeos.recipe_hash": recipe.content_hash,
        "lifeos.base_hash": inputs.base_hash,
        "lifeos.dataset_hash": inputs.dataset_hash,
        "lifeos.training_key": inputs.key,
        "lifeos.family": recipe.family,
        "lifeos.trigger": recipe.trigger,
    }
    prediction = PREDICTION_NAMES.get(family.prediction_type(recipe.base))
    if prediction is not None:
        metadata["modelspec.prediction_type"] = prediction
    if len(own) < len(inputs.examples):
        metadata["ss_num_reg_images"] = str(len(inputs.examples) - len(own))
    if recipe.train_text_encoder:
        metadata["ss_text_encoder_lr"] = f"{optimizer.text_encoder_learning_rate or optimizer.base_learning_rate:g}"
    if date is not None:
        metadata["modelspec.date"] = date
    return metadata
