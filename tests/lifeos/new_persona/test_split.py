import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.errors import InputError
from lifeos.new_persona.split import LEAST_REFERENCES, LEAST_TRAINING, MOST_REFERENCES, split_moments

digests = st.text("0123456789abcdef", min_size=8, max_size=8)


@st.composite
def moments_of(draw, fewest=0):
    names = draw(st.lists(digests, unique=True, min_size=fewest, max_size=90))
    moments, start = [], 0
    while start < len(names):
        size = draw(st.sampled_from([1, 1, 1, 2, 3, 9]))
        moments.append(names[start : start + size])
        start += size
    return moments


def split_or_none(moments, **options):
    try:
        return split_moments(moments, **options)
    except InputError:
        return None


@given(moments_of(), st.integers(0, 3), st.randoms())
def test_neither_the_order_of_moments_nor_that_of_files_changes_it(moments, seed, random):
    shuffled = [random.sample(moment, len(moment)) for moment in random.sample(moments, len(moments))]
    assert split_or_none(moments, seed=seed) == split_or_none(shuffled, seed=seed)


@given(moments_of(fewest=20), st.integers(0, 3))
def test_every_photograph_has_one_place_and_every_moment_one_side(moments, seed):
    split = split_or_none(moments, seed=seed)
    if split is None:
        return
    placed = [*split.training, *split.references, *split.spared]
    assert sorted(placed) == sorted(digest for moment in moments for digest in moment)
    assert len(split.references) >= LEAST_REFERENCES
    assert len(split.training) >= LEAST_TRAINING
    training, held = set(split.training), set(split.references) | set(split.spared)
    for moment in moments:
        assert set(moment) <= training or set(moment) <= held
        # One reference a moment: two would make references look more alike than they are.
        assert len(set(moment) & set(split.references)) <= 1
    for digest, reference in split.spared.items():
        assert any({digest, reference} <= set(moment) for moment in moments)


@given(moments_of(fewest=10))
def test_it_is_refused_only_for_want_of_photographs_or_moments(moments):
    count = sum(map(len, moments))
    alone = sum(len(moment) == 1 for moment in moments)
    if alone >= LEAST_REFERENCES and count - LEAST_REFERENCES >= LEAST_TRAINING:
        assert split_or_none(moments) is not None
    if count < LEAST_REFERENCES + LEAST_TRAINING or len(moments) <= LEAST_REFERENCES:
        assert split_or_none(moments) is None


@given(moments_of(fewest=40), digests)
def test_one_more_photograph_moves_few(moments, new):
    if any(new in moment for moment in moments):
        return
    before, after = split_or_none(moments), split_or_none([*moments, [new]])
    if before is not None and after is not None:
        assert len(set(before.references) - set(after.references)) <= 1


def test_sides_have_their_sizes():
    def sizes(count, **options):
        split = split_moments([[f"{number:04x}"] for number in range(count)], **options)
        return len(split.training), len(split.references)

    assert sizes(10) == (5, 5)
    assert sizes(20) == (15, 5)
    assert sizes(40) == (30, 10)
    assert sizes(2000) == (2000 - MOST_REFERENCES, MOST_REFERENCES)
    assert sizes(40, references=3) == (37, 3)
    assert sizes(60, references=50) == (10, 50)


def test_seeds_hold_out_different_photographs():
    moments = [[f"{number:04x}"] for number in range(40)]
    assert split_moments(moments, seed=0) != split_moments(moments, seed=1)


def test_bursts_give_one_reference_each_only_where_too_few_photographs_stand_alone():
    bursts = [[f"{burst}{shot}" for shot in range(4)] for burst in "abcdef"]
    split = split_moments([*bursts, ["alone1"], ["alone2"]])
    assert {"alone1", "alone2"} < set(split.references)
    assert len(split.references) == 5
    assert len(split.spared) == 9
    assert len(split.training) == 12
    enough = split_moments([*bursts, *[[f"alone{number}"] for number in range(6)]])
    assert enough.spared == {}
    assert all(digest.startswith("alone") for digest in enough.references)


@pytest.mark.parametrize(
    ("moments", "got", "more"),
    [
        ([], "0 usable photographs of 0 moments", 10),
        ([["a"]], "1 usable photographs of 1 moment", 9),
        ([[str(number)] for number in range(9)], "9 usable photographs of 9 moments", 1),
        ([[f"{burst}{shot}" for shot in range(10)] for burst in "ab"], "20 usable photographs of 2 moments", 4),
    ],
)
def test_what_is_missing_is_said(moments, got, more):
    with pytest.raises(InputError, match=f"got {got}; next: add {more} or more"):
        split_moments(moments)
    with pytest.raises(InputError, match="at least 30 references"):
        split_moments(moments, references=30)
