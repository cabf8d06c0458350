"""What batches are made of, and that training obeys every key that says so."""

import numpy as np
import pytest
from PIL import Image

from evals.atomic import write_text
from lifeos.errors import InputError
from lifeos.lora import conditioning
from lifeos.lora.conditioning import prepare_conditioning
from lifeos.lora.families import get_family
from lifeos.lora.recipe import Recipe
from lifeos.lora.safetensors_file import read_header
from lifeos.lora.train import train_lora
from lifeos.lora.training_inputs import read_inputs
from lifeos.progress import silent
from tests.lifeos.killed_training import KilledError, killed_at

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="session")
def others(tmp_path_factory):
    """Three pictures of other people, of another shape."""
    folder = tmp_path_factory.mktemp("others")
    generator = np.random.default_rng(1)
    for index in range(3):
        Image.fromarray(generator.integers(0, 256, (48, 96, 3), dtype=np.uint8)).save(folder / f"{index:04d}.png")
        write_text(folder / f"{index:04d}.txt", "a photo of a person, facing left\n")
    return folder


@pytest.fixture(scope="session")
def masks(dataset, tmp_path_factory):
    """White in the upper half."""
    folder = tmp_path_factory.mktemp("masks")
    for image in dataset.glob("*.png"):
        mask = np.zeros((32, 32), np.uint8)
        mask[:16] = 255
        Image.fromarray(mask).save(folder / image.name)
    return folder


def changed(recipe, **changes):
    return Recipe.model_validate({**recipe.model_dump(exclude_unset=True), **changes})


def prepared(recipe, folder):
    family = get_family(recipe.family)
    return prepare_conditioning(read_inputs(recipe), family, family.load(recipe.base), folder, silent)


def everything(others, masks):
    return {"flip": True, "colour_augmentation": True, "prior": {"folder": others, "weight": 0.5},
            "mask": {"folder": masks}, "caption_shuffle": {"keep_first": 0}, "repeats": 2,
            "resolution": {"sides": [64, 128], "buckets": True}}  # fmt: skip


CHANGES = {
    "flip": {"flip": True},
    "colour_augmentation": {"colour_augmentation": True},
    "caption_shuffle": {"caption_shuffle": {"keep_first": 0}},
    "resolution": {"resolution": {"sides": [64]}},
    "buckets": {"resolution": {"sides": [64, 128], "buckets": True}},
    "repeats": {"repeats": 2},
}


@pytest.mark.parametrize("change", CHANGES)
def test_each_key_changes_what_is_learned(recipe, tmp_path, change):
    recipe = changed(recipe, steps=3)
    plain = train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "a")
    other = train_lora(changed(recipe, **CHANGES[change]), tmp_path / "y.safetensors", tmp_path / "b")
    assert other.key != plain.key
    weights, others = read_header(plain.path).read(), read_header(other.path).read()
    assert any(np.any(weights[name] != others[name]) for name in weights)


@pytest.mark.parametrize("section", ["prior", "mask"])
def test_pictures_of_the_class_and_masks_change_what_is_learned(recipe, tmp_path, others, masks, section):
    recipe = changed(recipe, steps=3)
    plain = train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "a")
    asked = changed(recipe, **{section: {"folder": {"prior": others, "mask": masks}[section]}})
    other = train_lora(asked, tmp_path / "y.safetensors", tmp_path / "b")
    assert other.key != plain.key
    assert plain.path.read_bytes() != other.path.read_bytes()


def test_all_of_it_at_once_resumes_to_the_same_bytes(recipe, tmp_path, others, masks):
    recipe = changed(recipe, **everything(others, masks), gradient_accumulation=2)

    whole = train_lora(recipe, tmp_path / "whole.safetensors", tmp_path / "a")
    with pytest.raises(KilledError):
        train_lora(recipe, tmp_path / "resumed.safetensors", tmp_path / "b", killed_at(5))
    resumed = train_lora(recipe, tmp_path / "resumed.safetensors", tmp_path / "b")
    assert (resumed.resumed_from, resumed.path.read_bytes()) == (4, whole.path.read_bytes())


def test_latents_and_text_are_the_same_kept_or_made_anew(recipe, tmp_path):
    kept = prepared(changed(recipe, flip=True, caption_dropout=0.3), tmp_path)
    fresh = prepared(changed(recipe, flip=True, caption_dropout=0.3, cache_latents=False, cache_text=False), tmp_path)
    for number in range(4):
        one, other = kept.batch(number), fresh.batch(number)
        assert one.batch == other.batch
        np.testing.assert_allclose(one.latents, other.latents, atol=1e-4)
        text, again = kept.captions.of(one.batch, [True, False]), fresh.captions.of(one.batch, [True, False])
        for name in text:
            np.testing.assert_allclose(text[name], again[name].detach(), atol=1e-4)


def test_mirrored_pictures_are_those_of_a_mirrored_dataset(recipe, tmp_path, dataset):
    turned = tmp_path / "turned"
    turned.mkdir()
    for image in dataset.glob("*.png"):
        Image.fromarray(np.asarray(Image.open(image))[:, ::-1]).save(turned / image.name)
        write_text(turned / f"{image.stem}.txt", image.with_suffix(".txt").read_text("utf-8"))
    both = prepared(changed(recipe, flip=True), tmp_path / "a")
    plain, other = prepared(recipe, tmp_path / "b"), prepared(changed(recipe, dataset=turned), tmp_path / "c")
    sides = set()
    for number in range(8):
        batch = both.batch(number)
        for place in range(len(batch.batch.examples)):
            same = [np.allclose(batch.latents[place], each.batch(number).latents[place], atol=1e-4)
                    for each in (plain, other)]
            assert sum(same) == 1
            sides.add(same[0])
    assert sides == {True, False}


def test_batches_of_every_size_reach_the_base(recipe, tmp_path, others, masks):
    made = prepared(changed(recipe, **everything(others, masks)), tmp_path)
    shapes = set()
    for number in range(12):
        batch = made.batch(number)
        shapes.add((batch.batch.bucket.prior, tuple(batch.latents.shape[2:]), batch.scale))
        assert batch.weight.shape == (2, 1, *batch.latents.shape[2:])
        assert (batch.weight.numpy() == 1.0).all() == batch.batch.bucket.prior
    assert len({prior for prior, _, _ in shapes}) == 2
    assert {scale for prior, _, scale in shapes} == {0.5, 1.0}
    assert len({shape for _, shape, _ in shapes}) > 2


def test_what_was_kept_is_not_made_again_and_damage_is(recipe, tmp_path, monkeypatch):
    prepared(recipe, tmp_path)
    calls = []
    encode = conditioning.encode_views
    monkeypatch.setattr(conditioning, "encode_views", lambda *given: calls.append(given) or encode(*given))
    prepared(recipe, tmp_path)
    assert calls == []
    for file in tmp_path.glob("latents-*.safetensors"):
        file.write_bytes(b"")
    prepared(recipe, tmp_path)
    assert len(calls) == 1
    # Other pictures of the same dataset need other latents.
    prepared(changed(recipe, flip=True), tmp_path)
    assert len(calls) == 2


def test_the_loss_inside_a_mask_is_all_that_counts(recipe, tmp_path):
    import torch

    family = get_family("tiny_base")
    components = family.load(recipe.base)
    text = family.encode_text(components, ["a", "b"])
    generator = torch.Generator().manual_seed(0)
    given = {"latents": torch.randn(2, 8, 8, 8, generator=generator), "text": text,
             "noise": torch.randn(2, 8, 8, 8, generator=generator), "timesteps": torch.tensor([100, 700]),
             "gamma": None}  # fmt: skip
    weight = torch.zeros(2, 1, 8, 8)
    weight[:, :, :4] = 1.0
    upper = family.loss(components, **given, weight=weight)
    lower = family.loss(components, **given, weight=1.0 - weight)
    torch.testing.assert_close(upper + lower, family.loss(components, **given))
    torch.testing.assert_close(family.loss(components, **given, weight=torch.ones(2, 1, 8, 8)),
                               family.loss(components, **given))


def test_latents_that_are_not_finite_stop_it_by_name(recipe, tmp_path, monkeypatch):
    from lifeos.lora.families.tiny_base import TinyBase

    encode = TinyBase.encode_images
    monkeypatch.setattr(TinyBase, "encode_images", lambda *given: encode(*given) * float("nan"))
    with pytest.raises(InputError, match=r"0000\.png: .*sdxl-vae-nan-latents"):
        prepared(recipe, tmp_path)
    assert not list(tmp_path.glob("latents-*"))


def test_a_mask_is_made_once_a_picture_for_all_its_sizes_and_sides(recipe, tmp_path, masks, monkeypatch):
    asked, mask_of = [], conditioning.mask_of
    monkeypatch.setattr(conditioning, "mask_of", lambda *given: asked.append(given[0]) or mask_of(*given))
    made = prepared(changed(recipe, mask={"folder": masks}, flip=True, resolution={"sides": [64, 128]}), tmp_path)
    assert len(asked) == len(set(asked)) == 5
    assert len(made.weights) == 5 * 2 * 2
