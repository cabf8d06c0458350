"""What is advised when memory runs out: valid recipes only, and nothing that is so already."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lifeos.lora import memory_advice as advice
from lifeos.lora.memory_advice import memory_advice
from lifeos.lora.recipe import Recipe

SMALL = {"base": "base", "dataset": "data", "trigger": "zeph", "steps": 300}


def recipe(**changes):
    return Recipe.model_validate({**SMALL, **changes})


def texts(made, stage="training"):
    return [edit.text for edit in memory_advice(made, stage)]


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine with bfloat16 in hardware, whatever this one has."""
    monkeypatch.setattr(advice, "computes_bfloat16", lambda: True)
    monkeypatch.setattr(advice, "gpus_compute_bfloat16", lambda: True)


def test_what_costs_the_result_least_comes_first():
    made = recipe(device="cuda", dora=True, train_text_encoder=True, cache_latents=False, batch_size=6,
                  resolution={"sides": [512, 768]},
                  optimizer={"name": "adamw", "text_encoder_learning_rate": 1e-5})  # fmt: skip
    assert texts(made) == [
        "cache_latents = true", "gradient_checkpointing = true", "batch_size = 3 and gradient_accumulation = 2",
        'dtype = "bfloat16"', 'optimizer.name = "adamw8bit"', "dora = false",
        "train_text_encoder = false without optimizer.text_encoder_learning_rate",
        'targets = "attention_feedforward"', "rank = 8", "resolution.sides = [512]",
    ]  # fmt: skip
    assert texts(made, "encoding") == ["resolution.sides = [512]"]
    assert texts(recipe(device="cuda", family="flux"), "encoding") == ['dtype = "bfloat16"']
    assert texts(recipe(family="flux"), "encoding") == []


def test_what_is_so_already_or_cannot_be_is_not_advised(monkeypatch):
    made = recipe(gradient_checkpointing=True, batch_size=1, rank=4, targets="attention", dtype="bfloat16")
    assert texts(made) == texts(made, "encoding") == []
    assert texts(recipe(gradient_checkpointing=True, batch_size=7, rank=4, targets="attention", dtype="bfloat16")) == [
        "batch_size = 1 and gradient_accumulation = 7"
    ]
    # The cache has no empty caption to give, so the encoder has to stay.
    assert "cache_text = true" not in texts(recipe(cache_text=False, caption_dropout=0.1))
    assert "cache_text = true" in texts(recipe(cache_text=False))
    monkeypatch.setattr(advice, "computes_bfloat16", lambda: False)
    monkeypatch.setattr(advice, "gpus_compute_bfloat16", lambda: False)
    assert not [text for text in texts(recipe()) if "dtype" in text]
    assert 'dtype = "float16"' in texts(recipe(device="cuda"))
    assert "offload = true" in texts(recipe(device="cuda"))
    assert "offload = true" not in texts(recipe(device="cuda", offload=True))


KEYS = {
    "device": st.sampled_from(["cpu", "cuda"]), "dtype": st.sampled_from(["auto", "float32", "bfloat16", "float16"]),
    "batch_size": st.integers(1, 24), "gradient_accumulation": st.integers(1, 1024), "rank": st.integers(1, 1024),
    "targets": st.sampled_from(["attention", "attention_feedforward", "full"]), "dora": st.booleans(),
    "train_text_encoder": st.booleans(), "offload": st.booleans(), "gradient_checkpointing": st.booleans(),
    "cache_text": st.sampled_from([None, False, True]), "cache_latents": st.sampled_from([None, False, True]),
    "caption_dropout": st.sampled_from([0.0, 0.2]), "colour_augmentation": st.booleans(),
    "resolution": st.sampled_from([None, {"sides": [512, 768, 1024]}, {"sides": [512, 1024], "buckets": True}]),
    "optimizer": st.fixed_dictionaries({"name": st.sampled_from(["adamw", "adamw8bit", "prodigy"])},
                                       optional={"text_encoder_learning_rate": st.just(1e-5)}),
}  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.fixed_dictionaries({}, optional=KEYS), st.sampled_from(["encoding", "training"]))
def test_every_recipe_on_the_way_is_valid_and_another(changes, stage):
    try:
        made = recipe(**changes)
    except ValidationError:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(advice, "computes_bfloat16", lambda: True)
        patch.setattr(advice, "gpus_compute_bfloat16", lambda: False)
        pictures = made.batch_size * made.gradient_accumulation
        for edit in memory_advice(made, stage):
            changed = made.model_copy(update=edit.update)
            assert changed.settings() != made.settings()
            made = Recipe.model_validate(changed.model_dump())
            assert made.batch_size * made.gradient_accumulation == pictures
