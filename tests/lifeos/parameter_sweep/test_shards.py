"""Every image in exactly one shard, every shard drawn, whoever dies when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.parameter_sweep.shards import Shard, ShardQueue, cut_shards

KEYS = st.lists(st.sampled_from([f"{number:02x}" * 32 for number in range(40)]), max_size=30)
TASKS = st.lists(KEYS, max_size=5)


@given(TASKS, st.integers(1, 7), st.randoms(use_true_random=False))
def test_every_key_is_in_exactly_one_shard_whatever_the_order(tasks, size, random):
    shards = cut_shards(tasks, size)
    cut = [key for shard in shards for key in shard.keys]
    assert sorted(cut) == sorted({key for keys in tasks for key in keys})
    for shard in shards:
        assert 1 <= len(shard.keys) <= size
        assert set(shard.keys) <= set(tasks[shard.task])
        assert not any(set(shard.keys) & set(earlier) for earlier in tasks[: shard.task])
    shuffled = [random.sample(keys, len(keys)) + keys[:2] for keys in tasks]
    assert cut_shards(shuffled, size) == shards
    # No more shards than it takes.
    for task in range(len(tasks)):
        own = [shard for shard in shards if shard.task == task]
        assert all(len(shard.keys) == size for shard in own[:-1])


def test_a_shard_is_named_after_its_images():
    assert Shard(0, ("a", "b")).name == Shard(3, ("a", "b")).name != Shard(0, ("ab",)).name
    with pytest.raises(ValueError, match="at least 1"):
        cut_shards([["a"]], 0)


@given(TASKS, st.integers(1, 4), st.data())
def test_every_shard_is_finished_once_whoever_dies(tasks, size, data):
    shards = cut_shards(tasks, size)
    queue, finished, deaths = ShardQueue(shards), [], {}
    for _ in range(200):
        if queue.finished:
            break
        worker = data.draw(st.sampled_from("abc"))
        held = queue.held(worker)
        what = data.draw(st.sampled_from(["take", "take", "done", "done", "die"]))
        if what == "take":
            before = held[-1].task if held else None
            shard = queue.take(worker)
            assert shard is None or queue.held(worker) == (*held, shard)
            if before is not None and shard is not None and shard.task != before:
                assert all(other.task != before for other in waiting(shards, queue, finished))
        elif what == "done" and held:
            queue.done(worker, held[0])
            finished.append(held[0])
        elif what == "die":
            fallen = queue.died(worker)
            assert (fallen is None) == (not held)
            assert queue.held(worker) == ()
            if fallen is not None:
                deaths[held[0]] = deaths.get(held[0], 0) + 1
                assert fallen == (held[0], deaths[held[0]])
        assert len(set(finished)) == len(finished)
    else:
        # Whatever is left when the dying ends is drawn.
        for worker in "abc":
            queue.died(worker)
        while (shard := queue.take("d")) is not None:
            queue.done("d", shard)
            finished.append(shard)
    assert queue.finished
    assert sorted(finished, key=lambda shard: (shard.task, shard.keys)) == list(shards)


def waiting(shards, queue, finished):
    return set(shards) - set(finished) - {shard for worker in "abc" for shard in queue.held(worker)}


def test_a_worker_stays_with_its_task_and_another_begins_the_next():
    queue = ShardQueue(cut_shards([["a", "b", "c"], ["d"]], 1))
    assert [queue.take("one").task, queue.take("two").task, queue.take("one").task] == [0, 1, 0]
    assert queue.take("two").task == 0
    assert queue.take("two") is None
