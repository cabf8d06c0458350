import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from evals.atomic import write_text
from lifeos.errors import InputError
from lifeos.lora.recipe import Recipe, load_recipe, read_recipe, recipe_toml

GOOD = """base = "models/tiny"
dataset = "dataset"
trigger = "zeph"
steps = 300
min_snr_gamma = "none"
[optimizer]
name = "prodigy"
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    (tmp_path / "personas" / "zeph" / "dataset").mkdir(parents=True)
    write_text(tmp_path / "personas" / "zeph" / "recipe.toml", GOOD)
    return tmp_path


def test_folders_are_found_beside_and_above(project):
    recipe = load_recipe(project / "personas" / "zeph" / "recipe.toml")
    assert recipe.base == project / "models" / "tiny"
    assert recipe.dataset == project / "personas" / "zeph" / "dataset"
    assert recipe.min_snr_gamma is None
    assert recipe.optimizer.base_learning_rate == 1.0
    assert recipe.effective_alpha == recipe.rank
    assert recipe.effective_threads >= 1


def test_the_hash_follows_settings_and_not_places(project, tmp_path_factory):
    recipe = load_recipe(project / "personas" / "zeph" / "recipe.toml")
    assert recipe.content_hash == recipe.model_copy(update={"base": project, "checkpoint_every": 7}).content_hash
    for change in ({"seed": 1}, {"threads": recipe.effective_threads + 1}, {"dtype": "bfloat16"}, {"rank": 3}):
        assert recipe.model_copy(update=change).content_hash != recipe.content_hash
    assert recipe.model_copy(update={"alpha": float(recipe.rank)}).content_hash == recipe.content_hash


@pytest.mark.parametrize(("text", "named"), [
    (GOOD.replace("steps", "stepz"), "steps"),
    ("colour = 1\n" + GOOD, "colour.*keys: base"),
    (GOOD.replace("steps = 300", "steps = 0"), "steps"),
    (GOOD.replace("steps = 300", "steps = 'many'"), "steps.*got 'many'"),
    (GOOD.replace('"prodigy"', '"sgd"'), "optimizer.name"),
    (GOOD + "betas = [0.9, 1.0]", "betas"),
    (GOOD.replace('"zeph"', '"two words"'), "trigger"),
    (GOOD.replace("models/tiny", "models/none"), "base: accepted a folder"),
    ("not toml", "accepted TOML"),
])
def test_a_bad_recipe_gives_one_line(project, text, named):
    path = project / "personas" / "zeph" / "recipe.toml"
    write_text(path, text)
    with pytest.raises(InputError, match=named) as caught:
        load_recipe(path)
    assert "next:" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_absent_recipe(tmp_path):
    with pytest.raises(InputError, match="accepted a recipe file"):
        load_recipe(tmp_path / "recipe.toml")


def test_settings_survive_json():
    recipe = Recipe.model_validate({"base": ".", "dataset": ".", "trigger": "x", "steps": 1, "gradient_clip": "none"})
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


@pytest.mark.parametrize(("text", "said"), [
    ("color_augmentation = true\n" + GOOD, "did you mean colour_augmentation"),
    ("warmup_steps = 10\n" + GOOD, r"did you mean optimizer\.warmup_steps"),
    (GOOD + "warm_up_steps = 10", r"optimizer\.warm_up_steps: .*did you mean warmup_steps\? \(keys: name, learn"),
    (GOOD + "learning_rate = 1e-4", "optimizer.learning_rate with optimizer.name: Prodigy multiplies"),
    (GOOD.replace("steps = 300", "steps = inf"), "steps"),
    (GOOD + "weight_decay = nan", "optimizer.weight_decay"),
    ("a = " + "[" * 100_000, "accepted TOML"),
])
def test_what_is_meant_is_suggested(project, text, said):
    path = project / "personas" / "zeph" / "recipe.toml"
    write_text(path, text)
    with pytest.raises(InputError, match=said) as caught:
        read_recipe(path)
    assert "\n" not in str(caught.value)


def test_every_folder_that_a_recipe_names_is_found(project):
    path = project / "personas" / "zeph" / "recipe.toml"
    for name in ("others", "masks"):
        (project / name).mkdir()
    write_text(path, GOOD + '[prior]\nfolder = "others"\n[mask]\nfolder = "masks"\n')
    recipe = load_recipe(path)
    assert (recipe.prior.folder, recipe.mask.folder) == (project / "others", project / "masks")
    write_text(path, GOOD + '[prior]\nfolder = "nowhere"\n')
    with pytest.raises(InputError, match=r"prior\.folder: accepted a folder"):
        load_recipe(path)


PATH_TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
WRITTEN = st.fixed_dictionaries(
    {"base": PATH_TEXT, "dataset": PATH_TEXT, "trigger": st.just("x"), "steps": st.integers(1, 1000)},
    optional={"name": st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
              "noise_offset": st.floats(0.0, 1.0), "seed": st.integers(0, 2**63 - 1),
              "repeats": st.dictionaries(st.text(st.characters(exclude_characters="/\\", exclude_categories=["Cs"]),
                                                 min_size=1, max_size=9), st.integers(1, 9), max_size=3)},
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(WRITTEN)
def test_what_is_written_is_read_back(values):
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError:
        return
    text = recipe_toml({**values, "ema": None, "optimizer": {"name": "adamw", "learning_rate": 1e-4}}, ["a comment"])
    again = Recipe.model_validate(tomllib.loads(text))
    assert again.model_copy(update={"optimizer": recipe.optimizer}) == recipe
