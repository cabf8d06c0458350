"""The search for changes, on a made-up law of memory: the cheapest list, nothing that is not needed, all predicted."""

import pytest

from lifeos.pods.vram.changes import changes_that_fit, sampling_changes_that_fit
from lifeos.pods.vram.prediction import Sampling


def law(recipe):
    """Bytes: encoders 30, weights 100 or 50, activations 40 a picture (10 checkpointed), moments 20 or 5, LoRA."""
    encoders = 0 if recipe.offload else 30
    weights = 100 if recipe.dtype == "float32" else 50
    activations = recipe.batch_size * (10 if recipe.gradient_checkpointing else 40)
    moments = 5 if recipe.optimizer.name == "adamw8bit" else 20
    return 1000 * (encoders + weights + activations + moments) + 100 * recipe.rank


def edits(recipe, limit, reserved=law):
    return [change.edit for change in changes_that_fit(recipe, limit, reserved)]


def test_the_cheapest_alone_when_it_is_enough(make_recipe):
    recipe = make_recipe("sdxl", batch_size=4)
    assert edits(recipe, law(recipe) - 1) == ["offload = true"]
    assert edits(recipe, law(recipe) - 30_000) == ["offload = true"]


def test_what_is_not_needed_is_taken_out_again(make_recipe):
    recipe = make_recipe("sdxl", batch_size=4)
    # Offload alone saves 30; checkpointing saves 120, and with it offload is not needed.
    assert edits(recipe, law(recipe) - 110_000) == ["gradient_checkpointing = true"]
    assert edits(recipe, law(recipe) - 140_000) == ["offload = true", "gradient_checkpointing = true"]


def test_a_subject_is_named_once(make_recipe):
    recipe = make_recipe("sdxl", batch_size=6, gradient_checkpointing=True, offload=True)
    assert edits(recipe, law(recipe) - 50_000) == ["batch_size = 1 and gradient_accumulation = 6"]
    assert edits(recipe, law(recipe) - 30_000) == ["batch_size = 3 and gradient_accumulation = 2"]


def test_savings_add_up_and_the_last_state_fits(make_recipe):
    recipe, limit = make_recipe("sdxl", batch_size=4), 80_000
    changes = changes_that_fit(recipe, limit, law)
    assert law(recipe) - sum(change.saves_bytes for change in changes) <= limit
    assert all(change.saves_bytes > 0 for change in changes)


def test_every_list_was_predicted_as_it_stands(make_recipe):
    asked = []

    def reserved(recipe):
        asked.append((recipe.offload, recipe.gradient_checkpointing, recipe.batch_size, recipe.optimizer.name))
        return law(recipe)

    recipe = make_recipe("sdxl", batch_size=4)
    assert edits(recipe, law(recipe) - 140_000, reserved) == ["offload = true", "gradient_checkpointing = true"]
    assert (True, True, 4, "adamw") in asked


def test_what_saves_next_to_nothing_is_not_named(make_recipe):
    def reserved(recipe):
        return law(recipe.model_copy(update={"offload": True}))

    recipe = make_recipe("sdxl", batch_size=4)
    assert edits(recipe, reserved(recipe) - 1000, reserved) == ["gradient_checkpointing = true"]


def test_nothing_is_named_where_nothing_is_enough(make_recipe):
    assert edits(make_recipe("sdxl"), 10) == []


def test_a_rank_is_halved_as_often_as_it_takes(make_recipe):
    recipe = make_recipe("sdxl", rank=64, offload=True, gradient_checkpointing=True, optimizer={"name": "adamw8bit"})
    assert edits(recipe, law(recipe) - 4500) == ["rank = 16"]


def test_smaller_pictures_come_last(make_recipe):
    def reserved(recipe):
        return 1000 if recipe.resolution is not None and len(recipe.resolution.sides) == 2 else 100

    recipe = make_recipe("sdxl", resolution={"sides": [512, 1024]})
    assert edits(recipe, 500, reserved) == ["resolution.sides = [512]"]


def drawing(sampling):
    """Bytes: 500 of weights, 100 an image denoised, 400 an image decoded: half in 16 bits, a quarter in tiles."""
    decoded = 400 * (1 if sampling.vae_slicing else sampling.images)
    decoded //= (2 if sampling.vae_dtype == "bfloat16" else 1) * (4 if sampling.vae_tiling else 1)
    return 500 + max(100 * sampling.images, decoded)


@pytest.mark.parametrize(("limit", "expected"), [
    (1700, ["vae_slicing = true"]),
    (1200, ["vae_slicing = true", "batch = 6"]),
    (900, ["vae_slicing = true", "batch = 3"]),
    (650, ["vae_tiling = true", "batch = 1"]),
    (560, []),
])  # fmt: skip
def test_sampling_is_changed_where_no_pixel_moves_first(limit, expected):
    sampling = Sampling(64, 64, 3.0, "ddim", "bfloat16", images=12)
    found = sampling_changes_that_fit(sampling, limit, drawing)
    assert [change.edit for change in found] == expected
    assert not found or drawing(sampling) - sum(change.saves_bytes for change in found) <= limit


def test_sixteen_bits_come_last_and_only_beside_a_denoiser_in_them():
    def reserved(sampling):
        return 100 if sampling.vae_dtype == "bfloat16" else 200

    half, whole = (Sampling(64, 64, 3.0, "ddim", dtype, images=1) for dtype in ("bfloat16", "float32"))
    assert [change.edit for change in sampling_changes_that_fit(half, 150, reserved)] == ['vae_dtype = "bfloat16"']
    assert sampling_changes_that_fit(whole, 150, reserved) == []
