"""How the images of many tasks are cut into shards and handed out; pure, so that it can be tested without a cluster."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evals.content_hash import hash_json


@dataclass(frozen=True)
class Shard:
    """Images of one task that are drawn in one go.

    Args:
        task: position of the task.
        keys: image keys, in ascending order.
    """

    task: int
    keys: tuple[str, ...]

    @property
    def name(self) -> str:
        """Twelve hexadecimal digits over the keys: the same images have the same name in every run."""
        return hash_json(list(self.keys))[:12]


def cut_shards(keys_of_tasks: Sequence[Iterable[str]], size: int) -> tuple[Shard, ...]:
    """Cut the different images of tasks into shards of at most ``size``, those of one task in a row.

    A key is a content hash, so its place says nothing of prompt or seed: the shards of a task cost about the same. An
    image of several tasks belongs to the first of them.

    Args:
        keys_of_tasks: image keys of each task; their order within a task and repetitions change nothing.
        size: images a shard, at least 1.

    Raises:
        ValueError: ``size`` is below 1.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, but got {size}")
    shards, taken = [], set[str]()
    for task, keys in enumerate(keys_of_tasks):
        own = sorted(set(keys) - taken)
        taken.update(own)
        shards += [Shard(task, tuple(own[start : start + size])) for start in range(0, len(own), size)]
    return tuple(shards)


class ShardQueue:
    """Which shard a worker gets next, and what becomes of those of a worker that dies.

    A worker works off its shards in the order it got them, so the oldest is the one it died at; those behind it were
    never begun and are blamed for nothing.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        """Begin with every shard waiting, in the order given."""
        self._waiting: dict[int, deque[Shard]] = {}
        for shard in shards:
            self._waiting.setdefault(shard.task, deque()).append(shard)
        self._held: dict[str, list[Shard]] = {}
        self._last_task: dict[str, int] = {}
        self._deaths: dict[Shard, int] = {}

    @property
    def finished(self) -> bool:
        """True when no shard waits or is with a worker."""
        return not self._waiting and not any(self._held.values())

    def held(self, worker: str) -> tuple[Shard, ...]:
        """Return the shards that are with a worker, the oldest first."""
        return tuple(self._held.get(worker, ()))

    def take(self, worker: str) -> Shard | None:
        """Hand a shard to a worker: of the task it had last, else of the one that fewest others draw; None: none waits.

        Base and LoRA then stay in its memory for as many shards as there are.
        """
        if not self._waiting:
            return None
        task = self._last_task.get(worker, -1)
        if task not in self._waiting:
            elsewhere = [shards[-1].task for shards in self._held.values() if shards]
            task = min(self._waiting, key=lambda other: (elsewhere.count(other), other))
        shard = self._waiting[task].popleft()
        if not self._waiting[task]:
            del self._waiting[task]
        self._held.setdefault(worker, []).append(shard)
        self._last_task[worker] = task
        return shard

    def done(self, worker: str, shard: Shard) -> None:
        """Note that a worker finished a shard."""
        self._held[worker].remove(shard)
        self._deaths.pop(shard, None)

    def died(self, worker: str) -> tuple[Shard, int] | None:
        """Put the shards of a dead worker back at the front; return the one it died at and how many died at it so far.

        None where it held none.
        """
        shards = self._held.pop(worker, [])
        self._last_task.pop(worker, None)
        for shard in reversed(shards):
            self._waiting.setdefault(shard.task, deque()).appendleft(shard)
        if not shards:
            return None
        self._deaths[shards[0]] = self._deaths.get(shards[0], 0) + 1
        return shards[0], self._deaths[shards[0]]
