import pytest
from pydantic import ValidationError

from lifeos.lora.recipe import Recipe, contradictions
from lifeos.lora.recipe.contradictions import FLOW_FAMILIES, RULES
from lifeos.lora.recipe.reading import section_of

SMALL = {"base": "base", "dataset": "dataset", "trigger": "zeph", "steps": 300}
GPU = {"device": "cuda"}
ADAMW = {"name": "adamw"}

# rule -> what triggers it alone, the edit that repairs it
CASES = {
    "text_cache_with_caption_dropout": ({"cache_text": True, "caption_dropout": 0.1}, {"cache_text": "none"}),
    "text_cache_with_caption_shuffle": ({"cache_text": True, "caption_shuffle": {}}, {"cache_text": False}),
    "text_cache_with_text_encoder_training": ({"cache_text": True, "train_text_encoder": True}, {"cache_text": False}),
    "latent_cache_with_colour_augmentation": (
        {"cache_latents": True, "colour_augmentation": True}, {"cache_latents": "none"}),
    "prodigy_with_two_learning_rates": (
        {"train_text_encoder": True, "optimizer": {"text_encoder_learning_rate": 0.5}},
        {"optimizer": {"name": "adamw", "text_encoder_learning_rate": 5e-5}}),
    "prodigy_with_another_learning_rate": (
        {"optimizer": {"learning_rate": 1e-4}},
        {"optimizer": {"learning_rate": 1e-4, "learning_rate_is_deliberate": True}}),
    "deliberate_about_nothing": ({"optimizer": {"learning_rate_is_deliberate": True}}, {"optimizer": {}}),
    "prodigy_in_full_float16": ({**GPU, "dtype": "float16", "full_float16": True}, {"optimizer": ADAMW}),
    "prodigy_warmup_without_safeguard": (
        {"optimizer": {"schedule": "cosine", "warmup_steps": 10, "safeguard_warmup": False}},
        {"optimizer": {"schedule": "cosine", "warmup_steps": 10}}),
    "full_float16_without_float16": ({**GPU, "full_float16": True, "optimizer": ADAMW}, {"dtype": "float16"}),
    "float16_on_the_processor": ({"dtype": "float16"}, GPU),
    "gpu_code_on_the_processor": ({"attention": "xformers"}, GPU),
    "min_snr_with_flow": ({"family": "flux", "min_snr_gamma": 5.0}, {"min_snr_gamma": "none"}),
    "noise_offset_with_flow": ({"family": "sd3", "noise_offset": 0.1}, {"noise_offset": 0.0}),
    "flow_levels_without_flow": ({"timestep_sampling": "logit_normal"}, {"family": "flux"}),
    "two_shifts": (
        {"family": "flux", "timestep_sampling": "flux_shift", "discrete_flow_shift": 3.0},
        {"timestep_sampling": "logit_normal"}),
    "text_rate_without_text_training": (
        {"optimizer": {"text_encoder_learning_rate": 1.0}}, {"train_text_encoder": True}),
    "warmup_longer_than_training": (
        {"optimizer": {"schedule": "linear", "warmup_steps": 300}}, {"steps": 301}),
    "constant_with_a_warmup": (
        {"optimizer": {"warmup_steps": 10}}, {"optimizer": {"schedule": "constant_with_warmup", "warmup_steps": 10}}),
    "cycles_without_restarts": (
        {"optimizer": {"schedule": "cosine", "schedule_cycles": 2}},
        {"optimizer": {"schedule": "cosine_with_restarts", "schedule_cycles": 2}}),
    "average_longer_than_training": ({"ema": {"decay": 0.9999}}, {"ema": {"decay": 0.99}}),
    "saves_after_the_end": ({"save_every": 301}, {"save_every": 300}),
    "bucket_sides_out_of_order": (
        {"resolution": {"sides": [512], "buckets": True, "max_side": 448}},
        {"resolution": {"sides": [512], "buckets": True, "max_side": 512}}),
    "bucket_keys_without_buckets": (
        {"resolution": {"sides": [512], "min_side": 384}},
        {"resolution": {"sides": [512], "min_side": 384, "buckets": True}}),
    "prior_is_the_dataset": ({"prior": {"folder": "./dataset/"}}, {"prior": {"folder": "others"}}),
    "prior_caption_with_trigger": (
        {"prior": {"folder": "others", "caption": "a photo of zeph, person"}},
        {"prior": {"folder": "others", "caption": "a photo of a person"}}),
    "mask_folder_with_margin": ({"mask": {"folder": "masks", "margin": 1.0}}, {"mask": {"folder": "masks"}}),
}  # fmt: skip
MORE = [
    ({"optimizer": {"name": "adamw8bit"}, "offload": True}, ("optimizer.name", "offload", "device")),
    ({"sample_every": 301}, ("sample_every", "steps")),
    ({"optimizer": {"schedule": "constant_with_warmup"}}, ("optimizer.schedule", "optimizer.warmup_steps")),
    ({"discrete_flow_shift": 3.0}, ("discrete_flow_shift", "family")),
    ({"steps": 2, "optimizer": {"schedule": "cosine_with_restarts", "schedule_cycles": 3}},
     ("optimizer.schedule_cycles", "steps")),
    ({"resolution": {"sides": [512, 800], "buckets": True}}, ("resolution.sides", "resolution.bucket_step")),
    ({"resolution": {"sides": [512], "min_side": 640, "buckets": True}},
     ("resolution.min_side", "resolution.sides", "resolution.max_side")),
]  # fmt: skip


def unchecked(values):
    """The recipe without its last check, to ask the rules themselves: they read attributes alone."""
    plain = Recipe.model_validate(SMALL)
    update = {"min_snr_gamma": None} if values.get("family") in FLOW_FAMILIES else {}
    for key, value in values.items():
        section = section_of(Recipe.model_fields[key].annotation)
        update[key] = section.model_validate(value) if section and isinstance(value, dict) else value
    return plain.model_copy(update=update)


def test_every_rule_has_a_case():
    assert set(CASES) == {rule.__name__ for rule in RULES}
    assert all(rule.__doc__ for rule in RULES)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_speaks_alone_and_is_silent_after_the_repair(name):
    broken, repair = CASES[name]
    recipe = unchecked({**SMALL, **broken})
    found = [rule.__name__ for rule in RULES if rule(recipe) is not None]
    assert found == [name]
    (told,) = contradictions(recipe)
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate({**SMALL, **broken})
    assert f"{' with '.join(told.fields)}: {told.reason}" in str(caught.value)
    repaired = Recipe.model_validate({**SMALL, **broken, **repair})
    assert contradictions(repaired) == []


@pytest.mark.parametrize(("broken", "fields"), MORE)
def test_the_other_half_of_a_rule(broken, fields):
    recipe = unchecked({**SMALL, **broken})
    assert [each.fields for each in contradictions(recipe)] == [fields]


def test_two_contradictions_are_both_told():
    with pytest.raises(ValidationError, match=r"cache_text with caption_dropout: .*; save_every with steps: "):
        Recipe.model_validate({**SMALL, "cache_text": True, "caption_dropout": 0.1, "save_every": 301})
