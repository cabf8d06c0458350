"""What a resolver cannot know, as data: the tables in ``lifeos/pods/rules/*.toml``, each row with its source."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from lifeos.errors import InputError
from lifeos.pods.version_ranges import VersionRange, parse_range
from lifeos.settings import read_toml, validation_line

if TYPE_CHECKING:
    from packaging.version import Version


def _is_range(text: str) -> str:
    parse_range(text)
    return text


_Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
_Range = Annotated[str, AfterValidator(_is_range)]
_Cuda = Annotated[str, Field(pattern=r"^\d+(\.\d+)?$")]
_Arch = Annotated[str, Field(pattern=r"^\d+\.\d[af]?(\+PTX)?$")]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    source: str = Field(min_length=5, description="where the fact was read; re-read by rules/recheck.py where it can")


class Proof(BaseModel):
    """A text that a file of the package holds in one version and no longer (or not yet) in another."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    package: _Name
    file: str = Field(min_length=1)
    text: str = Field(min_length=1)
    present: list[str] = Field(min_length=1)
    absent: list[str] = []


class Skew(_Row):
    """Versions that resolve together and then fail at import or at load."""

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    when: dict[_Name, _Range] = Field(min_length=2)
    reason: str = Field(min_length=10)
    proof: list[Proof] = []


class Wheel(_Row):
    """What the Linux x86-64 wheels of a package are built for.

    ``cuda`` is the version that the wheel was built with, ``cudas`` the list where it brings a library for each;
    ``torch`` the versions whose binary interface it was built against; ``archs`` the compute capabilities it holds
    machine code for; ``max_capability`` the highest one that its host code accepts.
    """

    package: _Name
    versions: _Range
    local: str | None = Field(default=None, description="local label of another index's build, such as cu128")
    cuda: _Cuda | None = None
    cudas: list[_Cuda] = []
    torch: _Range | None = None
    archs: list[_Arch] = []
    max_capability: Annotated[str, Field(pattern=r"^\d+\.\d$")] | None = None
    checked: list[str] = Field(min_length=1, description="versions whose wheel was opened")

    @cached_property
    def range(self) -> VersionRange:
        """The versions of the row."""
        return parse_range(self.versions)

    @property
    def major(self) -> int | None:
        """CUDA's major version, None where the wheel carries several or none."""
        return None if self.cuda is None else int(self.cuda.split(".")[0])


class Driver(_Row):
    """Oldest driver that runs a CUDA major version."""

    cuda_major: int = Field(ge=11)
    minimum: str = Field(pattern=r"^\d+(\.\d+)*$")


class Overwrite(_Row):
    """Packages that install the same files: the last one written wins. ``keep`` is the one a GPU pod wants."""

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    packages: list[_Name] = Field(min_length=2)
    keep: _Name
    reason: str = Field(min_length=10)


class Companion(_Row):
    """Shared libraries that a package loads and does not require: one package of each group must be installed."""

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    package: _Name
    versions: _Range
    one_of: list[list[_Name]] = Field(min_length=1)
    extras: list[_Name] = Field(min_length=1, description="extras of the package that bring them")
    reason: str = Field(min_length=10)


class Optional(_Row):
    """A package that may be left out, and what does its work then."""

    package: _Name
    reason: str = Field(min_length=10)


class MissingWheel(_Row):
    """A package that has no wheel for the pods' platform, so that it would be compiled on the rented machine."""

    id: str = Field(pattern=r"^[a-z0-9-]+$")
    package: _Name
    versions: _Range
    reason: str = Field(min_length=10)


class Disk(_Row):
    """Bytes on the disk for each byte downloaded, where the wheel itself was not measured."""

    unpacked_per_download: float = Field(ge=1.0, le=10.0)


class _Tables(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    skew: list[Skew] = []
    wheel: list[Wheel] = []
    driver: list[Driver] = []
    overwrite: list[Overwrite] = []
    companion: list[Companion] = []
    optional: list[Optional] = []
    missing_wheel: list[MissingWheel] = []
    disk: list[Disk] = []


@dataclass(frozen=True)
class Rules:
    """Every table, and look-ups over them."""

    tables: _Tables

    def wheels(self, package: str) -> list[Wheel]:
        """Return the rows of the package index's own builds of a package."""
        return [row for row in self.tables.wheel if row.package == package and row.local is None]

    def wheel(self, package: str, version: "Version") -> Wheel | None:
        """Return the row that speaks of this build, None where there is none."""
        for row in self.tables.wheel:
            if row.package == package and row.local == version.local and version in row.range:
                return row
        return None

    @property
    def built_packages(self) -> list[str]:
        """Packages whose wheels the tables describe, in the order of the tables."""
        return list(dict.fromkeys(row.package for row in self.tables.wheel))

    def may_be_dropped(self, package: str) -> bool:
        """Whether the set still does its work without this package."""
        return any(row.package == package for row in self.tables.optional)


def rules_folder() -> Path:
    """Return the folder of the shipped tables."""
    return Path(__file__).parent / "rules"


def load_rules(folder: Path | None = None) -> Rules:
    """Read every table of the folder (default: the shipped ones) as one.

    Raises:
        InputError: a file is no TOML, has an unknown key or a value that is no version, range or capability.
    """
    rows: dict[str, list[Any]] = {}
    for path in sorted((folder or rules_folder()).glob("*.toml")):
        values = read_toml(path)
        try:
            _Tables.model_validate(values)
        except ValidationError as error:
            raise InputError(validation_line(path, error, "correct that row")) from error
        for name, found in values.items():
            rows.setdefault(name, []).extend(found)
    return Rules(_Tables.model_validate(rows))
