"""A trace through the allocator model: the peak, what it is made of, and how memory went."""

from dataclasses import asdict, dataclass
from typing import Any

from lifeos.pods.vram.allocator import Block, CachingAllocator
from lifeos.pods.vram.tracer import ACTIVATIONS, Trace

TIMELINE_POINTS = 120


@dataclass(frozen=True)
class Phase:
    """A part of a run: its name, the share of the timeline in [0, 1] where it begins, bytes allocated and reserved."""

    name: str
    begins: float
    peak_bytes: int
    reserved_bytes: int


@dataclass(frozen=True)
class Usage:
    """What a run takes of a GPU, in bytes.

    Args:
        peak_bytes: most that was allocated, as ``torch.cuda.max_memory_allocated`` counts.
        requested_bytes: most that was asked for, before rounding.
        reserved_bytes: taken from the driver, as ``torch.cuda.max_memory_reserved`` counts.
        phases: in order.
        parts: kind of ``tracer.KINDS`` -> bytes allocated at the peak; they add up to ``peak_bytes``.
        blocks: block of the model -> bytes of its activations at the peak.
        peak_phase, peak_operator: where the peak is.
        timeline: most that was allocated in each of ``TIMELINE_POINTS`` equal parts of the run.
        operators: that ran.
    """

    peak_bytes: int
    requested_bytes: int
    reserved_bytes: int
    phases: tuple[Phase, ...]
    parts: dict[str, int]
    blocks: dict[str, int]
    peak_phase: str
    peak_operator: str
    timeline: tuple[int, ...]
    operators: int

    def to_json(self) -> dict[str, Any]:
        """Return the usage as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Usage":
        """Read what ``to_json`` wrote.

        Raises:
            KeyError, TypeError: it is something else.
        """
        phases = tuple(Phase(**phase) for phase in values["phases"])
        return cls(**{**values, "phases": phases, "timeline": tuple(values["timeline"])})


def replay(trace: Trace, sizes: dict[str, int] | None = None) -> Usage:
    """Send a trace through an allocator that starts empty.

    Args:
        trace: what a run allocated.
        sizes: operator -> bytes of its allocations, where they are known only now.

    Raises:
        ValueError: the trace is empty, or ends an allocation that it did not make.
    """
    if not trace.events:
        raise ValueError("a trace needs at least one event, got none")
    known, allocator = sizes or {}, CachingAllocator()
    live: dict[int, Block] = {}
    allocated, reserved = [], []
    peak_event = 0
    for place, event in enumerate(trace.events):
        number = abs(event) - 1
        if event == 0:
            allocator.empty_cache()
        elif event > 0:
            before = allocator.peak_allocated
            live[number] = allocator.allocate(known.get(trace.operators[number], trace.sizes[number]))
            if allocator.peak_allocated > before:
                peak_event = place
        else:
            block = live.pop(number, None)
            if block is None:
                raise ValueError(f"event {place} ends allocation {number}, which is not live")
            allocator.free(block)
        allocated.append(allocator.allocated)
        reserved.append(allocator.reserved)
    parts, blocks = _made_of(trace, known, peak_event)
    number = abs(trace.events[peak_event]) - 1
    return Usage(
        allocator.peak_allocated, allocator.peak_requested, allocator.peak_reserved,
        _phases(trace, allocated, reserved),
        parts, blocks, next((name for name, begin in reversed(trace.phases) if begin <= peak_event), ""),
        trace.operators[number], _timeline(allocated), trace.operator_count,
    )  # fmt: skip


def _made_of(trace: Trace, known: dict[str, int], peak_event: int) -> tuple[dict[str, int], dict[str, int]]:
    allocator = CachingAllocator()
    live: dict[int, Block] = {}
    for event in trace.events[: peak_event + 1]:
        number = abs(event) - 1
        if event == 0:
            allocator.empty_cache()
        elif event > 0:
            live[number] = allocator.allocate(known.get(trace.operators[number], trace.sizes[number]))
        else:
            allocator.free(live.pop(number))
    parts: dict[str, int] = {}
    blocks: dict[str, int] = {}
    for number, block in live.items():
        kind = trace.kinds[number]
        parts[kind] = parts.get(kind, 0) + block.size
        if kind == ACTIVATIONS:
            place = trace.places[number]
            blocks[place] = blocks.get(place, 0) + block.size
    return parts, dict(sorted(blocks.items(), key=lambda each: (-each[1], each[0])))


def _phases(trace: Trace, allocated: list[int], reserved: list[int]) -> tuple[Phase, ...]:
    count, found = len(allocated), []
    ends = [*(begin for _, begin in trace.phases[1:]), count][: len(trace.phases)]
    for (name, begin), end in zip(trace.phases, ends, strict=True):
        # What lay there when the phase began counts too.
        part = slice(max(0, begin - 1), max(1, end))
        found.append(Phase(name, round(begin / count, 4), max(allocated[part]), max(reserved[part])))
    return tuple(found)


def _timeline(allocated: list[int]) -> tuple[int, ...]:
    count = len(allocated)
    points = min(TIMELINE_POINTS, count)
    return tuple(max(allocated[count * point // points : count * (point + 1) // points]) for point in range(points))
