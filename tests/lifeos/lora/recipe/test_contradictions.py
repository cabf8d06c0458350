import inspect
import re

import pytest
from pydantic import ValidationError

from lifeos.lora.families import FAMILIES, get_family
from lifeos.lora.recipe import Recipe, contradictions
from lifeos.lora.recipe.contradictions import FLOW_FAMILIES, RULES
from lifeos.lora.recipe.reading import section_of

SMALL = {"base": "base", "dataset": "dataset", "trigger": "zeph", "steps": 300}
GPU = {"device": "cuda"}
ADAMW = {"name": "adamw"}

# keys -> what triggers it alone, the edit that repairs it
CASES = {
    "cache_text caption_dropout": ({"cache_text": True, "caption_dropout": 0.1}, {"cache_text": "none"}),
    "cache_text caption_shuffle": ({"cache_text": True, "caption_shuffle": {}}, {"cache_text": False}),
    "cache_text train_text_encoder": ({"cache_text": True, "train_text_encoder": True}, {"cache_text": False}),
    "cache_latents colour_augmentation": (
        {"cache_latents": True, "colour_augmentation": True}, {"cache_latents": "none"}),
    "optimizer.text_encoder_learning_rate optimizer.name": (
        {"train_text_encoder": True, "optimizer": {"text_encoder_learning_rate": 0.5}},
        {"optimizer": {"name": "adamw", "text_encoder_learning_rate": 5e-5}}),
    "optimizer.learning_rate optimizer.name": (
        {"optimizer": {"learning_rate": 1e-4}},
        {"optimizer": {"learning_rate": 1e-4, "learning_rate_is_deliberate": True}}),
    "optimizer.learning_rate_is_deliberate optimizer.learning_rate": (
        {"optimizer": {"learning_rate_is_deliberate": True}}, {"optimizer": {}}),
    "full_float16 optimizer.name": ({**GPU, "dtype": "float16", "full_float16": True}, {"optimizer": ADAMW}),
    "optimizer.warmup_steps optimizer.safeguard_warmup": (
        {"optimizer": {"schedule": "cosine", "warmup_steps": 10, "safeguard_warmup": False}},
        {"optimizer": {"schedule": "cosine", "warmup_steps": 10}}),
    "full_float16 dtype": ({**GPU, "full_float16": True, "optimizer": ADAMW}, {"dtype": "float16"}),
    "dtype device": ({"dtype": "float16"}, GPU),
    "attention device": ({"attention": "xformers"}, GPU),
    "min_snr_gamma family": ({"family": "flux", "min_snr_gamma": 5.0}, {"min_snr_gamma": "none"}),
    "noise_offset family": ({"family": "sd3", "noise_offset": 0.1}, {"noise_offset": 0.0}),
    "timestep_sampling family": ({"timestep_sampling": "logit_normal"}, {"family": "flux"}),
    "discrete_flow_shift timestep_sampling": (
        {"family": "flux", "timestep_sampling": "flux_shift", "discrete_flow_shift": 3.0},
        {"timestep_sampling": "logit_normal"}),
    "optimizer.text_encoder_learning_rate train_text_encoder": (
        {"optimizer": {"text_encoder_learning_rate": 1.0}}, {"train_text_encoder": True}),
    "optimizer.warmup_steps steps": (
        {"optimizer": {"schedule": "linear", "warmup_steps": 300}}, {"steps": 301}),
    "optimizer.warmup_steps optimizer.schedule": (
        {"optimizer": {"warmup_steps": 10}}, {"optimizer": {"schedule": "constant_with_warmup", "warmup_steps": 10}}),
    "optimizer.schedule_cycles optimizer.schedule": (
        {"optimizer": {"schedule": "cosine", "schedule_cycles": 2}},
        {"optimizer": {"schedule": "cosine_with_restarts", "schedule_cycles": 2}}),
    "ema.decay steps": ({"ema": {"decay": 0.9999}}, {"ema": {"decay": 0.99}}),
    "save_every steps": ({"save_every": 301}, {"save_every": 300}),
    "early_stop sample_every": ({"early_stop": {}}, {"sample_every": 20}),
    "early_stop.window sample_every steps": (
        {"early_stop": {}, "sample_every": 50}, {"early_stop": {}, "sample_every": 49}),
    "resolution.min_side resolution.sides resolution.max_side": (
        {"resolution": {"sides": [512], "buckets": True, "max_side": 448}},
        {"resolution": {"sides": [512], "buckets": True, "max_side": 512}}),
    "resolution.min_side resolution.buckets": (
        {"resolution": {"sides": [512], "min_side": 384}},
        {"resolution": {"sides": [512], "min_side": 384, "buckets": True}}),
    "prior.folder dataset": ({"prior": {"folder": "./dataset/"}}, {"prior": {"folder": "others"}}),
    "prior.caption trigger": (
        {"prior": {"folder": "others", "caption": "a photo of zeph, person"}},
        {"prior": {"folder": "others", "caption": "a photo of a person"}}),
    "mask.face_models mask.folder": (
        {"mask": {"folder": "masks", "face_models": "faces"}}, {"mask": {"folder": "masks"}}),
    "mask.margin mask.folder": ({"mask": {"folder": "masks", "margin": 1.0}}, {"mask": {"folder": "masks"}}),
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
    seen = set()
    for broken in [*(broken for broken, _ in CASES.values()), *(broken for broken, _ in MORE)]:
        for rule in RULES:
            said = rule(unchecked({**SMALL, **broken}))
            seen |= {said.gi_frame.f_lineno for _ in said}
    assert len(seen) == len(re.findall(r"^ +yield ", inspect.getsource(inspect.getmodule(RULES[0])), re.MULTILINE))


@pytest.mark.parametrize("keys", CASES)
def test_a_rule_speaks_alone_and_is_silent_after_the_repair(keys):
    broken, repair = CASES[keys]
    (told,) = contradictions(unchecked({**SMALL, **broken}))
    assert told.fields == tuple(keys.split())
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate({**SMALL, **broken})
    assert f"{' with '.join(told.fields)}: {told.reason}" in str(caught.value)
    assert contradictions(Recipe.model_validate({**SMALL, **broken, **repair})) == []


@pytest.mark.parametrize(("broken", "fields"), MORE)
def test_the_other_half_of_a_rule(broken, fields):
    recipe = unchecked({**SMALL, **broken})
    assert [each.fields for each in contradictions(recipe)] == [fields]


def test_flow_families_are_those_whose_loss_has_no_snr():
    assert {name for name in FAMILIES if not get_family(name).weighs_by_snr} == FLOW_FAMILIES


def test_two_contradictions_are_both_told():
    with pytest.raises(ValidationError, match=r"cache_text with caption_dropout: .*; save_every with steps: "):
        Recipe.model_validate({**SMALL, "cache_text": True, "caption_dropout": 0.1, "save_every": 301})
