"""What a recipe may say and training does not carry out yet: refused before anything is trained, never ignored.

Whoever teaches training a key removes its row here in the same commit. A row without ``values`` holds for every value
other than the key's default.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lifeos.errors import InputError

if TYPE_CHECKING:
    from lifeos.lora.recipe.schema import Recipe


@dataclass(frozen=True)
class Pending:
    """A key that is read and checked, and that no training code obeys.

    Args:
        field: dotted name of the key.
        missing: what training does instead, for the person who asked.
        values: the values concerned; None for all but the default.
        families: the families concerned; None for all.
    """

    field: str
    missing: str
    values: frozenset[str] | None = None
    families: frozenset[str] | None = None


PENDING: tuple[Pending, ...] = ()
"""Every such key; none today."""


def unsupported(recipe: "Recipe") -> list[str]:
    """Return one line for everything a recipe asks for that training does not carry out; empty when it can be trained.

    A line reads ``key = value: what training does instead``.
    """
    return list(_unsupported(recipe))


def require_supported(recipe: "Recipe", place: str = "recipe") -> None:
    """Refuse a recipe that would be trained otherwise than it says.

    Args:
        recipe: what is to be trained.
        place: where it comes from, for the message.

    Raises:
        InputError: it asks for something that training does not carry out.
    """
    lines = unsupported(recipe)
    if lines:
        raise InputError(f"{place}: accepted what training carries out, got {'; '.join(lines)}; "
                         "next: drop these keys from the recipe")


def _unsupported(recipe: "Recipe") -> Iterator[str]:
    for row in PENDING:
        if row.families is not None and recipe.family not in row.families:
            continue
        value, default = _value_and_default(recipe, row.field)
        concerned = value != default if row.values is None else str(value) in row.values
        if concerned:
            yield f"{row.field} = {_short(value)}: {row.missing}"


def _value_and_default(recipe: "Recipe", field: str) -> tuple[Any, Any]:
    section: Any = recipe
    *above, last = field.split(".")
    for name in above:
        section = getattr(section, name)
    return getattr(section, last), type(section).model_fields[last].default


def _short(value: Any) -> str:
    dumped = value.model_dump(mode="json", exclude_none=True) if hasattr(value, "model_dump") else value
    return f"{dumped!r:.80}"
