import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.reasons import associations

NONE, PLASTIC = frozenset(), frozenset({"plastic_skin"})


def images(count, values, reasons=NONE):
    return [({"skin_z": v, "likeness": 0.7 + n * 7 % 10 / 1000}, reasons) for n, v in enumerate(values[:count])]


def test_a_value_that_goes_with_a_reason_is_told_with_its_side_and_strength():
    found = associations(images(12, np.linspace(-4, -3, 12), PLASTIC) + images(30, np.linspace(-1, 1, 30)))
    [only] = found
    assert (only.reason, only.metric, only.side) == ("plastic_skin", "skin_z", "lower")
    assert only.auc == 0.0
    assert (only.with_reason, only.without) == (12, 30)
    assert 0 < only.p < 0.001


def test_the_area_is_the_share_of_pairs(monkeypatch):
    rng = np.random.default_rng(1)
    inside, outside = rng.normal(1, 1, 40), rng.normal(0, 1, 60)
    found = associations([({"m": v}, PLASTIC) for v in inside] + [({"m": v}, NONE) for v in outside])
    pairs = np.mean([(a > b) + 0.5 * (a == b) for a in inside for b in outside])
    assert found[0].auc == pytest.approx(pairs)
    assert found[0].side == "higher"


@pytest.mark.parametrize(
    "rated",
    [
        [],
        images(4, np.linspace(-4, -3, 12), PLASTIC) + images(30, np.linspace(-1, 1, 30)),
        images(12, np.linspace(-4, -3, 12), PLASTIC) + images(4, np.linspace(-1, 1, 30)),
        images(12, np.linspace(-4, -3, 12), PLASTIC),
        [({"m": 1.0}, PLASTIC)] * 9 + [({"m": 1.0}, NONE)] * 9,
        [({"m": None}, PLASTIC)] * 9 + [({"m": 1.0}, NONE)] * 9,
    ],
)
def test_too_few_images_or_equal_values_say_nothing(rated):
    assert associations(rated) == []


def test_among_many_metrics_chance_is_not_told():
    """20 metrics of noise: an uncorrected test would tell one in two reviews."""
    told = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        rated = [({f"m{n}": float(rng.normal()) for n in range(20)}, PLASTIC if k < 15 else NONE) for k in range(60)]
        told += bool(associations(rated))
    assert told <= 6


@given(st.lists(st.tuples(st.dictionaries(st.sampled_from("abc"), st.none() | st.floats(-5, 5)),
                          st.frozensets(st.sampled_from(["x", "y"]))), max_size=40))  # fmt: skip
def test_no_ratings_break_it(rated):
    for each in associations(rated):
        assert 0 <= each.auc <= 1
        assert 0 <= each.p <= 0.05


@pytest.mark.parametrize("options", [{"fewest": 1}, {"level": 0.0}, {"level": 1.0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match="accepted fewest"):
        associations([], **options)
