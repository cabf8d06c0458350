"""PyTorch's CUDA caching allocator as arithmetic: what it counts as allocated and what it takes from the driver.

A model of ``c10/cuda/CUDACachingAllocator.cpp`` with its default settings (no expandable segments, no power-of-two
rounding, no split limit) on one stream: sizes are rounded to 512 bytes, requests up to 1 MiB come from segments of
2 MiB, requests below 10 MiB from segments of 20 MiB, larger ones from segments of their own rounded to 2 MiB; the
smallest free block that is large enough is taken, the one at the lowest address where several are, and what is left of
it is split off where it is worth keeping. Free neighbours merge. Segments go back to the driver only when asked to.
"""

import bisect
from dataclasses import dataclass

MIB = 2**20
ROUNDING = 512
SMALL_REQUEST, SMALL_SEGMENT = MIB, 2 * MIB
LARGE_REQUEST, LARGE_SEGMENT = 10 * MIB, 20 * MIB
SEGMENT_ROUNDING = 2 * MIB
# Larger than any GPU; segments stand this far apart, so that blocks of two never seem to be neighbours.
_SEGMENT_DISTANCE = 2**50


@dataclass(slots=True, eq=False)
class Block:
    """A stretch of a segment, in bytes; ``previous`` and ``next`` are its neighbours there."""

    address: int
    size: int
    is_small: bool
    is_free: bool = True
    requested: int = 0
    previous: "Block | None" = None
    next: "Block | None" = None


class CachingAllocator:
    """One GPU's allocator.

    Attributes:
        allocated: bytes in blocks that are in use, ``torch.cuda.memory_allocated``.
        requested: bytes that were asked for in them.
        reserved: bytes of all segments, ``torch.cuda.memory_reserved``.
        peak_allocated, peak_requested, peak_reserved: the largest so far.
    """

    def __init__(self) -> None:
        """Start with no segment."""
        self.allocated = self.requested = self.reserved = 0
        self.peak_allocated = self.peak_requested = self.peak_reserved = 0
        self._segments_made = 0
        # (size, address), ascending, so that the first that is large enough is the best fit.
        self._free: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
        self._at: dict[int, Block] = {}

    def allocate(self, size: int) -> Block:
        """Return a block for ``size`` bytes, from a free one or from a new segment.

        Raises:
            ValueError: ``size`` is below 1.
        """
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        rounded = -(-size // ROUNDING) * ROUNDING
        block = self._best_fit(rounded) or self._new_segment(rounded)
        self._split(block, rounded)
        block.is_free, block.requested = False, size
        self.allocated += block.size
        self.requested += size
        self.peak_allocated = max(self.peak_allocated, self.allocated)
        self.peak_requested = max(self.peak_requested, self.requested)
        return block

    def free(self, block: Block) -> None:
        """Give a block back and merge it with free neighbours.

        Raises:
            ValueError: the block is free already.
        """
        if block.is_free:
            raise ValueError(f"block at {block.address} is freed twice")
        self.allocated -= block.size
        self.requested -= block.requested
        block.is_free, block.requested = True, 0
        before, after = block.previous, block.next
        if after is not None and after.is_free:
            self._forget(after)
            block.size += after.size
            self._join(block, after.next)
        if before is not None and before.is_free:
            self._forget(before)
            before.size += block.size
            self._join(before, block.next)
            block = before
        self._remember(block)

    def empty_cache(self) -> None:
        """Give every segment that is wholly free back to the driver, as ``torch.cuda.empty_cache`` does."""
        for block in list(self._at.values()):
            if block.previous is None and block.next is None:
                self._forget(block)
                self.reserved -= block.size

    def _best_fit(self, rounded: int) -> Block | None:
        free = self._free[rounded <= SMALL_REQUEST]
        place = bisect.bisect_left(free, (rounded, -1))
        return self._at.pop(free.pop(place)[1]) if place < len(free) else None

    def _new_segment(self, rounded: int) -> Block:
        if rounded <= SMALL_REQUEST:
            size = SMALL_SEGMENT
        elif rounded < LARGE_REQUEST:
            size = LARGE_SEGMENT
        else:
            size = -(-rounded // SEGMENT_ROUNDING) * SEGMENT_ROUNDING
        self.reserved += size
        self.peak_reserved = max(self.peak_reserved, self.reserved)
        self._segments_made += 1
        return Block(self._segments_made * _SEGMENT_DISTANCE, size, rounded <= SMALL_REQUEST)

    def _split(self, block: Block, rounded: int) -> None:
        rest = block.size - rounded
        if rest < ROUNDING or (not block.is_small and rest <= SMALL_REQUEST):
            return
        other = Block(block.address + rounded, rest, block.is_small)
        self._join(other, block.next)
        self._join(block, other)
        block.size = rounded
        self._remember(other)

    def _remember(self, block: Block) -> None:
        self._at[block.address] = block
        bisect.insort(self._free[block.is_small], (block.size, block.address))

    def _forget(self, block: Block) -> None:
        del self._at[block.address]
        free = self._free[block.is_small]
        free.pop(bisect.bisect_left(free, (block.size, block.address)))

    @staticmethod
    def _join(left: Block, right: Block | None) -> None:
        left.next = right
        if right is not None:
            right.previous = left
