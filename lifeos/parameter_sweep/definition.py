"""``SWEEP.toml``: which values a sweep tries, and who leaves before all prompts are drawn."""

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lifeos.errors import InputError
from lifeos.parameter_sweep.training_search import TrainingSearch
from lifeos.settings import read_toml, validation_line

LARGEST_GRID = 1_000
"""Cells: as many as the page shows at once."""
MOST_IMAGES = 100_000
"""Images of a whole sweep without halving."""

_Value = TypeVar("_Value")
_Several = Annotated[list[_Value], Field(min_length=1, max_length=LARGEST_GRID)]
_Strength = Annotated[float, Field(gt=0, le=4, allow_inf_nan=False)]
_Guidance = Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)]
_Steps = Annotated[int, Field(ge=1, le=1000, strict=True)]
_Text = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Grid(_Strict):
    """Values of each dimension, in the ranges of ``[sampler]`` in ``persona.toml``; None: the persona's own.

    Args:
        lora: files, relative to SWEEP.toml; None: the persona's champion.
        strength: factors on the LoRA.
        guidance: scales of classifier-free guidance.
        steps: of the denoiser.
        sampler: names that the base's family knows.
    """

    lora: _Several[_Text] | None = None
    strength: _Several[_Strength] | None = None
    guidance: _Several[_Guidance] | None = None
    steps: _Several[_Steps] | None = None
    sampler: _Several[_Text] | None = None

    @field_validator("*")
    @classmethod
    def _stand_once(cls, values: list[Any] | None) -> list[Any] | None:
        repeated = [value for value in values or [] if (values or []).count(value) > 1]
        if repeated:
            raise ValueError(f"every value stands once, but {repeated[0]!r} is repeated")
        return values


class Halving(_Strict):
    """After each ``block`` of prompts the share ``keep`` of the cells stays, never fewer than ``fewest``."""

    block: Annotated[int, Field(ge=1, strict=True)]
    keep: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.5
    fewest: Annotated[int, Field(ge=2, strict=True)] = 2


class Sweep(_Strict):
    """A definition as written.

    Args:
        name: for people.
        grid: values of each dimension.
        halving: who leaves early; None draws every prompt for every cell.
        training: a search whose best LoRAs are those of the grid.
    """

    name: Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f]+$")]
    grid: Grid
    halving: Halving | None = None
    training: TrainingSearch | None = None

    @model_validator(mode="after")
    def _loras_come_from_one_place(self) -> "Sweep":
        if self.training is not None and self.grid.lora is not None:
            raise ValueError("[training] trains the LoRAs of the grid, so grid.lora must not be given beside it")
        return self


def load_sweep(path: Path) -> Sweep:
    """Read SWEEP.toml.

    Raises:
        InputError: no TOML, an unknown key, a value out of range or given twice.
    """
    raw = read_toml(path)
    try:
        return Sweep.model_validate(raw)
    except ValidationError as error:
        raise InputError(validation_line(path, error, f"edit {path.name}")) from error
