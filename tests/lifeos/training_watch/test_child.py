import pytest

from lifeos.errors import InputError
from lifeos.training_watch.child import watcher_of
from lifeos.training_watch.inputs import watch_identity
from tests.lifeos import simulated_release as simulation
from tests.lifeos.training_watch.test_inputs import inputs, persona, recipe, shared

__all__ = ["inputs", "persona", "recipe", "shared"]


def test_the_watcher_is_ready_before_a_step_is_paid_for(recipe, inputs, tmp_path):
    seen = []
    watcher = watcher_of(recipe, inputs, tmp_path / "artifacts", simulation, lambda *facts: seen.append(facts))
    assert watcher.identity == watch_identity(recipe, inputs)
    assert seen[-1] == ("training images", 4, 4)
    plain = recipe.model_copy(update={"sample_every": None})
    assert watcher_of(plain, inputs, tmp_path / "artifacts", simulation, lambda *_: None) is None


def test_looks_that_no_gpu_can_draw_are_refused_before_a_step(recipe, inputs, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    file = inputs.persona / "persona.toml"
    text = file.read_text(encoding="utf-8").replace("[sampler]", '[sampler]\ndevice = "cuda"')
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="accepted a machine with a GPU"):
        watcher_of(recipe, inputs, tmp_path / "artifacts", simulation, lambda *_: None)
