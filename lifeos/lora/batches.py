"""Which pictures each batch takes: pure functions of seed and number, so that a resumed run needs no random state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from lifeos.lora.buckets import Size
from lifeos.lora.dataset import Example
from lifeos.lora.training_inputs import derived_seed


@dataclass(frozen=True)
class Bucket:
    """Pictures of one size that are trained together.

    Args:
        size: (width, height) in pixels.
        prior: True for pictures of the class, False for the persona's.
        examples: their numbers in the dataset, one for each time a picture stands in a pass.
        share: of all batches, in (0, 1].
    """

    size: Size
    prior: bool
    examples: tuple[int, ...]
    share: float


@dataclass(frozen=True)
class Batch:
    """What one batch holds.

    Args:
        number: of the batch, from 0.
        bucket: where its pictures come from.
        examples: their numbers in the dataset.
    """

    number: int
    bucket: Bucket
    examples: tuple[int, ...]


def make_buckets(examples: Sequence[Example], sizes: Mapping[int, Sequence[Size]]) -> tuple[Bucket, ...]:
    """Sort pictures by size, those of the class apart.

    Where there are pictures of the class, half of all batches are theirs: each of the persona's is answered by one of
    the class, as in DreamBooth (arXiv 2208.12242, section 3.3). Inside a half a picture's share is its ``repeats``.

    Args:
        examples: the dataset.
        sizes: number of an example -> the sizes it is trained at.
    """
    members: dict[tuple[bool, Size], list[int]] = {}
    for number, example in enumerate(examples):
        for size in sizes[number]:
            members.setdefault((example.prior, size), []).extend([number] * example.repeats)
    halves = len({prior for prior, _ in members})
    totals = {prior: sum(len(each) for (of, _), each in members.items() if of == prior) for prior in (False, True)}
    return tuple(Bucket(size, prior, tuple(each), len(each) / totals[prior] / halves)
                 for (prior, size), each in sorted(members.items()))


class BatchOrder:
    """Gives batch after batch; a bucket's share of the batches made so far is never off by a whole batch for long.

    Each batch goes to the bucket that lies furthest behind its share. Inside a bucket every pass is a new permutation,
    and passes join without a gap.
    """

    def __init__(self, buckets: Sequence[Bucket], seed: int, batch_size: int) -> None:
        """Order batches of ``batch_size`` pictures; ``seed`` shuffles each pass."""
        self._buckets, self._seed, self._batch_size = tuple(buckets), seed, batch_size
        self._taken = [0] * len(self._buckets)
        self._chosen: list[tuple[int, int]] = []

    def batch(self, number: int) -> Batch:
        """Return batch ``number``, whatever was asked for before."""
        while len(self._chosen) <= number:
            made = len(self._chosen) + 1
            behind = [bucket.share * made - taken for bucket, taken in zip(self._buckets, self._taken, strict=True)]
            index = behind.index(max(behind))
            self._chosen.append((index, self._taken[index]))
            self._taken[index] += 1
        index, turn = self._chosen[number]
        bucket = self._buckets[index]
        # One bucket alone is shuffled as before there were several.
        purpose = "epoch" if len(self._buckets) == 1 else f"epoch of bucket {index}"
        places = example_indices(self._seed, turn, self._batch_size, len(bucket.examples), purpose)
        return Batch(number, bucket, tuple(bucket.examples[place] for place in places))


def example_indices(seed: int, step: int, batch_size: int, count: int, purpose: str = "epoch") -> list[int]:
    """Return which of ``count`` examples a step takes: every pass is one permutation, and passes join without a gap."""
    chosen = []
    for position in range(step * batch_size, (step + 1) * batch_size):
        epoch, place = divmod(position, count)
        chosen.append(_permutation(derived_seed(seed, purpose, epoch), count)[place])
    return chosen


@lru_cache(maxsize=64)
def _permutation(seed: int, count: int) -> tuple[int, ...]:
    import torch

    return tuple(torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist())
