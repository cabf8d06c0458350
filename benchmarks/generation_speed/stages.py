"""Time by stage: functions are replaced by timed ones for as long as a block lasts; a stage within one is not in it."""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Stages:
    """Seconds by stage.

    Args:
        synchronize: called before each look at the clock: ``torch.cuda.synchronize`` on a GPU.
        seconds: stage -> wall time in it and in no stage within it.
        processor: stage -> processor time of this process, likewise.
    """

    synchronize: Callable[[], object] = lambda: None
    seconds: dict[str, float] = field(default_factory=dict)
    processor: dict[str, float] = field(default_factory=dict)
    _inner: list[tuple[float, float]] = field(default_factory=list)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the block as a stage."""
        self.synchronize()
        started, used = time.perf_counter(), time.process_time()
        self._inner.append((0.0, 0.0))
        try:
            yield
        finally:
            self.synchronize()
            elapsed, worked = time.perf_counter() - started, time.process_time() - used
            inner, inner_worked = self._inner.pop()
            self.seconds[name] = self.seconds.get(name, 0.0) + elapsed - inner
            self.processor[name] = self.processor.get(name, 0.0) + worked - inner_worked
            if self._inner:
                outer, outer_worked = self._inner[-1]
                self._inner[-1] = (outer + elapsed, outer_worked + worked)

    def to_json(self) -> dict[str, dict[str, float]]:
        """Return both as JSON values."""
        return {"stages": self.seconds, "processor_stages": self.processor}

    @contextlib.contextmanager
    def of(self, places: dict[tuple[Any, str], str]) -> Iterator[None]:
        """Count calls of attributes: (object, attribute) -> stage.

        Raises:
            AttributeError: there is no such attribute; the stage would read 0 and nobody would know.
        """
        with contextlib.ExitStack() as stack:
            for (owner, attribute), name in places.items():
                before = owner.__dict__.get(attribute)
                setattr(owner, attribute, self._timed(getattr(owner, attribute), name))
                if before is None:
                    stack.callback(delattr, owner, attribute)
                else:
                    stack.callback(setattr, owner, attribute, before)
            yield

    def _timed(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            with self.stage(name):
                return function(*arguments, **named)

        return timed
