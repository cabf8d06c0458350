from fractions import Fraction
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.successive_halving import Standing, blocks_of, departures, number_kept

PROMPTS = ("A1", "A2", "A3")
share = st.sampled_from([0.01, 0.1, 0.25, 1 / 3, 0.5, 0.75, 1.0])


@st.composite
def fields(draw):
    prompts = PROMPTS[: draw(st.integers(1, 3))]
    likeness = st.fixed_dictionaries({prompt: st.integers(0, 8).map(lambda n: n / 8) for prompt in prompts})
    return draw(st.lists(st.builds(Standing, likeness, st.booleans()), min_size=1, max_size=12))


@given(fields(), share, st.integers(1, 6))
def test_who_stays_is_never_worse_than_who_leaves(field, keep, fewest):
    left = {departure.place for departure in departures(field, keep, fewest)}
    stays = [place for place in range(len(field)) if place not in left]
    assert len(stays) == number_kept(len(field), keep, fewest) >= min(fewest, len(field))

    def rank(place):
        return field[place].ruled_out, -fmean(field[place].likeness.values()), place

    assert all(rank(one) < rank(other) for one in stays for other in left)


@given(fields(), share, st.integers(1, 6))
def test_how_far_behind_is_told_against_the_last_that_stays(field, keep, fewest):
    gone = departures(field, keep, fewest)
    left = {departure.place for departure in gone}
    stays = [place for place in range(len(field)) if place not in left]
    last = max(stays, key=lambda p: (field[p].ruled_out, -fmean(field[p].likeness.values()), p))
    for departure in gone:
        own = field[departure.place]
        assert departure.behind == pytest.approx(fmean(field[last].likeness.values()) - fmean(own.likeness.values()))
        assert departure.behind >= 0 or departure.ruled_out
        assert (departure.standard_error is None) == (len(own.likeness) == 1)


@given(fields(), share, st.integers(1, 6), st.floats(-1, 1))
def test_a_prompt_that_is_harder_for_all_changes_nothing(field, keep, fewest, harder):
    first = next(iter(field[0].likeness))
    moved = [Standing({**one.likeness, first: one.likeness[first] + round(harder * 8) / 8}, one.ruled_out)
             for one in field]  # fmt: skip
    before = [departure.place for departure in departures(field, keep, fewest)]
    assert [departure.place for departure in departures(moved, keep, fewest)] == before


@given(st.integers(1, 2000), share, st.integers(1, 50))
def test_the_share_is_rounded_up_exactly(standing, keep, fewest):
    exact = -(-Fraction(keep).limit_denominator(100) * standing // 1)
    assert number_kept(standing, keep, fewest) == min(standing, max(fewest, exact))


def test_ruled_out_ones_leave_first_and_equals_from_behind():
    field = [Standing({"A1": value}, bad) for value, bad in ((0.9, True), (0.5, False), (0.5, False), (0.6, False))]
    gone = departures(field, 0.5, 1)
    assert [(d.place, d.ruled_out, d.standard_error) for d in gone] == [(0, True, None), (2, False, None)]
    assert gone[0].behind == pytest.approx(-0.4)
    assert departures(field, 0.5, 4) == []


@given(st.lists(st.text(), unique=True), st.integers(1, 5))
def test_blocks_are_the_prompts_in_their_order(prompts, size):
    blocks = blocks_of(prompts, size)
    assert [prompt for block in blocks for prompt in block] == prompts
    assert all(len(block) == size for block in blocks[:-1])


def test_what_cannot_be_halved_is_refused():
    one = Standing({"A1": 0.5}, False)
    for keep, fewest in ((0.0, 1), (1.5, 1), (0.5, 0)):
        with pytest.raises(ValueError, match="accepted counts"):
            departures([one], keep, fewest)
    for field in ([one, Standing({"A2": 0.5}, False)], [Standing({}, False)]):
        with pytest.raises(ValueError, match="same prompts"):
            departures(field, 0.5, 1)
    with pytest.raises(ValueError, match="at least 1 prompt"):
        blocks_of(PROMPTS, 0)
