import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.pareto import pareto_front

# Few different numbers, so that ties, equal points and chains of dominance all come up.
numbers = st.integers(-3, 3).map(float)


@st.composite
def fields(draw):
    width = draw(st.integers(1, 4))
    directions = draw(st.lists(st.booleans(), min_size=width, max_size=width))
    point = st.lists(numbers, min_size=width, max_size=width)
    return draw(st.lists(point, max_size=12)), directions


def brute_force(points, directions):
    """Every pair compared, straight from the definition."""

    def better(a, b, up):
        return a > b if up else a < b

    found = []
    for place, own in enumerate(points):
        beaten = False
        for other in points:
            somewhere = any(better(o, m, up) for o, m, up in zip(other, own, directions, strict=True))
            nowhere_worse = not any(better(m, o, up) for o, m, up in zip(other, own, directions, strict=True))
            beaten = beaten or (somewhere and nowhere_worse)
        if not beaten:
            found.append(place)
    return found


@given(fields())
def test_it_is_what_comparing_every_pair_gives(field):
    points, directions = field
    assert pareto_front(points, directions) == brute_force(points, directions)


@given(fields(), st.randoms())
def test_the_order_of_the_points_decides_nothing(field, random):
    points, directions = field
    order = list(range(len(points)))
    random.shuffle(order)
    shuffled = pareto_front([points[place] for place in order], directions)
    assert sorted(order[place] for place in shuffled) == pareto_front(points, directions)


def test_directions_and_equals():
    points = [(0.7, 0.2), (0.6, 0.1), (0.6, 0.3), (0.7, 0.2)]
    assert pareto_front(points, [True, False]) == [0, 1, 3]
    assert pareto_front(points, [True, True]) == [0, 2, 3]
    assert pareto_front([], [True]) == []


@pytest.mark.parametrize(
    ("points", "directions"), [([(1.0,)], []), ([(1.0, 2.0)], [True]), ([(math.nan,)], [True]), ([(math.inf,)], [True])]
)
def test_what_cannot_be_compared_is_refused(points, directions):
    with pytest.raises(ValueError, match="accepted"):
        pareto_front(points, directions)
