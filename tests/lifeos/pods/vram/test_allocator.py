"""The allocator model by its properties, by a brute-force twin, and by what the allocator's source says of sizes."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lifeos.pods.vram.allocator import MIB, CachingAllocator

SIZES = st.one_of(
    st.integers(1, 4096), st.integers(MIB - 1024, MIB + 1024), st.integers(1, 30 * MIB),
    st.sampled_from([512, 513, MIB, MIB + 1, 10 * MIB - 1, 10 * MIB, 20 * MIB, 64 * MIB]),
)  # fmt: skip
# True: allocate the size; False: free the block that the number chooses; None: empty the cache.
ACTIONS = st.lists(st.tuples(st.sampled_from([True, True, False, None]), SIZES), max_size=60)


class Twin:
    """Segments as lists of [size, free], scanned from the front: slow, and written from the same source text."""

    def __init__(self):
        self.segments = []

    def allocate(self, size):
        rounded = (size + 511) // 512 * 512
        small = rounded <= MIB
        free = [(block[0], number, place) for number, (is_small, blocks) in enumerate(self.segments)
                if is_small == small for place, block in enumerate(blocks) if block[1] and block[0] >= rounded]
        if free:
            _, number, place = min(free)
        else:
            whole = (rounded + 2 * MIB - 1) // (2 * MIB) * (2 * MIB)
            whole = 2 * MIB if small else 20 * MIB if rounded < 10 * MIB else whole
            self.segments.append((small, [[whole, True]]))
            number, place = len(self.segments) - 1, 0
        blocks = self.segments[number][1]
        block, rest = blocks[place], blocks[place][0] - rounded
        if rest >= 512 if small else rest > MIB:
            block[0] = rounded
            blocks.insert(place + 1, [rest, True])
        block[1] = False
        return number, block

    def free(self, handle):
        number, block = handle
        block[1] = True
        blocks = self.segments[number][1]
        merged = []
        for each in blocks:
            if merged and merged[-1][1] and each[1]:
                merged[-1][0] += each[0]
            else:
                merged.append(each)
        blocks[:] = merged

    def empty_cache(self):
        for _, blocks in self.segments:
            if len(blocks) == 1 and blocks[0][1]:
                blocks[0][0] = 0

    @property
    def reserved(self):
        return sum(block[0] for _, blocks in self.segments for block in blocks)

    @property
    def allocated(self):
        return sum(block[0] for _, blocks in self.segments for block in blocks if not block[1])


@settings(max_examples=150, deadline=None)
@given(ACTIONS)
def test_it_does_what_a_brute_force_twin_does(actions):
    model, twin, live = CachingAllocator(), Twin(), []
    for allocates, size in actions:
        if allocates is None:
            model.empty_cache()
            twin.empty_cache()
        elif allocates or not live:
            live.append((model.allocate(size), twin.allocate(size)))
            assert live[-1][0].size == live[-1][1][1][0]
        else:
            ours, theirs = live.pop(size % len(live))
            model.free(ours)
            twin.free(theirs)
        assert (model.allocated, model.reserved) == (twin.allocated, twin.reserved)


@settings(max_examples=100, deadline=None)
@given(ACTIONS)
def test_what_holds_after_every_action(actions):
    allocator, live = CachingAllocator(), []
    for allocates, size in actions:
        if allocates is None:
            allocator.empty_cache()
        elif allocates or not live:
            live.append(allocator.allocate(size))
        else:
            allocator.free(live.pop(size % len(live)))
        assert allocator.requested <= allocator.allocated <= allocator.reserved
        assert allocator.allocated == sum(block.size for block in live)
        assert allocator.peak_allocated >= allocator.allocated
        assert allocator.peak_reserved >= allocator.reserved
        places = sorted((block.address, block.address + block.size) for block in live)
        assert all(end <= start for (_, end), (start, _) in pairwise(places))
    for block in live:
        allocator.free(block)
    allocator.empty_cache()
    assert allocator.allocated == allocator.reserved == 0


def test_nothing_is_freed_twice():
    allocator = CachingAllocator()
    block = allocator.allocate(100)
    allocator.free(block)
    with pytest.raises(ValueError, match="twice"):
        allocator.free(block)


def test_nothing_of_no_size_is_allocated():
    with pytest.raises(ValueError, match="at least 1"):
        CachingAllocator().allocate(0)


@pytest.mark.parametrize(
    ("asked", "allocated", "reserved"),
    [(1, 512, 2 * MIB), (513, 1024, 2 * MIB), (MIB, MIB, 2 * MIB), (MIB + 1, MIB + 512, 20 * MIB),
     (10 * MIB - 512, 10 * MIB - 512, 20 * MIB), (10 * MIB, 10 * MIB, 10 * MIB), (11 * MIB, 12 * MIB, 12 * MIB)],
)  # fmt: skip
def test_sizes_of_first_allocations(asked, allocated, reserved):
    # 11 MiB: a segment of 12 MiB whose rest, 1 MiB, is not worth keeping apart.
    allocator = CachingAllocator()
    allocator.allocate(asked)
    assert (allocator.allocated, allocator.reserved) == (allocated, reserved)


def test_the_best_fit_is_taken_and_neighbours_merge():
    allocator = CachingAllocator()
    large, fence, fitting, last = (allocator.allocate(size * 512) for size in (100, 1, 10, 1))
    allocator.free(large)
    allocator.free(fitting)
    again = allocator.allocate(9 * 512)
    assert again.address == fitting.address
    allocator.free(again)
    allocator.free(fence)
    whole = allocator.allocate(111 * 512)
    assert whole.address == large.address
    assert allocator.reserved == 2 * MIB
    allocator.free(last)
