"""Kinds of pods: one TOML file each below ``pods/``, and the table of GPUs that they may name."""

import datetime
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from lifeos.errors import InputError
from lifeos.settings import project_root, read_toml, validation_line

PODS_FOLDER = "pods"
_GPU_TABLE = Path(__file__).with_name("gpus.toml")


def _version(value: Any) -> Any:
    """Turn ``"8.6"`` into ``(8, 6)``; anything else is left for pydantic to refuse."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,3}\.\d{1,3}", value):
        major, minor = value.split(".")
        return int(major), int(minor)
    return value


class Gpu(BaseModel):
    """One row of ``gpus.toml``; the file says what each key means and where its numbers come from."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(min_length=1)
    driver_names: tuple[str, ...] = Field(min_length=1, strict=False)
    """What NVIDIA's driver calls the card, one name a variant."""
    memory_mib: int = Field(gt=0)
    memory_kind: Literal["driver", "nominal"]
    capability: Annotated[tuple[int, int], BeforeValidator(_version)]
    """CUDA compute capability, ``(8, 6)`` for 8.6."""
    bf16: bool
    fp8: bool
    tensor_tflops: float = Field(gt=0, allow_inf_nan=False)
    """Peak of dense 16-bit matrix products with 32-bit accumulation, in 10^12 operations a second."""
    float32_tflops: float = Field(gt=0, allow_inf_nan=False)
    """Peak of float32 arithmetic outside the tensor cores."""
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _types_follow_capability(self) -> "Gpu":
        for name, least in (("bf16", (8, 0)), ("fp8", (8, 9))):
            if getattr(self, name) != (self.capability >= least):
                raise ValueError(f"{name} is computed from capability {least[0]}.{least[1]} on, and only from there on")
        return self

    @property
    def memory_gib(self) -> float:
        """Memory of one card in GiB."""
        return self.memory_mib / 1024


class Architecture(BaseModel):
    """The first CUDA and the first driver branch that know a compute capability."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    capability: Annotated[tuple[int, int], BeforeValidator(_version)]
    cuda: Annotated[tuple[int, int], BeforeValidator(_version)]
    driver: str = Field(pattern=r"^\d{3,4}$")
    source: str = Field(min_length=1)


class Price(BaseModel):
    """What an hour of the whole pod costs, and how that is known."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    per_hour: float = Field(ge=0, allow_inf_nan=False)
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    kind: Literal["estimate", "agreed"]
    """``estimate``: somebody else's list price; ``agreed``: what the user pays."""
    source: str = Field(min_length=1)
    date: datetime.date


class Pod(BaseModel):
    """One kind of pod. ``name`` is the stem of its file, ``gpu`` the row of the GPU table that the file names."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    gpu: Gpu
    count: int = Field(default=1, ge=1, le=64)
    driver: str = Field(pattern=r"^\d{3,4}(\.\d{1,3}){1,2}$")
    """The oldest NVIDIA driver that the pod may come with."""
    cuda: str = Field(pattern=r"^\d{1,2}\.\d{1,2}$")
    """CUDA of the image."""
    image: str = Field(min_length=1)
    python: str = Field(pattern=r"^3\.\d{1,2}$")
    platform: str = Field(pattern=r"^(x86_64|aarch64)-(manylinux_2_\d{1,2}|manylinux2014|unknown-linux-gnu)$")
    """As ``uv pip compile --python-platform`` takes it."""
    disk_gib: float = Field(gt=0, allow_inf_nan=False)
    """Disk that goes with the pod."""
    volume_gib: float = Field(ge=0, allow_inf_nan=False)
    """Disk that stays when the pod goes; 0 for none."""
    volume_path: str = Field(default="/workspace", pattern=r"^/\S*$")
    source: str = Field(min_length=1)
    price: Price

    @property
    def price_per_hour(self) -> float:
        """Price of an hour of the whole pod, in ``currency``."""
        return self.price.per_hour

    @property
    def currency(self) -> str:
        """Three letters, ISO 4217."""
        return self.price.currency

    @property
    def driver_version(self) -> tuple[int, ...]:
        """``driver`` as numbers that can be compared."""
        return tuple(int(part) for part in self.driver.split("."))

    @property
    def cuda_version(self) -> tuple[int, ...]:
        """``cuda`` as numbers that can be compared."""
        return tuple(int(part) for part in self.cuda.split("."))


class _GpuTable(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    gpu: list[Gpu] = Field(min_length=1)
    architecture: list[Architecture] = []

    @model_validator(mode="after")
    def _names_are_unique(self) -> "_GpuTable":
        names = [gpu.name for gpu in self.gpu]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"every GPU stands once, but {repeated[0]} is repeated")
        return self


def load_gpus(path: Path | None = None) -> dict[str, Gpu]:
    """Return the GPU table by name, in the order of the file.

    Raises:
        InputError: the file is absent, no TOML, or a row is incomplete, contradicts itself or stands twice.
    """
    return {gpu.name: gpu for gpu in _read_table(_GPU_TABLE if path is None else Path(path)).gpu}


def load_architectures() -> dict[tuple[int, int], Architecture]:
    """Return the first CUDA and driver of each compute capability of the shipped table."""
    return {row.capability: row for row in _read_table(_GPU_TABLE).architecture}


def load_pod(name_or_path: str | Path, root: Path | None = None) -> Pod:
    """Return the pod of a name below ``pods/``, or of a ``.toml`` file anywhere.

    Raises:
        InputError: no such pod (the line names those there are), no TOML, an unknown key or GPU, or a value outside its
            range.
    """
    text = str(name_or_path).strip()
    if text.endswith(".toml"):
        return _read_pod(Path(text), load_gpus())
    folder = _folder(root)
    # A name is a file stem and nothing else, so that no part of it can leave the folder.
    if text not in (known := _stems(folder)):
        have = ", ".join(known) or f"none in {folder}"
        raise InputError(f"pod: accepted one of {have} or a .toml file, got {text!r}; next: lifeos pods")
    return _read_pod(folder / f"{text}.toml", load_gpus())


def list_pods(root: Path | None = None) -> list[Pod]:
    """Return every pod below ``pods/``, by name.

    Raises:
        InputError: a file there cannot be used; see ``load_pod``.
    """
    folder = _folder(root)
    gpus = load_gpus()
    return [_read_pod(folder / f"{stem}.toml", gpus) for stem in _stems(folder)]


def _read_table(path: Path) -> _GpuTable:
    try:
        return _GpuTable.model_validate(read_toml(path))
    except ValidationError as error:
        raise InputError(validation_line(path, error, f"edit {path.name}")) from error


def _folder(root: Path | None) -> Path:
    return (project_root() if root is None else Path(root)) / PODS_FOLDER


def _stems(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.toml") if path.is_file())


def _read_pod(path: Path, gpus: dict[str, Gpu]) -> Pod:
    values = read_toml(path)
    if "name" in values:
        raise InputError(f"{path}: name: the file's own name is the pod's, got {values['name']!r}; next: drop the key")
    named = values.get("gpu")
    if "gpu" in values and (not isinstance(named, str) or named not in gpus):
        raise InputError(f"{path}: gpu: accepted one of {', '.join(gpus)}, got {named!r}; next: edit {path.name}")
    if "gpu" in values:
        values["gpu"] = gpus[str(named)]
    try:
        return Pod.model_validate({"name": path.stem, **values})
    except ValidationError as error:
        raise InputError(validation_line(path, error, f"edit {path.name}")) from error
