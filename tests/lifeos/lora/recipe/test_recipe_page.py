"""docs/recipe.md held against the schema: every key, its range, its default."""

import re
import tomllib
import types
from pathlib import Path
from typing import Annotated, Literal, Union, get_args, get_origin

import pytest

from lifeos.lora.recipe import Recipe, recipe_keys
from lifeos.lora.recipe.reading import section_of
from tests.lifeos.lora.recipe.test_contradictions import CASES, MORE

PAGE = Path(__file__).resolve().parents[4] / "docs" / "recipe.md"
ROW = re.compile(r"^\| `([a-z0-9_.]+)` \| (.*?) \| (.*?) \| (.+) \|$", re.MULTILINE)
TEXT = PAGE.read_text(encoding="utf-8")
ROWS = {name: rest for name, *rest in ROW.findall(TEXT)}


def schema_of(key):
    section, *_, last = Recipe, *key.split(".")
    for name in key.split(".")[:-1]:
        section = section_of(section.model_fields[name].annotation)
    return section.model_fields[last]


def bounds(field):
    """The interval of a number in the notation of mathematics, the words of a choice; None for what is free text."""
    kinds, constraints = [], list(field.metadata)

    def look(annotation):
        if get_origin(annotation) is Annotated:
            kind, *rest = get_args(annotation)
            for each in rest:
                constraints.extend(getattr(each, "metadata", None) or [each])
            look(kind)
        elif get_origin(annotation) in (Union, types.UnionType):
            for each in get_args(annotation):
                look(each)
        else:
            kinds.append(annotation)

    look(field.annotation)
    choices = [each for each in kinds if get_origin(each) is Literal]
    if choices:
        return ", ".join(f"`{word}`" for word in get_args(choices[0]))
    if bool in kinds:
        return "`true`, `false`"
    if not {int, float} & set(kinds) or dict in [get_origin(each) for each in kinds]:
        return None
    found = {}
    for each in constraints:
        for name in ("ge", "gt", "le", "lt"):
            if getattr(each, name, None) is not None:
                found[name] = getattr(each, name)
    low = f"[{number(found['ge'])}" if "ge" in found else f"({number(found['gt'])}"
    high = f"{number(found['le'])}]" if "le" in found else f"{number(found['lt'])})"
    return f"{low}, {high}"


def number(value):
    return "2^63" if value == 2**63 else f"{value:g}" if value < 10_000 else f"{int(value):,}"


def test_every_key_has_one_row():
    assert [name for name, *_ in ROW.findall(TEXT)] == sorted(ROWS, key=[n for n, *_ in ROW.findall(TEXT)].index)
    assert set(ROWS) == set(recipe_keys())


@pytest.mark.parametrize("key", recipe_keys())
def test_range_and_default_are_the_schemas(key):
    accepted, default, why = ROWS[key]
    field = schema_of(key)
    if bounds(field) is not None:
        assert accepted.split(";")[0] == bounds(field)
    if field.is_required():
        assert default == "required"
    elif field.default is None or section_of(field.annotation) is not None:
        assert default == "absent"
    else:
        written = tomllib.loads(f"x = {default.strip('`')}")["x"]
        assert (tuple(written) if isinstance(written, list) else written) == field.default
    assert len(why) > 10


def test_every_contradiction_is_told():
    section = TEXT[TEXT.index("## Contradictions") :].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    rows = [set(re.findall(r"`([a-z_.0-9]+)`", line.split("|")[1])) for line in lines]
    told = [fields.split() for fields in CASES] + [list(fields) for _, fields in MORE]
    assert all(any(set(fields) <= row for row in rows) for fields in told)
    assert all(any(row >= set(fields) for fields in told) for row in rows)
    assert set().union(*rows) <= set(recipe_keys())
