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
        seconds: stage -> seconds in it and in no stage within it.
    """

    synchronize: Callable[[], object] = lambda: None
    seconds: dict[str, float] = field(default_factory=dict)
    _inner: list[float] = field(default_factory=list)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the block as a stage."""
        self.synchronize()
        started = time.perf_counter()
        self._inner.append(0.0)
        try:
            yield
        finally:
            self.synchronize()
            elapsed = time.perf_counter() - started
            own = elapsed - self._inner.pop()
            self.seconds[name] = self.seconds.get(name, 0.0) + own
            if self._inner:
                self._inner[-1] += elapsed

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
