"""Who draws a sweep's images, by name; what an engine needs is imported when it is asked for."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lifeos.errors import InputError

if TYPE_CHECKING:
    from lifeos.parameter_sweep.rendering import RenderEngine

ENGINES = ("local", "ray")
_RAY_NUMBERS = ("cpus", "images_a_shard")


def engine_of(name: str, options: Mapping[str, str]) -> "RenderEngine":
    """Return an engine.

    Args:
        name: one of ``ENGINES``.
        options: of that engine, by name; ``local`` has none, ``ray`` has ``address`` (of a running cluster), ``cpus``
            (an actor, where there is no GPU) and ``images_a_shard``.

    Raises:
        InputError: another name, an option that the engine does not know, or one that it cannot use.
    """
    if name == "local":
        from lifeos.parameter_sweep.local_engine import LocalEngine

        for option in options:
            raise InputError(f"--engine-option {option}: accepted none for --engine local, got one; next: drop it")
        return LocalEngine()
    if name == "ray":
        from lifeos.parameter_sweep.ray_engine import RayEngine

        for option in options.keys() - {"address", *_RAY_NUMBERS}:
            raise InputError(f"--engine-option {option}: accepted address, {', '.join(_RAY_NUMBERS)} for --engine ray, "
                             f"got {option}; next: drop it")
        numbers: dict[str, Any] = {
            option: _count(option, options[option]) for option in _RAY_NUMBERS if option in options
        }
        return RayEngine(options.get("address"), **numbers)
    raise InputError(f"--engine: accepted {', '.join(ENGINES)}, got {name!r}; next: name one of them")


def _count(option: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1024):
        raise InputError(f"--engine-option {option}: accepted 1 to 1024, got {text[:40]!r}; next: correct it")
    return int(text)


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
