import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.errors import InputError
from lifeos.lora import training_log
from lifeos.lora.recipe import OptimizerSettings, Recipe
from lifeos.lora.train import train_lora
from lifeos.lora.training_log import LOG_NAME, LogEntry, TrainingLog, expected_seconds, read_log, require_healthy

pytestmark = pytest.mark.filterwarnings("ignore")


def entry(step=1, **changes):
    return LogEntry(**{"step": step, "loss": 0.5, "learning_rate": 1.0, "gradient_norm": 0.1, "weight_norm": 2.0,
                       "d": 1e-3, "seconds": 0.2, **changes})  # fmt: skip


def recipe_of(steps=300, **optimizer):
    return Recipe.model_validate({"base": ".", "dataset": ".", "trigger": "zeph", "steps": steps,
                                  "optimizer": optimizer})  # fmt: skip


def test_a_run_leaves_a_line_a_step_also_when_it_was_killed(recipe, tmp_path):
    class KilledError(Exception):
        pass

    def killed(stage, done, total):
        if stage == "training" and done == 5:
            raise KilledError

    def told(folder):
        return [{name: value for name, value in vars(each).items() if name != "seconds"} for each in read_log(folder)]

    recipe = recipe.model_copy(update={"optimizer": OptimizerSettings(schedule="cosine")})
    train_lora(recipe, tmp_path / "x.safetensors", tmp_path / "a")
    with pytest.raises(KilledError):
        train_lora(recipe, tmp_path / "y.safetensors", tmp_path / "b", killed)
    assert [each.step for each in read_log(tmp_path / "b")] == [1, 2, 3, 4, 5]
    with (tmp_path / "b" / LOG_NAME).open("ab") as file:
        file.write(b'{"step": 6, "lo')
    train_lora(recipe, tmp_path / "y.safetensors", tmp_path / "b")
    assert told(tmp_path / "b") == told(tmp_path / "a")
    log = read_log(tmp_path / "a")
    assert [each.step for each in log] == [1, 2, 3, 4, 5, 6]
    assert all(each.d is not None and each.gradient_norm > 0.0 < each.weight_norm for each in log)
    assert log[0].learning_rate == 1.0 > log[-1].learning_rate > 0.0


def test_prodigy_that_never_leaves_its_start_is_stopped(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(training_log, "_FIRST_LOOK", 4)
    stuck = OptimizerSettings(learning_rate=1e-4, learning_rate_is_deliberate=True)
    with pytest.raises(InputError, match=r"after 4 steps, got 1.*prodigy-d-stuck-at-d0") as caught:
        train_lora(recipe.model_copy(update={"optimizer": stuck}), tmp_path / "x.safetensors", tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "x.safetensors").exists()


@pytest.mark.parametrize(("optimizer", "step", "d", "stopped"), [
    ({}, 100, 9e-6, True), ({}, 100, 1.1e-5, False), ({}, 99, 1e-6, False), ({"d_coefficient": 0.1}, 100, 2e-6, False),
    ({"warmup_steps": 50, "schedule": "constant_with_warmup"}, 100, 1e-6, False),
    ({"warmup_steps": 50, "schedule": "constant_with_warmup"}, 150, 1e-6, True), ({"name": "adamw"}, 100, None, False),
])  # fmt: skip
def test_the_look_at_d(optimizer, step, d, stopped):
    first = None if d is None else 1e-6
    if not stopped:
        require_healthy(entry(step, d=d), recipe_of(**optimizer), first)
        return
    with pytest.raises(InputError, match="prodigy-d-stuck-at-d0"):
        require_healthy(entry(step, d=d), recipe_of(**optimizer), first)


@pytest.mark.parametrize("name", ["loss", "gradient_norm", "weight_norm"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_stops(name, value):
    with pytest.raises(InputError, match=f"finite {name}, got {value} at step 7 of 300"):
        require_healthy(entry(7, **{name: value}), recipe_of(), 1e-6)


@given(st.lists(st.integers(1, 20), max_size=10), st.binary(max_size=40), st.integers(0, 20))
def test_whatever_lies_there_is_read_up_to_what_is_not_whole(tmp_path_factory, steps, torn, start):
    folder = tmp_path_factory.mktemp("log")
    whole = "".join(json.dumps(vars(entry(step))) + "\n" for step in steps).encode("ascii")
    (folder / LOG_NAME).write_bytes(whole + torn.replace(b"\n", b" "))
    assert [each.step for each in read_log(folder)] == steps
    TrainingLog(folder, start).add(entry(start + 1))
    assert [each.step for each in read_log(folder)] == [*(step for step in steps if step <= start), start + 1]


def test_no_log_is_an_empty_one(tmp_path):
    assert read_log(tmp_path) == []


def test_the_pace_expected_is_that_of_the_first_steps():
    slow_start = [entry(1, seconds=60.0), *(entry(step, seconds=0.2) for step in range(2, 22))]
    slow_later = [entry(step, seconds=5.0) for step in range(22, 100)]
    assert expected_seconds(slow_start + slow_later) == 0.2
    assert expected_seconds(slow_start[:6]) == 0.2
    assert expected_seconds(slow_start[:5]) is None
