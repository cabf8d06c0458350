import json
import random

import numpy as np
import pytest

from evals.content_hash import hash_file
from lifeos.errors import InputError
from lifeos.lora.safetensors_file import read_header
from lifeos.lora.train import RESULT_NAME, train_lora
from lifeos.lora.training_inputs import read_inputs
from lifeos.training_watch.curve import read_curve
from tests.lifeos.killed_training import KilledError, killed_at

pytestmark = pytest.mark.filterwarnings("ignore")


def told(folder):
    """The curve without what the clock says."""
    clock = {"seconds_per_step": None, "expected_seconds_per_step": None}
    return [{**vars(point), **clock} for point in read_curve(folder)]


def test_looking_changes_no_byte_also_across_a_kill_and_draws_nothing_twice(recipe, tmp_path, watching):
    plain = train_lora(recipe, tmp_path / "plain.safetensors", tmp_path / "a")
    asked = recipe.model_copy(update={"sample_every": 2, "steps": 6})
    whole = train_lora(asked, tmp_path / "whole.safetensors", tmp_path / "b", watcher=watching.of(asked))
    assert whole.path.read_bytes() == plain.path.read_bytes()
    assert whole.key == plain.key
    assert [point.step for point in read_curve(tmp_path / "b")] == [2, 4, 6]
    assert read_curve(tmp_path / "b")[-1].lora == whole.sha256
    assert watching.seen.made == 6
    assert watching.seen.published == [(1, 2), (2, 4), (3, 6)]
    assert not list((tmp_path / "b" / "looks").iterdir())

    # Killed between the look at step 4 and its checkpoint's use: steps 3 and 4 are repeated from the one at 2.
    with pytest.raises(KilledError):
        train_lora(asked, tmp_path / "x.safetensors", tmp_path / "c", killed_at(5), watcher=watching.of(asked))
    (tmp_path / "c" / "checkpoints" / "checkpoint-00000004.safetensors").unlink()
    resumed = train_lora(asked, tmp_path / "x.safetensors", tmp_path / "c", watcher=watching.of(asked))
    assert (resumed.resumed_from, resumed.path.read_bytes()) == (2, plain.path.read_bytes())
    assert told(tmp_path / "c") == told(tmp_path / "b")
    assert watching.seen.made == 6


def test_a_kill_amid_a_look_leaves_no_gap_in_the_curve(recipe, tmp_path, watching, monkeypatch):
    asked = recipe.model_copy(update={"sample_every": 2})
    killed = watching.of(asked)

    def die(*_):
        raise KilledError

    monkeypatch.setattr(killed, "_draw", die)
    with pytest.raises(KilledError):
        train_lora(asked, tmp_path / "x.safetensors", tmp_path / "a", watcher=killed)
    train_lora(asked, tmp_path / "x.safetensors", tmp_path / "a", watcher=watching.of(asked))
    assert [point.step for point in read_curve(tmp_path / "a")] == [2, 4, 6]


def test_a_look_leaves_random_states_threads_and_gradients_as_they_were(recipe, tmp_path, watching):
    import torch

    asked = recipe.model_copy(update={"sample_every": 2, "steps": 2})
    states = []

    def watched(stage, done, total):
        if stage == "training":
            states.append((torch.random.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist(),
                           torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype()))  # fmt: skip

    class Looking:
        identity = "w" * 64

        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def after(self, step, encode):
            watched("training", step, 0)
            found = self.inner.after(step, encode)
            watched("training", step, 0)
            return found

    train_lora(asked, tmp_path / "x.safetensors", tmp_path / "a", watcher=Looking(watching.of(asked)))
    assert watching.seen.made == 2
    assert states[-1] == states[-2]


def test_a_finished_lora_is_not_trained_again_for_a_curve(recipe, tmp_path, watching):
    train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "a")
    asked = recipe.model_copy(update={"sample_every": 2})
    assert train_lora(asked, tmp_path / "x.safetensors", tmp_path / "a", watcher=watching.of(asked)).reused
    assert read_curve(tmp_path / "a") == []


def test_asked_for_behind_a_checkpoint_the_curve_begins_there(recipe, tmp_path, watching):
    with pytest.raises(KilledError):
        train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "a", killed_at(5))
    asked = recipe.model_copy(update={"sample_every": 2})
    assert train_lora(asked, tmp_path / "x.safetensors", tmp_path / "a", watcher=watching.of(asked)).resumed_from == 4
    assert [point.step for point in read_curve(tmp_path / "a")] == [6]


def test_a_plateau_ends_the_run_with_the_likest_look(stopping, tmp_path, watching):
    script = dict.fromkeys(range(1, 10), (0.7, 0, ())) | {1: (0.6, 0, ()), 3: (0.7004, 0, ())}
    result = train_lora(stopping, tmp_path / "x.safetensors", tmp_path / "a", watcher=watching.of(stopping, script))
    assert (result.steps, result.kept_step) == (5, 3)
    assert "less than 0.05" in result.stopped
    points = read_curve(tmp_path / "a")
    assert [point.step for point in points] == [1, 2, 3, 4, 5]
    assert result.sha256 == points[2].lora == hash_file(tmp_path / "x.safetensors")
    assert read_header(tmp_path / "x.safetensors").metadata["ss_steps"] == "3"
    stored = json.loads((tmp_path / "a" / RESULT_NAME).read_text(encoding="utf-8"))
    assert (stored["steps"], stored["kept_step"], stored["stopped"]) == (5, 3, result.stopped)
    assert not list((tmp_path / "a" / "looks").iterdir())
    again = train_lora(stopping, tmp_path / "x.safetensors", tmp_path / "a", watcher=watching.of(stopping, script))
    assert again.reused
    # The LoRA of step 3 is the one that a run of this recipe has there, whoever looks.
    kept = stopping.model_copy(update={"save_every": 3, "early_stop": None, "sample_every": None})
    train_lora(kept, tmp_path / "y.safetensors", tmp_path / "b")
    weights = read_header(tmp_path / "y-step-00000003.safetensors").read()
    assert all(np.array_equal(weights[name], each) for name, each in read_header(result.path).read().items())


def test_a_run_that_ends_early_ends_alike_after_a_kill(stopping, tmp_path, watching):
    script = {step: (0.7 if step > 1 else 0.6, 0, ()) for step in range(1, 10)}
    whole = train_lora(stopping, tmp_path / "x.safetensors", tmp_path / "a", watcher=watching.of(stopping, script))
    with pytest.raises(KilledError):
        train_lora(stopping, tmp_path / "y.safetensors", tmp_path / "b", killed_at(4),
                   watcher=watching.of(stopping, script))  # fmt: skip
    resumed = train_lora(stopping, tmp_path / "y.safetensors", tmp_path / "b", watcher=watching.of(stopping, script))
    assert resumed.resumed_from == 2
    assert (resumed.sha256, resumed.kept_step, resumed.steps) == (whole.sha256, whole.kept_step, whole.steps)
    assert told(tmp_path / "a") == told(tmp_path / "b")


@pytest.mark.parametrize("lost", ["curve.jsonl", "looks/step-00000001.safetensors"])
def test_an_early_stop_that_lost_a_look_begins_anew(stopping, tmp_path, watching, lost):
    script = dict.fromkeys(range(1, 10), (0.7, 0, ()))
    with pytest.raises(KilledError):
        train_lora(stopping, tmp_path / "x.safetensors", tmp_path / "a", killed_at(4),
                   watcher=watching.of(stopping, script))  # fmt: skip
    (tmp_path / "a" / lost).unlink()
    result = train_lora(stopping, tmp_path / "x.safetensors", tmp_path / "a", watcher=watching.of(stopping, script))
    assert result.resumed_from == 0
    assert [point.step for point in read_curve(tmp_path / "a")] == [1, 2, 3, 4]


def test_a_copy_ends_the_run_with_the_look_before_it(stopping, tmp_path, watching):
    script = {1: (0.5, 0, ()), 2: (0.6, 0, ()), 3: (0.9, 1, ())}
    result = train_lora(stopping, tmp_path / "x.safetensors", tmp_path / "a", watcher=watching.of(stopping, script))
    assert (result.steps, result.kept_step) == (3, 2)
    assert result.stopped == "1 near-duplicate of training images at step 3"
    assert result.sha256 == read_curve(tmp_path / "a")[1].lora


def test_a_copy_without_a_look_before_it_leaves_no_lora(stopping, tmp_path, watching):
    with pytest.raises(InputError, match="before the first copy, got 1 near-duplicate of training images at step 1"):
        train_lora(stopping, tmp_path / "x.safetensors", tmp_path / "a",
                   watcher=watching.of(stopping, {1: (0.9, 1, ())}))  # fmt: skip
    assert not (tmp_path / "x.safetensors").exists()


def test_only_where_a_run_may_end_early_does_the_judge_enter_its_key(recipe, stopping):
    looked_at = recipe.model_copy(update={"sample_every": 2})
    assert read_inputs(looked_at, "a").key == read_inputs(looked_at, "b").key == read_inputs(recipe).key
    assert read_inputs(stopping, "a").key != read_inputs(stopping, "b").key
    with pytest.raises(InputError, match=r"sample_every = 2 with a persona .* --persona FOLDER"):
        read_inputs(looked_at)


def test_a_watcher_of_a_recipe_without_looks_is_refused(recipe, watching):
    with pytest.raises(InputError, match="accepted sample_every"):
        watching.of(recipe)
