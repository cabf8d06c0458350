"""How a function says which known failure it detects."""

from collections.abc import Callable
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., str | None])
_MARK = "detects_known_failure"


def detects(entry: str) -> Callable[[_Function], _Function]:
    """Mark a function as the detector of a known failure.

    The function's parameters are names of what it looks at (``recipe``, ``lora``, ``log`` ...); it returns in one line
    what it found there, or None. It raises ``InputError`` where it cannot tell.

    Args:
        entry: id of the entry.
    """

    def mark(function: _Function) -> _Function:
        setattr(function, _MARK, entry)
        return function

    return mark


def detected_ids(module: Any) -> dict[str, Callable[..., str | None]]:
    """Return the detectors that a module defines, by entry id.

    Raises:
        ValueError: two functions of the module detect one entry.
    """
    found: dict[str, Callable[..., str | None]] = {}
    for function in vars(module).values():
        entry = getattr(function, _MARK, None)
        if entry is None or getattr(function, "__module__", None) != module.__name__:
            continue
        if entry in found:
            raise ValueError(f"{module.__name__}: {entry} is detected by two functions")
        found[entry] = function
    return found
