import pytest

from evals.atomic import write_text
from lifeos.errors import InputError
from lifeos.lora import recipe_support
from lifeos.lora.recipe import Recipe, load_recipe, recipe_keys
from lifeos.lora.recipe_support import PENDING, Pending, require_supported, unsupported
from lifeos.lora.train_once import train_once

SMALL = {"base": ".", "dataset": ".", "trigger": "zeph", "steps": 300}


def recipe(**changes):
    return Recipe.model_validate({**SMALL, **changes})


def test_every_row_names_a_key_once():
    fields = [row.field for row in PENDING]
    assert set(fields) <= set(recipe_keys())
    assert len(set(fields)) == len(fields)


def test_todays_recipes_are_trained_as_they_say():
    full = recipe(alpha=4.0, caption_dropout=0.2, min_snr_gamma="none", dtype="bfloat16", channels_last=True,
                  cache_latents=True, optimizer={"name": "adamw", "schedule": "cosine"})  # fmt: skip
    gpu = recipe(device="cuda", dtype="float16", full_float16=True, attention="xformers", compile=True, offload=True,
                 dora=True, train_text_encoder=True,
                 optimizer={"name": "adamw8bit", "text_encoder_learning_rate": 1e-5})  # fmt: skip
    assert unsupported(full) == unsupported(gpu) == unsupported(recipe()) == []
    require_supported(full)


@pytest.fixture
def pending(monkeypatch):
    """Rows as they would stand for keys that came before their code."""
    rows = (Pending("ema", "nothing is averaged"), Pending("optimizer.schedule", "no cycles", frozenset({"cosine"})),
            Pending("flip", "no picture is mirrored", families=frozenset({"flux"})))  # fmt: skip
    monkeypatch.setattr(recipe_support, "PENDING", rows)


@pytest.mark.parametrize(("changes", "said"), [
    ({"ema": {"decay": 0.5}}, ["ema = {'decay': 0.5}: nothing is averaged"]), ({}, []),
    ({"optimizer": {"schedule": "cosine"}}, ["optimizer.schedule = 'cosine': no cycles"]),
    ({"optimizer": {"schedule": "linear"}}, []), ({"flip": True}, []),
    ({"flip": True, "family": "flux"}, ["flip = True: no picture is mirrored"]),
])  # fmt: skip
def test_what_training_would_ignore_is_told(pending, changes, said):
    assert unsupported(recipe(**changes)) == said


def test_such_a_recipe_is_refused_where_it_is_read_for_training(pending, tmp_path):
    write_text(tmp_path / "recipe.toml", 'base = "."\ndataset = "."\ntrigger = "x"\nsteps = 9\nema = {decay = 0.5}\n')
    with pytest.raises(InputError, match=r"recipe\.toml: .*ema = .*: nothing is averaged; next: drop"):
        load_recipe(tmp_path / "recipe.toml")
    with pytest.raises(InputError, match="accepted what training carries out, got ema"):
        train_once(recipe(base=tmp_path, dataset=tmp_path, ema={"decay": 0.5}), tmp_path / "artifacts")
    assert not (tmp_path / "artifacts").exists()
