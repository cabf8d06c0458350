"""How long one part of a run takes on a GPU: a table of rows, each with its provenance, and the formula behind it."""

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lifeos.errors import InputError
from lifeos.pods.spec import Gpu
from lifeos.settings import read_toml, validation_line

ANY = "any"
Operation = Literal["train", "denoise", "decode", "encode", "judge", "start"]
Dtype = Literal["float32", "bfloat16"]
_TABLE = Path(__file__).with_name("throughput.toml")
_PROVENANCE = ("device", "date", "commit", "command")
# Below four images a call the launch of kernels, not arithmetic, sets the time of the published rows.
_BUSY_IMAGES = 8

_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Seconds(_Strict):
    """Seconds of one call: ``a_call`` + images x ``an_image`` x (side / ``side``)^2."""

    a_call: _Amount
    an_image: _Amount
    side: int | None = Field(default=None, ge=1)
    """Image side in pixels that ``an_image`` holds for; None where it does not depend on it."""


class Work(_Strict):
    """What one call computes for one image of ``side`` pixels, in 10^9 operations, and its operators for any batch."""

    linear_gflop: _Amount
    attention_gflop: _Amount
    operators: int = Field(ge=0)
    side: int = Field(ge=1)
    float32: bool = False
    """Whether this part computes in float32 whatever the recipe says."""

    def gflop(self, images: int, side: int) -> float:
        """Operations of one call: convolutions and projections grow with the area, attention with its square."""
        area = (side / self.side) ** 2
        return images * (self.linear_gflop * area + self.attention_gflop * area**2)


class Row(_Strict):
    """One row: what, for which family and GPU, how long, and how that is known.

    A ``measured`` row names a GPU and has device, date, commit and command, or it is refused; an ``estimated`` one has
    a source and none of those.
    """

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    family: str = Field(min_length=1)
    operation: Operation
    gpu: str = Field(min_length=1)
    kind: Literal["measured", "estimated"]
    source: str | None = Field(default=None, min_length=1)
    device: str | None = Field(default=None, min_length=1)
    date: datetime.date | None = None
    commit: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    command: str | None = Field(default=None, min_length=1)
    seconds: Seconds | None = None
    work: Work | None = None

    @property
    def side(self) -> int:
        """Image side, in pixels, that the row holds for; 1 where it does not depend on it."""
        return (self.work.side if self.work is not None else self.seconds.side if self.seconds is not None else 1) or 1

    @model_validator(mode="after")
    def _provenance(self) -> "Row":
        given = [name for name in _PROVENANCE if getattr(self, name) is not None]
        if (self.seconds is None) == (self.work is None):
            raise ValueError(f"row {self.id} has either seconds or work")
        if self.kind == "estimated":
            if self.source is None:
                raise ValueError(f"estimated row {self.id} needs a source")
            if given:
                raise ValueError(f"estimated row {self.id} takes no {given[0]}: that belongs to a measured one")
            return self
        missing = [name for name in _PROVENANCE if name not in given]
        if missing:
            raise ValueError(f"measured row {self.id} needs {', '.join(missing)}")
        if self.gpu == ANY or self.seconds is None:
            raise ValueError(f"measured row {self.id} needs the seconds of a GPU that it names")
        return self


class Formula(_Strict):
    """Constants of the formula and where they come from."""

    utilisation: float = Field(gt=0, le=1)
    utilisation_source: str = Field(min_length=1)
    operator_seconds: float = Field(ge=0, allow_inf_nan=False)
    operator_source: str = Field(min_length=1)


class Published(_Strict):
    """Somebody's measurement of one call of ``images`` rows."""

    family: str
    operation: Operation
    gpu: str
    images: int = Field(ge=1)
    side: int = Field(ge=1)
    seconds: float = Field(gt=0, allow_inf_nan=False)


class _Table(_Strict):
    formula: Formula
    row: list[Row] = Field(min_length=1)
    published: list[Published] = []

    @model_validator(mode="after")
    def _one_row_each(self) -> "_Table":
        seen: dict[object, str] = {}
        for row in self.row:
            for key in (row.id, (row.family, row.operation, row.gpu)):
                if key in seen:
                    raise ValueError(f"row {row.id} says again what row {seen[key]} says")
                seen[key] = row.id
        return self


@dataclass(frozen=True)
class Throughput:
    """The table, and what it answers."""

    formula: Formula
    rows: tuple[Row, ...]
    published: tuple[Published, ...]

    @property
    def families(self) -> list[str]:
        """Families that training can be estimated for."""
        return sorted({row.family for row in self.rows if row.operation == "train"})

    def row(self, family: str, operation: Operation, gpu: str) -> Row:
        """Return the nearest row: of this GPU before one of any, of this family before one of any.

        Raises:
            InputError: there is none, for the family or for the operation.
        """
        for wanted_family in (family, ANY):
            for wanted_gpu in (gpu, ANY):
                for row in self.rows:
                    if (row.family, row.operation, row.gpu) == (wanted_family, operation, wanted_gpu):
                        return row
        raise InputError(
            f"throughput: accepted a family of {', '.join(self.families)}, got {family!r} for {operation}; "
            f"next: add a row to {_TABLE.name}"
        )

    def seconds(self, row: Row, gpu: Gpu, *, images: int, side: int, dtype: Dtype) -> float:
        """Return the seconds of one call.

        Args:
            row: what ``row`` gave.
            gpu: where it runs; one card, however many the pod has.
            images: rows of the batch.
            side: of the images, in pixels.
            dtype: arithmetic of the denoiser.
        """
        if row.seconds is not None:
            area = 1.0 if row.seconds.side is None else (side / row.seconds.side) ** 2
            return row.seconds.a_call + images * row.seconds.an_image * area
        assert row.work is not None  # a row has one of the two
        tensor = dtype == "bfloat16" and gpu.bf16 and not row.work.float32
        peak = gpu.tensor_tflops if tensor else min(gpu.float32_tflops, gpu.tensor_tflops)
        computing = row.work.gflop(images, side) / (peak * 1000 * self.utilisation(gpu))
        return max(computing, row.work.operators * self.formula.operator_seconds)

    def utilisation(self, gpu: Gpu) -> float:
        """Return the share of its peak that a GPU is taken to reach: the lowest it is known to, else the lowest of all.

        Only published rows of at least four images under guidance count: below, kernels wait for the processor.
        """
        shares = []
        for known in self.published:
            if known.gpu == gpu.name and known.images >= _BUSY_IMAGES:
                work = self.row(known.family, known.operation, ANY).work
                if work is not None:
                    gflop = work.gflop(known.images, known.side)
                    shares.append(gflop / known.seconds / (gpu.tensor_tflops * 1000))
        return min(shares, default=self.formula.utilisation)


def load_throughput(path: Path | None = None) -> Throughput:
    """Read a throughput table; default: the shipped one.

    Raises:
        InputError: absent, no TOML, an unknown key, a row without its provenance, or two rows that say the same.
    """
    path = _TABLE if path is None else Path(path)
    try:
        table = _Table.model_validate(read_toml(path))
    except ValidationError as error:
        raise InputError(validation_line(path, error, f"edit {path.name}")) from error
    return Throughput(table.formula, tuple(table.row), tuple(table.published))
