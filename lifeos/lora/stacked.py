"""Several LoRA pairs as one pair of the stacked weight, and back: exact both ways, or refused.

The outputs of the pairs are stacked, so the one pair has the A of each below the other and the B of each on a diagonal
of blocks; its rank is the sum of theirs. Pairs that share one A keep it: then B is stacked and the rank stays.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_Array = npt.NDArray[np.float32]


class Pair(NamedTuple):
    """A LoRA pair: A ``[rank, in]``, B ``[out, rank]``, alpha, and DoRA's magnitude ``[out]`` or None."""

    down: _Array
    up: _Array
    alpha: float
    magnitude: _Array | None = None

    @property
    def scale(self) -> float:
        """alpha / rank."""
        return self.alpha / len(self.down)


def stack(pairs: Sequence[Pair | None], sizes: Sequence[int]) -> Pair:
    """Return one pair that does to the stacked weight what each of ``pairs`` does to its own.

    Args:
        pairs: in the order of the stack; None where a weight has no pair. At least one is there.
        sizes: outputs of each weight.

    Raises:
        ValueError: it cannot be done exactly: pairs with and without a magnitude, or scales whose ratio is no power of
            two and so would round the numbers.
    """
    present = [pair for pair in pairs if pair is not None]
    magnitude = None
    if any(pair.magnitude is not None for pair in present):
        magnitudes = [pair.magnitude for pair in present if pair.magnitude is not None]
        if len(magnitudes) < len(pairs):
            raise ValueError("only some of them have a DoRA magnitude")
        magnitude = np.concatenate(magnitudes)
    first = present[0]
    if len(present) == len(pairs) > 1 and all(
        pair.alpha == first.alpha and np.array_equal(pair.down, first.down) for pair in present
    ):
        return Pair(first.down, np.concatenate([pair.up for pair in present]), first.alpha, magnitude)
    lowest = min(present, key=lambda pair: abs(pair.scale))
    rank = sum(len(pair.down) for pair in present)
    up = np.zeros((sum(sizes), rank), dtype=np.float32)
    row, column = 0, 0
    for pair, size in zip(pairs, sizes, strict=True):
        if pair is not None:
            up[row : row + size, column : column + len(pair.down)] = pair.up * _factor(pair, lowest)
            column += len(pair.down)
        row += size
    down = np.concatenate([pair.down for pair in present])
    return Pair(down, up, lowest.alpha * rank / len(lowest.down), magnitude)


def split(pair: Pair, sizes: Sequence[int]) -> list[Pair | None]:
    """Return the pair of each weight that lies in a stacked one; None for one that the pair leaves alone.

    Where each rank of B reaches one weight only, each pair gets the ranks that reach it, so that what ``stack`` made
    comes apart as it was. Otherwise all share A and have the whole rank.

    Args:
        pair: of the stacked weight.
        sizes: outputs of each weight; their sum is that of the pair.
    """
    ends = np.cumsum(sizes)
    rows = [pair.up[end - size : end] for end, size in zip(ends, sizes, strict=True)]
    norms = [None if pair.magnitude is None else pair.magnitude[end - size : end]
             for end, size in zip(ends, sizes, strict=True)]  # fmt: skip
    owned = _owned_ranks(np.stack([np.any(block != 0.0, axis=0) for block in rows]))
    if owned is None or (pair.magnitude is not None and any(first == last for first, last in owned)):
        return [Pair(pair.down, block, pair.alpha, norm) for block, norm in zip(rows, norms, strict=True)]
    rank = len(pair.down)
    return [
        None if first == last
        else Pair(pair.down[first:last], block[:, first:last], pair.alpha * (last - first) / rank, norm)
        for block, norm, (first, last) in zip(rows, norms, owned, strict=True)
    ]  # fmt: skip


def swap_halves(values: _Array) -> _Array:
    """Return rows of an even number with their halves exchanged."""
    return np.roll(values, len(values) // 2, axis=0)


def _factor(pair: Pair, lowest: Pair) -> np.float32:
    if pair.scale == lowest.scale:
        return np.float32(1.0)
    factor = pair.scale / lowest.scale if lowest.scale else 0.0
    if math.frexp(factor)[0] != 0.5:
        raise ValueError(f"their scales {lowest.scale:g} and {pair.scale:g} differ by no power of two")
    return np.float32(factor)


def _owned_ranks(reached: npt.NDArray[np.bool_]) -> list[tuple[int, int]] | None:
    """Return first and last + 1 of the ranks of each weight, given ``[weights, ranks]``; None if two share one."""
    weights, ranks = reached.shape
    if ranks % weights == 0:
        # Blocks of one size are what trainers write; they hold a pair that is still zero too.
        size = ranks // weights
        inside = np.repeat(np.eye(weights, dtype=np.bool_), size, axis=1)
        if not bool((reached & ~inside).any()):
            return [(index * size, (index + 1) * size) for index in range(weights)]
    if bool((reached.sum(axis=0) > 1).any()) or not bool(reached.any()):
        return None
    owners = np.where(reached.any(axis=0), reached.argmax(axis=0), -1)
    current = int(owners[owners >= 0][0])
    for rank, owner in enumerate(owners):
        current = int(owner) if owner >= 0 else current
        owners[rank] = current
    if bool((np.diff(owners) < 0).any()):
        return None
    bounds = np.searchsorted(owners, np.arange(weights + 1))
    return [(int(bounds[index]), int(bounds[index + 1])) for index in range(weights)]
