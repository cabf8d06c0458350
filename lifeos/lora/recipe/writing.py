"""A recipe as TOML, in the order of the schema."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from lifeos.lora.recipe.schema import Recipe


def recipe_toml(values: Mapping[str, Any], head: Sequence[str] = ()) -> str:
    """Return the text of a recipe's file.

    Args:
        values: as ``Recipe`` accepts them; what is None is left out. Keys that ``Recipe`` does not have come last.
        head: lines of comment that stand above, without their ``#``.
    """
    order = {name: place for place, name in enumerate(Recipe.model_fields)}
    given = sorted(((key, value) for key, value in values.items() if value is not None),
                   key=lambda pair: order.get(pair[0], len(order)))  # fmt: skip
    lines = [f"# {line}" for line in head]
    lines += [f"{_key(key)} = {_value(value)}" for key, value in given if not isinstance(value, Mapping)]
    for key, table in given:
        if isinstance(table, Mapping):
            pairs = [f"{_key(name)} = {_value(value)}" for name, value in table.items() if value is not None]
            lines += ["", f"[{_key(key)}]", *pairs]
    return "\n".join(lines) + "\n"


def _key(key: str) -> str:
    plain = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if plain else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(each) for each in value)}]"
    # A string, a number and a truth value read the same in JSON and in TOML, but for one control character.
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("\x7f", "\\u007f")
