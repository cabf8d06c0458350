"""Which storages come and go while a step runs on fake tensors: the input of the allocator model.

Fake tensors have shapes, types and storages, and no memory: the whole eager step runs, with every temporary, at the
speed of its bookkeeping.
"""

import contextlib
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from lifeos.pods.vram.scratch import scratch_rules
from lifeos.progress import Progress, silent

WEIGHTS, LORA, OPTIMIZER, GRADIENTS = "weights", "LoRA", "optimizer", "gradients"
AVERAGE, ACTIVATIONS, WORKSPACE = "moving average", "activations", "workspace"
KINDS = (WEIGHTS, LORA, OPTIMIZER, GRADIENTS, AVERAGE, ACTIVATIONS, WORKSPACE)
"""What an allocation is for."""

_PROGRESS_OPERATORS = 2000


@dataclass
class Trace:
    """Allocations in the order in which they happened.

    Args:
        events: ``n + 1`` where allocation ``n`` is made, ``-(n + 1)`` where it ends, 0 where the cache is emptied.
        sizes, kinds, places, operators: of each allocation: bytes, one of ``KINDS``, the block of the model that ran
            (empty: none), the operator.
        phases: (name, first event).
        operator_count: operators that ran.
    """

    events: list[int] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    operators: list[str] = field(default_factory=list)
    phases: list[tuple[str, int]] = field(default_factory=list)
    operator_count: int = 0

    def begin(self, phase: str) -> None:
        """Say that a phase begins here."""
        self.phases.append((phase, len(self.events)))

    def allocate(self, size: int, kind: str, place: str = "", operator: str = "") -> int:
        """Record an allocation; returns its number."""
        self.sizes.append(size)
        self.kinds.append(kind)
        self.places.append(place)
        self.operators.append(operator)
        self.events.append(len(self.sizes))
        return len(self.sizes) - 1

    def free(self, number: int) -> None:
        """Record the end of an allocation."""
        self.events.append(-number - 1)

    def release(self) -> None:
        """Record that the allocator gives back what nothing holds, ``torch.cuda.empty_cache``."""
        self.events.append(0)

    def settle(self) -> None:
        """Put what ends at one moment in one order.

        Autocast drops its copies of the weights together, in the order of their addresses in this process.
        """
        bounds, start = {begin for _, begin in self.phases}, 0
        for place in range(1, len(self.events) + 1):
            if place == len(self.events) or place in bounds or self.events[place] >= 0 or self.events[start] >= 0:
                self.events[start:place] = sorted(self.events[start:place], reverse=True)
                start = place

    def repeat(self, events: list[int]) -> None:
        """Record events once more, of allocations of their own; the end of one from before them is left out."""
        copies: dict[int, int] = {}
        for event in events:
            number = abs(event) - 1
            if event > 0:
                copies[number] = self.allocate(
                    self.sizes[number], self.kinds[number], self.places[number], self.operators[number])
            elif number in copies:
                self.free(copies.pop(number))


class StorageWatch:
    """What of a run's storages lies on the GPU. ``watching`` is the dispatch mode that sees new ones."""

    def __init__(self, progress: Progress = silent, stage: str = "tracing") -> None:
        """Start with nothing on the GPU; ``progress`` is called with (``stage``, operators, operators)."""
        self.trace = Trace()
        self._numbers: dict[int, tuple[Any, int]] = {}
        self._zero: set[int] = set()
        self._false: set[int] = set()
        self._place, self._kind = "", ACTIVATIONS
        self._progress, self._stage = progress, stage
        self._is_over = False

    @property
    def position(self) -> int:
        """Number of events so far."""
        return len(self.trace.events)

    def add(self, tensor: Any, kind: str | None = None, operator: str = "") -> None:
        """Count a tensor's storage from now until it dies, if it is not counted yet."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._numbers:
            return
        size = storage.nbytes()
        if size == 0:
            return
        number = self.trace.allocate(size, kind or self._kind, self._place, operator)

        def died(_: Any) -> None:
            self._false.discard(key)
            if self._numbers.pop(key, None) is not None and not self._is_over:
                self.trace.free(number)

        self._numbers[key] = weakref.ref(storage, died), number

    def remove(self, tensor: Any) -> None:
        """Count a tensor's storage no longer: it moved to the host."""
        entry = self._numbers.pop(tensor.untyped_storage()._cdata, None)
        if entry is not None:
            self.trace.free(entry[1])

    def relabel(self, tensor: Any, kind: str) -> None:
        """Say what a counted tensor is for; one that is not counted is passed over."""
        entry = self._numbers.get(tensor.untyped_storage()._cdata)
        if entry is not None:
            self.trace.kinds[entry[1]] = kind

    def is_zero(self, tensor: Any) -> None:
        """Say that a tensor holds zeros only, which Prodigy asks about."""
        self._zero.add(tensor.untyped_storage()._cdata)

    @contextlib.contextmanager
    def labelled(self, kind: str) -> Iterator[None]:
        """Give what is allocated inside the block this kind."""
        before, self._kind = self._kind, kind
        try:
            yield
        finally:
            self._kind = before

    def follow(self, name: str, model: Any) -> None:
        """Name allocations after the block of ``model`` that runs: an entry of one of its lists, or a middle block."""
        for path, module in model.named_modules():
            parent, _, last = path.rpartition(".")
            if (last.isdigit() and parent.count(".") < 2 and parent.endswith(("blocks", "layers", "block"))
                    and not any(part.isdigit() for part in parent.split("."))) or last == "mid_block":
                module.register_forward_pre_hook(self._entering(f"{name}.{path}"))
                module.register_forward_hook(self._leaving())

    def _entering(self, place: str) -> Any:
        def enter(*_: Any) -> None:
            self._place = place

        return enter

    def _leaving(self) -> Any:
        def leave(*_: Any) -> None:
            self._place = ""

        return leave

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Count every storage that an operator makes inside the block. Comes inside a ``FakeTensorMode``."""
        import torch
        from torch.utils._python_dispatch import TorchDispatchMode

        aten, rules, watch, trace = torch.ops.aten, scratch_rules(), self, self.trace
        scalar, anything = aten._local_scalar_dense.default, aten.any.default

        class Watching(TorchDispatchMode):  # type: ignore[misc]  # torch is untyped here
            @classmethod
            def _should_skip_dynamo(cls) -> bool:
                # Nothing is compiled inside a trace, and the guard against it would be passed once an operator.
                return False

            def __torch_dispatch__(self, function: Any, _: Any, arguments: Any = (), options: Any = None) -> Any:
                trace.operator_count += 1
                if trace.operator_count % _PROGRESS_OPERATORS == 0:
                    watch._progress(watch._stage, trace.operator_count, 0)
                if function is scalar:
                    return watch._number_of(arguments[0])
                result = function(*arguments, **(options or {}))
                for tensor in (result,) if isinstance(result, torch.Tensor) else _tensors(result):
                    watch.add(tensor, None, function._opname)
                if function is anything and arguments[0].untyped_storage()._cdata in watch._zero:
                    watch._false.add(result.untyped_storage()._cdata)
                rule = rules.get(function)
                if rule is not None:
                    # Live together with the operator's own result.
                    trace.free(trace.allocate(rule(arguments, result), WORKSPACE, watch._place, function._opname))
                return result

        with Watching():
            yield
        # What dies now dies because the run is taken apart.
        self._is_over = True

    def _number_of(self, tensor: Any) -> float | int | bool:
        # Steps branch on numbers that nothing computes here: a finite loss, a norm, a step size; an index is 0.
        import torch

        if tensor.dtype == torch.bool:
            return tensor.untyped_storage()._cdata not in self._false
        return 1.0 if tensor.dtype.is_floating_point else 0


def _tensors(result: Any) -> list[Any]:
    import torch

    if isinstance(result, (list, tuple)):
        return [each for each in result if isinstance(each, torch.Tensor)]
    return []
