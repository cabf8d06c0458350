from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeos.lora.batches import BatchOrder, example_indices, make_buckets
from lifeos.lora.dataset import Example

SMALL, WIDE = (64, 64), (128, 64)


def example(repeats=1, prior=False):
    return Example(Path("0001.png"), "zeph", "0", repeats=repeats, prior=prior)


def test_every_epoch_shows_every_example_once():
    shown = [index for step in range(10) for index in example_indices(7, step, 3, 5)]
    for epoch in range(6):
        assert sorted(shown[epoch * 5 : (epoch + 1) * 5]) == list(range(5))
    assert shown[:5] != shown[5:10]


def test_pictures_stand_in_the_bucket_of_their_size_as_often_as_they_repeat():
    (small, wide) = make_buckets([example(), example(3), example()], {0: [SMALL], 1: [SMALL, WIDE], 2: [WIDE]})
    assert (small.size, small.examples, small.share) == (SMALL, (0, 1, 1, 1), 0.5)
    assert (wide.size, wide.examples, wide.share) == (WIDE, (1, 1, 1, 2), 0.5)


def test_half_of_the_batches_are_of_the_class_however_many_its_pictures_are():
    examples = [example(), example(), *[example(prior=True)] * 9]
    order = BatchOrder(make_buckets(examples, {number: [SMALL] for number in range(11)}), 0, 2)
    priors = [order.batch(number).bucket.prior for number in range(40)]
    assert sum(priors) == 20
    # One answers the other: no long run of either.
    assert all(priors[n] != priors[n + 1] for n in range(0, 40, 2))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(1, 4), st.integers(0, 2**40))
def test_shares_hold_at_every_moment_and_batches_are_of_one_size(counts, batch_size, seed):
    sizes = {}
    for bucket, count in enumerate(counts):
        for _ in range(count):
            sizes[len(sizes)] = [(64 * (bucket + 1), 64)]
    order = BatchOrder(make_buckets([example()] * len(sizes), sizes), seed, batch_size)
    seen: Counter[int] = Counter()
    for number in range(30):
        batch = order.batch(number)
        assert len(batch.examples) == batch_size
        assert {sizes[index][0] for index in batch.examples} == {batch.bucket.size}
        seen[batch.bucket.size[0]] += 1
        for bucket, count in enumerate(counts):
            assert abs(seen[64 * (bucket + 1)] - count / len(sizes) * (number + 1)) < len(counts)


@pytest.mark.parametrize("sizes", [{n: [SMALL] for n in range(5)}, {n: [SMALL] if n % 2 else [WIDE] for n in range(5)}])
def test_a_batch_does_not_depend_on_what_was_asked_for_before(sizes):
    buckets = make_buckets([example()] * 5, sizes)
    whole = BatchOrder(buckets, 3, 2)
    in_order = [whole.batch(number) for number in range(12)]
    resumed = BatchOrder(buckets, 3, 2)
    assert [resumed.batch(number) for number in (7, 11, 2)] == [in_order[number] for number in (7, 11, 2)]
    assert in_order != [BatchOrder(buckets, 4, 2).batch(number) for number in range(12)]


def test_inside_a_bucket_every_pass_shows_every_picture_once():
    sizes = {n: [SMALL] if n < 3 else [WIDE] for n in range(9)}
    order = BatchOrder(make_buckets([example()] * 9, sizes), 0, 1)
    shown = [order.batch(number).examples[0] for number in range(18)]
    assert Counter(shown) == dict.fromkeys(range(9), 2)
