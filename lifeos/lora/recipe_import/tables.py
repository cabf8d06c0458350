"""What is known of another trainer's arguments: a table in TOML beside this file, read and checked once."""

import difflib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Kind = Literal["flag", "integer", "number", "integer_or_number", "text", "texts", "python_bool"]
SOURCES = ("kohya", "diffusers")


class ArgumentRow(BaseModel):
    """One argument of a trainer: a ``field``, a ``convert``, or a ``reason`` why nothing here corresponds to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Kind
    default: Any = None
    """The trainer's own; None where it has none. A switch is off."""
    field: str | None = None
    """Key of the recipe, dotted, that has the same value."""
    convert: str | None = None
    """Name of a function of ``conversions``."""
    only_with: str | None = None
    """Another argument without which the trainer does not read this one."""
    not_in_flow: bool = False
    """The scripts of flow families do not read it."""
    reason: str | None = None
    """Why it is not mapped."""
    matters: bool = False
    """Where it is not mapped: whether another value than the default changes the LoRA."""
    matters_at_default: bool = False
    """The trainer's default, too, is something that lifeos does otherwise: it is told even when nobody gave it."""
    secret: bool = False
    """Its value is never shown."""
    note: str = ""
    """What the value comes to mean."""


class UnmappedRow(BaseModel):
    """Arguments that nothing corresponds to, for one reason; each as ``kind name default``, the default optional."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: str
    matters: bool = False
    arguments: list[str]


class ScriptRow(BaseModel):
    """One training script: its family, its own defaults, and keys of the recipe that it always sets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: str
    defaults: dict[str, Any] = {}
    fields: dict[str, Any] = {}


class Table(BaseModel):
    """Everything known of one trainer; as the file has it but for ``arguments``, which then holds every argument."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    """Where arguments and defaults were read."""
    default_script: str
    fields: dict[str, Any] = {}
    """As ``ScriptRow.fields``, for every script."""
    scripts: dict[str, ScriptRow]
    arguments: dict[str, ArgumentRow]
    nested: dict[str, dict[str, dict[str, ArgumentRow]]] = {}
    """Arguments within an argument (``optimizer_args = ["d_coef=2"]``): argument -> variant -> name -> row."""

    @property
    def several(self) -> frozenset[str]:
        """Names of the arguments that take several values."""
        return frozenset(name for name, row in self.arguments.items() if row.kind == "texts")


@cache
def load_table(name: str) -> Table:
    """Return the table of a trainer, one of ``SOURCES``."""
    values = _read(name)
    values["arguments"] = {**values["arguments"], **_unmapped(values.pop("unmapped"))}
    return Table.model_validate(values)


@cache
def launcher_arguments() -> dict[str, ArgumentRow]:
    """Return the arguments of ``accelerate launch``."""
    return _unmapped(_read("accelerate")["launcher"])


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8"))


def _unmapped(groups: list[dict[str, Any]]) -> dict[str, ArgumentRow]:
    rows = {}
    for group in map(UnmappedRow.model_validate, groups):
        for line in group.arguments:
            kind, name, *default = line.split()
            row = ArgumentRow.model_validate({"kind": kind, "reason": group.reason, "matters": group.matters})
            value = typed(row, tuple(each.strip('"') for each in default)) if default else None
            rows[name] = row.model_copy(update={"default": value})
    return rows


@dataclass(frozen=True)
class BadValueError(ValueError):
    """A value that the trainer itself would not take; ``accepted`` says what it would."""

    accepted: str


def typed(row: ArgumentRow, value: Any) -> Any:
    """Return a value as the trainer would read it.

    Args:
        row: its argument.
        value: texts of a command line, or whatever stands in a TOML file.

    Raises:
        BadValueError: it is nothing of that kind, NaN or infinite.
    """
    texts = value if isinstance(value, tuple) else None
    if row.kind == "texts":
        many = value if isinstance(value, list | tuple) else [value]
        return [str(each) for each in many if isinstance(each, str | int | float)]
    if row.kind == "flag":
        if texts is not None:
            return True  # what follows a switch belongs to nobody and is told as such
        if isinstance(value, bool):
            return value
        raise BadValueError("true or false")
    if texts is not None:
        if len(texts) != 1:
            raise BadValueError("one value")
        value = texts[0]
    if row.kind == "python_bool":
        # argparse's type=bool is Python's: every text but the empty one is true, "False" too.
        return bool(value) if isinstance(value, str) else value is True
    if row.kind == "text":
        return _text(value)
    return _number(row.kind, value)


def nearest(name: str, known: Mapping[str, Any]) -> str | None:
    """Return the known argument that a misspelt name comes closest to."""
    close = difflib.get_close_matches(name, known, 1)
    return close[0] if close else None


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(_text(each) for each in value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadValueError("text")
    return str(value)


def _number(kind: str, value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadValueError("a number")
    try:
        if kind == "integer_or_number" and isinstance(value, str) and value.endswith("%"):
            return _number("number", value[:-1]) / 100.0
        if kind == "integer" or (kind == "integer_or_number" and _is_whole(value)):
            if isinstance(value, float):
                raise BadValueError("a whole number")
            return int(value)
        number = float(value)
    except (ValueError, OverflowError) as error:
        if isinstance(error, BadValueError):
            raise
        raise BadValueError("a whole number" if kind == "integer" else "a number") from error
    if not math.isfinite(number):
        raise BadValueError("a finite number")
    return number


def _is_whole(value: str | int | float) -> bool:
    try:
        int(value) if not isinstance(value, float) else int("no")
    except ValueError:
        return False
    return True
