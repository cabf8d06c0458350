"""``[training]`` of ``SWEEP.toml``: which keys of a recipe are searched, and where; neither Optuna nor torch.

Everything is held against the recipe's own schema before a step is trained.
"""

import difflib
import typing
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import UnionType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from evals.content_hash import canonical_json
from lifeos.errors import InputError
from lifeos.lora.recipe import Recipe, recipe_keys
from lifeos.lora.recipe.reading import section_of
from lifeos.lora.recipe.sections import Integer, Number, Switch

MOST_TRIALS, MOST_KEYS, MOST_CHOICES = 1000, 12, 64

_ANOTHER = "another persona or base is another question"
_WRITTEN = "the finished file does not depend on it"
_COMPUTED = "it says how and where training is computed, not what is learnt"
UNSEARCHABLE: Mapping[str, str] = {
    **dict.fromkeys(("base", "family", "dataset", "trigger", "name"), _ANOTHER),
    **dict.fromkeys(("prior.folder", "prior.caption", "mask.folder", "mask.face_models"), _ANOTHER),
    **dict.fromkeys(("checkpoint_every", "save_every", "sample_every"), _WRITTEN),
    **dict.fromkeys(("device", "threads", "attention", "gradient_checkpointing", "compile", "offload", "cache_latents",
                     "cache_text", "channels_last"), _COMPUTED),
    "optimizer.learning_rate_is_deliberate": "it is a promise of the author; write it into the recipe",
    "seed": "the luckiest seed is no better for the next recipe; a seed is the same for all trials",
}
"""Keys that a search refuses, and why."""

_ENTRY = {"low", "high", "log", "step", "choices"}
_Number = Integer | Number


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SearchedKey(_Strict):
    """Where one key is searched: from ``low`` to ``high``, both included, or among ``choices``.

    Args:
        low, high: numbers.
        log: search evenly in the logarithm; ``low`` is above 0 then.
        step: of the numbers that are tried, counted from ``low``.
        choices: 2 to 64 different values, as the recipe's file has them.
    """

    low: _Number | None = None
    high: _Number | None = None
    log: Switch = False
    step: _Number | None = None
    choices: list[Any] | None = Field(default=None, min_length=2, max_length=MOST_CHOICES)

    @model_validator(mode="after")
    def _check(self) -> "SearchedKey":
        if self.choices is not None:
            if self.model_fields_set != {"choices"}:
                raise ValueError("choices stand without low, high, log and step")
            try:
                written = [canonical_json(choice) for choice in self.choices]
            except TypeError as error:
                raise ValueError(f"choices are numbers, words, truth values or lists of them: {error}") from error
            if len(set(written)) < len(written):
                raise ValueError("every choice stands once")
            return self
        if self.low is None or self.high is None:
            raise ValueError("a key has low and high, or choices")
        if not self.low < self.high:
            raise ValueError(f"low lies below high, but got {self.low} and {self.high}")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log asks for low above 0 and no step")
        if self.step is not None and not 0 < self.step <= self.high - self.low:
            raise ValueError(f"step is above 0 and fits between low and high, but got {self.step}")
        return self

    @property
    def reached(self) -> int | float | None:
        """``high``, or the last number below it that steps from ``low`` come to; None for choices."""
        if self.low is None or self.high is None or self.step is None:
            return self.high
        # In decimal, as it is written: in binary .1 to .3 has one step of .1.
        low, high, step = (Decimal(str(value)) for value in (self.low, self.high, self.step))
        last = low + (high - low) // step * step
        return int(last) if isinstance(self.low, int) and isinstance(self.step, int) else float(last)


class TrainingSearch(_Strict):
    """The table ``[training]``.

    Args:
        recipe: file that every trial starts from, relative to ``SWEEP.toml``; None: the persona's own.
        trials: how many recipes are suggested, contradictory ones included.
        seed: of the suggestions.
        keep: how many of the best LoRAs go on; None: all that were judged.
        search: where each key is searched, by its dotted name (``[training.search.optimizer.learning_rate]``).
    """

    recipe: str | None = Field(default=None, min_length=1)
    trials: Annotated[int, Field(strict=True, ge=2, le=MOST_TRIALS)]
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**63)] = 0
    keep: Annotated[int, Field(strict=True, ge=1, le=MOST_TRIALS)] | None = None
    search: dict[str, SearchedKey] = Field(min_length=1, max_length=MOST_KEYS)

    @field_validator("search", mode="before")
    @classmethod
    def _by_dotted_name(cls, search: Any) -> Any:
        if not isinstance(search, dict):
            return search
        pairs = list(_entries(search))
        names = [name for name, _ in pairs]
        repeated = [name for name in names if names.count(name) > 1]
        if repeated:
            raise ValueError(f"every key stands once, but {repeated[0]!r} is repeated")
        return dict(pairs)


def _entries(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        deeper = isinstance(value, dict) and value and all(isinstance(each, dict) for each in value.values())
        if deeper and not _ENTRY & value.keys():
            yield from _entries(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def require_searchable(search: TrainingSearch, values: Mapping[str, Any], where: Path) -> None:
    """Hold every searched key against the recipe's schema.

    Both ends of a range (and the number one step above ``low``) and every choice must give a valid recipe. An end that
    only contradicts another key passes where some end or choice of one other searched key agrees with it.

    Args:
        search: what is searched.
        values: of the recipe that trials start from, a valid one, as read from TOML.
        where: file of the search, for the complaint.

    Raises:
        InputError: a key that no recipe has, one that is not searched, a range for what is no number, or a value that
            no recipe may hold.
    """
    for key, entry in search.search.items():
        refused = _refusal(key, entry, values)
        if refused is not None:
            raise InputError(f"{where}: training.search.{key}: {refused}; next: edit {where.name}")
        for end in tried_ends(key, entry):
            found = _complaint(values, {key: end}, key)
            if found is None:
                continue
            message, above = found
            others = [(name, other) for name, other in search.search.items() if name != key]
            if above and any(
                _complaint(values, {key: end, name: value}, key) is None
                for name, other in others for value in tried_ends(name, other)
            ):  # fmt: skip
                continue
            raise InputError(f"{where}: training.search.{key}: accepted values that a recipe may hold, got "
                             f"{end!r:.80}: {message}; next: edit {where.name}")  # fmt: skip


def tried_ends(key: str, entry: SearchedKey) -> list[Any]:
    """Return the values of a searched key that are held against the schema: ends and one step up, or every choice."""
    if entry.choices is not None:
        return list(entry.choices)
    low, high, whole = entry.low, entry.reached, number_type(key) is int
    assert low is not None
    assert high is not None
    ends: list[Any] = [low, high]
    if entry.step is not None or whole:
        ends.insert(1, low + (entry.step or 1))
    return ends if whole else [float(end) for end in ends]


def number_type(key: str) -> type[int] | type[float] | None:
    """Return whether a key of a recipe holds whole numbers or numbers; None where it holds something else."""
    *above, last = key.split(".")
    section: type[BaseModel] = Recipe
    for part in above:
        table = section_of(section.model_fields[part].annotation)
        assert table is not None
        section = table
    found = _plain_types(section.model_fields[last].annotation)
    return float if float in found else int if int in found else None


def with_parameters(values: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's values with some of its keys, by dotted name, set to others."""
    changed = {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}
    for key, value in parameters.items():
        table, _, name = key.rpartition(".")
        (changed.setdefault(table, {}) if table else changed)[name] = value
    return changed


def recipe_complaint(error: ValidationError) -> str:
    """Return why a recipe is none, the first reason alone."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}".removeprefix(": ").replace("Value error, ", "")


def _refusal(key: str, entry: SearchedKey, values: Mapping[str, Any]) -> str | None:
    keys = recipe_keys()
    if key not in keys:
        near = difflib.get_close_matches(key, keys, 1) or [name for name in keys if name.rsplit(".", 1)[-1] == key][:1]
        return f"accepted a key of a recipe, got none of that name{f'; did you mean {near[0]}?' if near else ''}"
    if key in UNSEARCHABLE:
        return f"accepted a key that decides what is learnt, got {key}: {UNSEARCHABLE[key]}"
    if any(name.startswith(f"{key}.") for name in keys):
        return "accepted a single key, got a table; name a key in it"
    table = key.rpartition(".")[0]
    if table not in ("", "optimizer") and not isinstance(values.get(table), Mapping):
        return f"accepted a table that the recipe has, got none; add [{table}] to the recipe"
    if entry.choices is None and number_type(key) is None:
        return "accepted choices, got a range for what is no number"
    if entry.choices is None and number_type(key) is int and isinstance(entry.step, float):
        return f"accepted a whole step, got {entry.step}"
    return None


def _complaint(values: Mapping[str, Any], parameters: Mapping[str, Any], key: str) -> tuple[str, bool] | None:
    """Return what is wrong, and whether it is keys that contradict each other and not the value; None: valid."""
    try:
        Recipe.model_validate(with_parameters(values, parameters))
    except ValidationError as error:
        path = tuple(key.split("."))
        places: Sequence[tuple[int | str, ...]] = [each["loc"] for each in error.errors()]
        return recipe_complaint(error), all(len(loc) < len(path) and path[: len(loc)] == loc for loc in places)
    return None


def _plain_types(annotation: Any) -> set[Any]:
    if typing.get_origin(annotation) in (typing.Union, UnionType, Annotated):
        return {each for part in typing.get_args(annotation) for each in _plain_types(part)}
    return {annotation} if isinstance(annotation, type) else set()
