"""The engine trains with whoever looks on; the rest of it is tested with what it hands on to."""

import pytest

from evals.atomic import write_text
from lifeos import engine
from lifeos.lora.recipe import load_recipe, recipe_toml
from lifeos.lora.training_inputs import read_inputs
from lifeos.training_watch import child
from lifeos.training_watch import inputs as watch_inputs
from lifeos.training_watch.curve import read_curve
from lifeos.training_watch.inputs import WatchInputs
from tests.lifeos.training_watch.conftest import base, dataset, recipe, stopping, watching

__all__ = ["base", "dataset", "recipe", "stopping", "watching"]

pytestmark = pytest.mark.filterwarnings("ignore")


def test_the_release_trains_with_its_judge_looking_on_and_once(stopping, tmp_path, watching, monkeypatch):
    values = {name: "none" if value is None and name != "alpha" else value
              for name, value in stopping.model_dump(mode="json", exclude_defaults=True).items()}  # fmt: skip
    write_text(tmp_path / "recipe.toml", recipe_toml(values))
    given, seen = WatchInputs(tmp_path / "p", tmp_path, tmp_path / "policy.toml"), []

    def watcher_of(recipe, inputs, artifacts, faces, progress):
        seen.append((inputs, faces))
        return watching.of(recipe, dict.fromkeys(range(1, 10), (0.7, 0, ())))

    monkeypatch.setattr(watch_inputs, "watch_identity", lambda recipe, inputs: "w" * 64)
    monkeypatch.setattr(child, "watcher_of", watcher_of)
    key = engine.training_hash(tmp_path / "recipe.toml", given)
    assert key == read_inputs(load_recipe(tmp_path / "recipe.toml"), "w" * 64).key
    assert not engine.is_trained(tmp_path / "recipe.toml", tmp_path / "artifacts", given)
    made = engine.train(tmp_path / "recipe.toml", tmp_path / "artifacts", lambda *_: None, given)
    assert made.made
    assert seen == [(given, engine)]
    assert [point.step for point in read_curve(made.path.parent)] == [1, 2, 3, 4]
    assert engine.is_trained(tmp_path / "recipe.toml", tmp_path / "artifacts", given)
    again = engine.train(tmp_path / "recipe.toml", tmp_path / "artifacts", lambda *_: None, given)
    assert (again.made, again.path, len(seen)) == (False, made.path, 1)
