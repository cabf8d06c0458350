"""What became of every argument: mapped, kept as a default, or not mapped, with the reason."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SCHEMA = "lifeos.recipe_import/1"
_LONGEST = 200


@dataclass(frozen=True)
class Mapped:
    """An argument and the keys it became; ``argument`` is empty for what the script always does."""

    argument: str
    value: Any
    fields: dict[str, Any]
    note: str = ""


@dataclass(frozen=True)
class NotMapped:
    """An argument that nothing corresponds to; ``matters``: changes the LoRA, or not; None: nobody knows."""

    argument: str
    value: Any
    reason: str
    matters: bool | None


@dataclass
class Report:
    """The whole import.

    Args:
        source: ``kohya`` or ``diffusers``.
        script: whose defaults count.
        mapped: what was given and has a key.
        defaults: what was not given and differs from a recipe's own default, written out.
        not_mapped: what has no key here.
        missing: keys that only a person can say, and why.
        set: keys that the person said.
        problem: why the recipe cannot be read as it stands; empty where it can.
        text: the recipe's file; None where something is missing or a problem.
        hash: the recipe's content hash; None likewise.
    """

    source: str
    script: str
    mapped: list[Mapped] = field(default_factory=list)
    defaults: list[Mapped] = field(default_factory=list)
    not_mapped: list[NotMapped] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    set: dict[str, Any] = field(default_factory=dict)
    problem: str = ""
    text: str | None = None
    hash: str | None = None

    @property
    def is_faithful(self) -> bool:
        """Whether there is a recipe and nothing that changes the LoRA, or may, was left out of it."""
        return self.text is not None and all(each.matters is False for each in self.not_mapped)

    def to_json(self, recipe: str | None) -> dict[str, Any]:
        """Return the report as JSON; ``recipe`` is where the recipe was written, None where it was not."""
        kept = ("source", "script", "missing", "set", "problem", "hash")
        return {
            "schema": SCHEMA, "recipe": recipe, "faithful": self.is_faithful,
            **{name: getattr(self, name) for name in kept},
            **{name: [vars(each) for each in getattr(self, name)] for name in ("mapped", "defaults", "not_mapped")},
        }  # fmt: skip

    def lines(self) -> list[str]:
        """Return the report for a terminal, what matters first."""
        said = []
        for each in self.mapped:
            became = ", ".join(f"{key} = {_said(value)}" for key, value in each.fields.items()) or "-"
            said.append(f"mapped      {_name(each.argument)} = {_said(each.value)} -> {became}{_note(each.note)}")
        for each in self.defaults:
            became = ", ".join(f"{key} = {_said(value)}" for key, value in each.fields.items())
            whose = f"{_name(each.argument)}, not given" if each.argument else "always so there"
            said.append(f"its default {became} ({whose}){_note(each.note)}")
        words = {True: "LOST", False: "without effect", None: "UNKNOWN"}
        for left in sorted(self.not_mapped, key=lambda each: (each.matters is False, each.matters is None)):
            value = "" if left.value is None else f" = {_said(left.value)}"
            said.append(f"not mapped, {words[left.matters]}: {_name(left.argument)}{value}: {left.reason}")
        said += [f"you said    {key} = {_said(value)}" for key, value in self.set.items()]
        said += [f"missing     {key}: {why}; next: --set {key}=VALUE" for key, why in self.missing.items()]
        if self.problem:
            said.append(f"refused     {self.problem}")
        return said


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it, cut to a readable length."""
    if value is None or isinstance(value, bool) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else "a very large number"
    if isinstance(value, list | tuple):
        return [_flat(each) for each in value[:_LONGEST]]
    if isinstance(value, Mapping):
        return {str(key)[:_LONGEST]: _flat(each) for key, each in list(value.items())[:_LONGEST]}
    return str(value)[:_LONGEST]


def _flat(value: Any) -> Any:
    return "..." if isinstance(value, list | tuple | Mapping) else plain(value)


def _said(value: Any) -> str:
    return f"{value!r:.100}"


def _name(argument: str) -> str:
    # repr: a name is data of the file and may hold anything a terminal obeys.
    return argument if argument.isprintable() else repr(argument)


def _note(note: str) -> str:
    return f"  ({note})" if note else ""
