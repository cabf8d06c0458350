import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evals.training_stop import ERROR, Look, gain_of, training_stop

PROMPTS = [f"A{number}" for number in range(8)]
PLANNED = 16


def look(step, likeness, copies=0, stands=True):
    values = likeness if isinstance(likeness, list) else [likeness] * 8
    return Look(step, dict(zip(PROMPTS, values, strict=True)), copies, stands)


def flat(count, **last):
    looks = [look(step, 0.7) for step in range(1, count)]
    return [*looks, look(count, 0.7, **last)]


def drawn(generator, true, prompt=0.15, image=0.02, shock=0.005):
    """Looks at a run: prompts gain differently, images differ from look to look, and so does the whole LoRA."""
    slopes = 1 + prompt * generator.normal(size=8)
    for number, value in enumerate(true, 1):
        noise = shock * generator.normal() + image * generator.normal(size=8)
        yield look(number, [float(each) for each in 0.35 + value * slopes + noise])


def stopped_at(generator, true, **rule):
    looks = []
    for each in drawn(generator, true):
        looks.append(each)
        if training_stop(looks, planned=len(true), **rule) is not None:
            return len(looks)
    return None


def test_the_bound_is_the_higher_of_two_t_intervals():
    generator = np.random.default_rng(1)
    values = generator.normal(0.6, 0.05, size=(6, 8))
    found = gain_of([look(step, [float(x) for x in row]) for step, row in enumerate(values)], 3, 0.95)
    gains = values[3:].mean(axis=0) - values[:3].mean(axis=0)
    over_prompts = stats.ttest_1samp(gains, 0.0).confidence_interval(0.90).high
    means = values.mean(axis=1)
    over_looks = stats.ttest_ind(means[3:], means[:3]).confidence_interval(0.90).high
    assert found.mean == pytest.approx(gains.mean())
    assert found.high == pytest.approx(max(over_prompts, over_looks))
    wide = [look(step, float(step % 3)) for step in range(6)]  # no prompt differs, every look does
    assert gain_of(wide, 3, 0.95).high > 1.0


def test_a_plateau_stops_and_the_likest_look_that_stands_is_kept():
    looks = [look(1, 0.5), *(look(step, 0.7) for step in range(2, 7)), look(7, 0.7)]
    assert training_stop(looks[:6], 3, 0.02, PLANNED) is None
    looks[3] = look(4, 0.701)
    found = training_stop(looks, 3, 0.02, PLANNED)
    assert found.step == 4
    assert "from the 3 looks up to step 4 to those up to step 7: less than 0.02" in found.reason
    looks[3] = look(4, 0.701, stands=False)
    assert training_stop(looks, 3, 0.02, PLANNED).step == 2


def test_what_is_ruled_out_at_every_look_is_trained_on():
    looks = [look(step, 0.7, stands=False) for step in range(1, 8)]
    assert training_stop(looks, 3, 0.02, PLANNED) is None
    assert training_stop([*looks[:6], look(7, 0.7)], 3, 0.02, PLANNED).step == 7


def test_a_copy_stops_at_once_and_the_look_before_it_is_kept():
    looks = [look(1, 0.4), look(2, 0.5), look(3, 0.6, copies=1, stands=False)]
    found = training_stop(looks, 3, 0.02, PLANNED)
    assert (found.step, found.reason) == (2, "1 near-duplicate of training images at step 3")
    looks[1] = look(2, 0.5, stands=False)
    assert training_stop(looks, 3, 0.02, PLANNED).step == 1
    assert training_stop(looks[2:], 3, 0.02, PLANNED).step is None
    # Also where nothing is left to stop: the last step is not what is kept then.
    assert training_stop(looks, 3, 0.02, 3).step == 1


def test_after_the_last_step_there_is_nothing_to_stop_and_short_runs_cannot_ask():
    assert training_stop(flat(7), 3, 0.02, 7) is None
    assert training_stop(flat(6), 3, 0.02, 7).step == 1
    assert training_stop(flat(5), 3, 0.02, 7) is None


@pytest.mark.parametrize("change", [
    {"window": 1}, {"margin": 0.0}, {"margin": math.nan}, {"planned": 6}, {"looks": []},
    {"looks": [*flat(6), Look(7, {"A0": 0.7, "B0": 0.7}, 0, True)]},
    {"looks": [Look(step, {"A0": 0.7}, 0, True) for step in range(7)]},
])  # fmt: skip
def test_what_cannot_be_asked_is_refused(change):
    asked = {"looks": flat(7), "window": 3, "margin": 0.02, "planned": PLANNED, **change}
    with pytest.raises(ValueError, match="accepted"):
        training_stop(**asked)


@given(st.lists(st.lists(st.floats(0, 1), min_size=8, max_size=8), min_size=1, max_size=12), st.integers(2, 4))
def test_the_estimate_never_lies_above_its_bound_and_a_constant_shift_moves_neither(rows, window):
    looks = [look(step, row) for step, row in enumerate(rows)]
    found = gain_of(looks, window, 0.95)
    assert (found is None) == (len(rows) < 2 * window)
    if found is not None:
        assert found.high >= found.mean
        moved = gain_of([look(step, [x + 0.25 for x in row]) for step, row in enumerate(rows)], window, 0.95)
        assert moved.high == pytest.approx(found.high, abs=1e-9)


@pytest.mark.parametrize("looks", [8, 16])
def test_a_run_that_still_gains_the_margin_is_stopped_less_often_than_stated(looks):
    generator, runs = np.random.default_rng(3), 300
    rising = np.arange(1, looks + 1) * 0.02 / 3  # a window of three gains exactly the margin
    stops = sum(stopped_at(generator, rising, window=3, margin=0.02) is not None for _ in range(runs))
    assert stops / runs <= ERROR


def test_a_run_on_a_plateau_is_stopped_as_a_rule():
    generator, runs = np.random.default_rng(4), 100
    level = np.full(PLANNED, 0.3)
    assert sum(stopped_at(generator, level, window=3, margin=0.02) is not None for _ in range(runs)) / runs > 0.6
