import ast
import json

import pytest
from pydantic import ValidationError

from lifeos.lora.recipe import Recipe, load_recipe, recipe_keys
from lifeos.lora.safetensors_file import read_header
from lifeos.settings import project_root

SMALL = {"base": ".", "dataset": ".", "trigger": "zeph", "steps": 300, "threads": 1}
DEMO = {"base": "m", "dataset": "d", "trigger": "pstch", "name": "pistachio demo", "seed": 1, "steps": 1600,
        "batch_size": 2, "rank": 16, "targets": "full", "dtype": "bfloat16", "checkpoint_every": 200,
        "channels_last": True, "threads": 2,
        "optimizer": {"name": "adamw", "learning_rate": 3e-3, "schedule": "cosine"}}  # fmt: skip
OTHER = {**SMALL, "min_snr_gamma": "none", "gradient_clip": "none", "caption_dropout": 0.1, "alpha": 4.0,
         "optimizer": {"name": "prodigy", "d_coefficient": 0.5, "betas": [0.9, 0.95]}}  # fmt: skip

# Each newer key away from its default, with what it needs beside it.
NEWER = {
    "gradient_accumulation": {"gradient_accumulation": 2},
    "dora": {"dora": True},
    "train_text_encoder": {"train_text_encoder": True},
    "noise_offset": {"noise_offset": 0.05},
    "timestep_sampling": {"timestep_sampling": "uniform"},
    "discrete_flow_shift": {"family": "sd3", "discrete_flow_shift": 3.0},
    "caption_shuffle": {"caption_shuffle": {}},
    "repeats": {"repeats": {"closeups": 3}},
    "resolution": {"resolution": {"sides": [512, 768]}},
    "flip": {"flip": True},
    "colour_augmentation": {"colour_augmentation": True},
    "prior": {"prior": {"folder": "others"}},
    "mask": {"mask": {}},
    "ema": {"ema": {"decay": 0.9}},
    "cache_latents": {"cache_latents": False},
    "cache_text": {"cache_text": True},
    "device": {"device": "cuda"},
    "full_float16": {"full_float16": True, "dtype": "float16", "device": "cuda", "optimizer": {"name": "adamw"}},
    "attention": {"attention": "sdpa"},
    "gradient_checkpointing": {"gradient_checkpointing": True},
    "compile": {"compile": True},
    "offload": {"offload": True, "device": "cuda"},
    "early_stop": {"early_stop": {}, "sample_every": 20},
}
NEWER_OPTIMIZER = {
    "text_encoder_learning_rate": {"text_encoder_learning_rate": 1.0},
    "bias_correction": {"bias_correction": False},
    "safeguard_warmup": {"safeguard_warmup": False},
    "schedule_cycles": {"schedule": "cosine_with_restarts", "schedule_cycles": 3},
    "warmup_steps": {"schedule": "linear", "warmup_steps": 10},
}


def recipe(**changes):
    return Recipe.model_validate({**SMALL, **changes})


@pytest.mark.parametrize(("values", "known"), [
    # Taken from the schema before these keys existed; files of that time carry such hashes.
    (SMALL, "62303fefe22796a9cbb026314cb985d692fccab96da5581bb94f3acfa2303a63"),
    (DEMO, "4bf913c4dceb1adbdfee758a020c577098279b7a7b3ac56312a78e0a58a4bc01"),
    (OTHER, "0a9ea64835399883e63104e1e67c651fa7042c4b9ebe62dc56ece1568ca1f16b"),
])
def test_recipes_without_newer_keys_keep_their_hash(values, known):
    assert Recipe.model_validate(values).content_hash == known


@pytest.mark.parametrize("key", NEWER)
def test_every_newer_key_enters_the_hash_where_it_is_used(key):
    used = recipe(**NEWER[key])
    assert key in used.settings()
    plain = used.model_copy(update={key: Recipe.model_fields[key].default})
    assert key not in plain.settings()
    assert plain.content_hash != used.content_hash


@pytest.mark.parametrize("key", NEWER_OPTIMIZER)
def test_every_newer_key_of_the_optimizer_enters_the_hash(key):
    used = recipe(optimizer=NEWER_OPTIMIZER[key], train_text_encoder=key.startswith("text"))
    assert key in used.settings()["optimizer"]
    assert key not in recipe().settings()["optimizer"]


def test_what_is_listed_here_is_every_newer_key():
    hashed = set(recipe().settings())
    outside = {"base", "dataset", "checkpoint_every", "save_every", "sample_every"}
    assert set(Recipe.model_fields) == hashed | outside | set(NEWER)
    optimizer = set(type(recipe().optimizer).model_fields)
    assert optimizer == set(recipe().settings()["optimizer"]) | set(NEWER_OPTIMIZER) | {"learning_rate_is_deliberate"}


def test_places_and_what_is_written_on_the_way_do_not_enter_the_hash():
    assert recipe(save_every=10, sample_every=20, checkpoint_every=7).content_hash == recipe().content_hash
    stopped = [recipe(sample_every=every, early_stop={}).content_hash for every in (20, 30)]
    assert stopped[0] != stopped[1]  # looks decide where such a run ends
    first, second = (recipe(prior={"folder": name}, mask={"folder": name}) for name in ("a", "b"))
    assert first.content_hash == second.content_hash != recipe().content_hash


@pytest.mark.parametrize("changes", [*NEWER.values(), {}, {"family": "flux"}, {"cache_text": "none", "prior": "none"}])
def test_a_recipe_survives_the_way_to_the_child_process(changes):
    # As lifeos.lora.train_once sends it: null has become a word.
    sent = recipe(**changes).model_dump(mode="json")
    sent = {name: "none" if value is None and name != "alpha" else value for name, value in sent.items()}
    assert Recipe.model_validate(json.loads(json.dumps(sent))) == recipe(**changes)


def test_min_snr_is_off_by_itself_in_a_flow_family():
    assert recipe(family="flux").min_snr_gamma is None
    assert recipe(family="sdxl").min_snr_gamma == 5.0


@pytest.mark.parametrize("changes", [
    {"steps": True}, {"steps": 300.0}, {"rank": "16"}, {"flip": 1}, {"flip": "yes"}, {"noise_offset": "0.1"},
    {"noise_offset": float("nan")}, {"alpha": float("inf")}, {"min_snr_gamma": float("inf")},
    {"gradient_clip": float("nan")}, {"optimizer": {"weight_decay": float("inf")}},
    {"optimizer": {"d_coefficient": float("nan")}}, {"optimizer": {"betas": [0.9, float("nan")]}},
    {"optimizer": {"betas": [0.9]}}, {"resolution": {}}, {"resolution": {"sides": []}},
    {"resolution": {"sides": [500]}}, {"resolution": {"sides": [768, 512]}}, {"resolution": {"sides": [512, 512]}},
    {"resolution": {"sides": [512], "bucket_step": 12}}, {"repeats": 0}, {"repeats": {"../up": 2}},
    {"repeats": {"a": 0}}, {"ema": {}}, {"ema": {"decay": 1.0}}, {"prior": {}}, {"prior": {"folder": "x", "weight": 0}},
    {"mask": {"outside_weight": 1.0}}, {"caption_shuffle": {"separator": ""}}, {"discrete_flow_shift": 0.0},
    {"optimizer": {"name": "adamw", "safeguard_warmup": False}}, {"optimizer": {"name": "adamw", "d_coefficient": 2.0}},
])  # fmt: skip
def test_values_outside_their_range_are_refused(changes):
    with pytest.raises(ValidationError):
        recipe(**changes)


def test_bucket_sides_follow_the_trained_sides():
    size = recipe(resolution={"sides": [512, 768], "buckets": True}).resolution
    assert (size.effective_min_side, size.effective_max_side) == (256, 1536)


SHIPPED = sorted((project_root() / "tests" / "bad_loras").glob("*.safetensors"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_loras_carry_the_hash_that_their_recipe_has_today(path):
    metadata = read_header(path).metadata
    settings = json.loads(metadata["lifeos.recipe"])
    read = Recipe.model_validate({**settings, "base": ".", "dataset": "."})
    assert read.settings() == settings
    assert read.content_hash == metadata["lifeos.recipe_hash"]


def test_the_shipped_recipe_can_be_trained():
    assert load_recipe(project_root() / "personas" / "pistachio" / "recipe.toml").trigger == "pstch"
    assert len(SHIPPED) >= 4


def test_every_key_is_read_by_code_outside_the_schema():
    """A key that only the schema knows would be accepted and ignored."""
    code = project_root() / "lifeos"
    sources = [path for path in code.rglob("*.py") if not {"recipe", "recipe_import"} & set(path.parts)]
    read = {node.attr for path in sources for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Attribute)}  # fmt: skip
    # These are read through a property of the schema.
    through = {
        "alpha": "effective_alpha", "threads": "effective_threads", "dtype": "effective_dtype", "name": "title",
        "cache_latents": "caches_latents", "cache_text": "caches_text", "learning_rate": "base_learning_rate",
        "min_side": "effective_min_side", "max_side": "effective_max_side", "face_models": "detector_folder",
    }  # fmt: skip
    ignored = {key for key in recipe_keys() if through.get(key.rsplit(".", 1)[-1], key.rsplit(".", 1)[-1]) not in read}
    # This one a person says to the schema's own rules.
    assert ignored == {"optimizer.learning_rate_is_deliberate"}
