import pytest

from evals.atomic import write_text
from lifeos.errors import InputError
from lifeos.lora.recipe import Recipe, load_recipe, recipe_keys
from lifeos.lora.recipe_support import PENDING, require_supported, unsupported
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
    assert unsupported(full) == unsupported(recipe()) == []
    require_supported(full)


@pytest.mark.parametrize(("changes", "said"), [
    ({"optimizer": {"name": "adamw8bit"}, "device": "cuda"}, "optimizer.name = 'adamw8bit'"),
    ({"dtype": "float16", "device": "cuda"}, "dtype = 'float16'"),
])
def test_what_training_would_ignore_is_told(changes, said):
    assert any(line.startswith(said) for line in unsupported(recipe(**changes)))


def test_such_a_recipe_is_refused_where_it_is_read_for_training(tmp_path):
    write_text(tmp_path / "recipe.toml", 'base = "."\ndataset = "."\ntrigger = "x"\nsteps = 1\ndora = true\n')
    with pytest.raises(InputError, match=r"recipe\.toml: .*dora = True: only plain LoRA is trained; next: drop"):
        load_recipe(tmp_path / "recipe.toml")
    with pytest.raises(InputError, match="accepted what training carries out, got dora"):
        train_once(recipe(base=tmp_path, dataset=tmp_path, dora=True), tmp_path / "artifacts")
    assert not (tmp_path / "artifacts").exists()
