"""Who draws a sweep's images, by name; what an engine needs is imported when it is asked for."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from lifeos.errors import InputError

if TYPE_CHECKING:
    from lifeos.parameter_sweep.rendering import RenderEngine

ENGINES = ("local",)


def engine_of(name: str, options: Mapping[str, str]) -> "RenderEngine":
    """Return an engine.

    Args:
        name: one of ``ENGINES``.
        options: of that engine, by name; ``local`` has none.

    Raises:
        InputError: another name, an option that the engine does not know, or one that it cannot use.
    """
    if name == "local":
        from lifeos.parameter_sweep.local_engine import LocalEngine

        for option in options:
            raise InputError(f"--engine-option {option}: accepted none for --engine local, got one; next: drop it")
        return LocalEngine()
    raise InputError(f"--engine: accepted {', '.join(ENGINES)}, got {name!r}; next: name one of them")


def parse_options(given: Sequence[str]) -> dict[str, str]:
    """Return ``KEY=VALUE`` texts as a mapping.

    Raises:
        InputError: a text has no key or no ``=``, or a key stands twice.
    """
    options: dict[str, str] = {}
    for text in given:
        key, sign, value = text.partition("=")
        if not key or not sign or key in options:
            raise InputError(f"--engine-option: accepted KEY=VALUE, each key once, got {text!r}; next: correct it")
        options[key] = value
    return options
