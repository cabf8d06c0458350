"""The cells of a sweep: every combination of its values, with what the persona says where the sweep is silent."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from evals.content_hash import hash_file
from lifeos.errors import InputError
from lifeos.parameter_sweep.definition import LARGEST_GRID, MOST_IMAGES, Grid, Sweep

if TYPE_CHECKING:
    from lifeos.inputs import Inputs
    from lifeos.lora.sample_plan import SamplePlan
    from lifeos.persona import Persona

DIMENSIONS = ("lora", "strength", "guidance", "steps", "sampler")


@dataclass(frozen=True)
class LoraFile:
    """A LoRA of the grid: as SWEEP.toml writes it or by its trial, where it lies, and the SHA-256 of its bytes."""

    written: str
    path: Path
    sha256: str


@dataclass(frozen=True)
class Cell:
    """One combination: a LoRA and how it is drawn."""

    lora: LoraFile
    strength: float
    guidance: float
    steps: int
    sampler: str

    @property
    def name(self) -> str:
        """The combination in words."""
        return (f"{self.lora.written} at {self.strength:g}, guidance {self.guidance:g}, {self.steps} steps, "
                f"{self.sampler}")  # fmt: skip

    def value(self, dimension: str) -> str:
        """Return the value of one of ``DIMENSIONS`` as people read it."""
        value = self.lora.written if dimension == "lora" else getattr(self, dimension)
        return value if isinstance(value, str) else f"{value:g}"

    def settings(self) -> dict[str, Any]:
        """Return the values as JSON types, the LoRA by its hash."""
        return {"lora": self.lora.sha256, "strength": self.strength, "guidance": self.guidance, "steps": self.steps,
                "sampler": self.sampler}  # fmt: skip

    def drawn_by(self, plan: "SamplePlan") -> "SamplePlan":
        """Return a plan of prompts and seeds as this cell draws it."""
        return replace(
            plan, strength=self.strength, guidance=self.guidance, steps=self.steps, sampler=self.sampler
        )


def cells_of(
    sweep: Sweep, path: Path, inputs: "Inputs", persona: "Persona", engine: ModuleType,
    trained: Mapping[str, Path] | None = None,
) -> list[Cell]:  # fmt: skip
    """Return every combination, the last dimension of ``DIMENSIONS`` running fastest.

    Args:
        sweep: as read from ``path``.
        path: of SWEEP.toml; LoRA files are relative to its folder.
        inputs: project and artifacts.
        persona: its own values stand where the sweep names none.
        engine: inspects files.
        trained: LoRAs of the grid that go by another name than their file's.

    Raises:
        InputError: one combination only, or more than ``LARGEST_GRID`` of them or ``MOST_IMAGES`` images; a LoRA that
            is not there, stands twice or does not fit the base; no LoRA and no champion; or a sampler that the family
            does not know. Size comes first: nothing is read for a grid that is refused for it.
    """
    require_drawable(sweep, path, persona)
    files = _lora_files(sweep.grid, path, inputs, persona, trained or {})
    for file in files:
        for gate, verdict in engine.inspect(file.path, persona.base, persona.family).items():
            if verdict.blocks:
                raise InputError(f"{file.path}: {gate}: {verdict.reason}; next: leave it out of {path.name}")
    return [Cell(*values) for values in itertools.product(files, *_values(sweep.grid, persona))]


def require_drawable(sweep: Sweep, path: Path, persona: "Persona") -> None:
    """Refuse a grid by its size and its samplers alone: before any LoRA is trained for it or read.

    Args:
        sweep: as read from ``path``; LoRAs that are yet to be trained count as many as are kept at most.
        path: of SWEEP.toml.
        persona: its own values stand where the sweep names none.

    Raises:
        InputError: one combination only, or more than ``LARGEST_GRID`` of them or ``MOST_IMAGES`` images; or a sampler
            that the family does not know.
    """
    from lifeos.lora.families import get_family

    values = _values(sweep.grid, persona)
    count = _lora_count(sweep) * math.prod(len(each) for each in values)
    each = len(persona.prompts_a) * len(persona.seeds.a)
    if count < 2:
        raise InputError(f"{path}: grid: accepted two cells or more, got one; next: add a value to a list of [grid]")
    if count > LARGEST_GRID or count * each > MOST_IMAGES:
        raise InputError(f"{path}: grid: accepted at most {LARGEST_GRID:,} cells and {MOST_IMAGES:,} images, got "
                         f"{count:,} cells of {each:,} images ({count * each:,}); next: shorten the lists of [grid]")
    known = get_family(persona.family).samplers
    for sampler in values[-1]:
        if sampler not in known:
            raise InputError(
                f"{path}: grid.sampler: accepted {', '.join(known)}, got {sampler!r}; next: edit {path.name}"
            )


def varied(cells: Sequence[Cell]) -> list[str]:
    """Return the dimensions in which cells differ, in the order of ``DIMENSIONS``."""
    return [name for name in DIMENSIONS if len({cell.value(name) for cell in cells}) > 1]


def _values(grid: Grid, persona: "Persona") -> tuple[list[float], list[float], list[int], list[str]]:
    own = persona.sampler
    return (grid.strength or [own.strength], grid.guidance or [own.guidance], grid.steps or [own.steps],
            grid.sampler or [own.name])  # fmt: skip


def _lora_count(sweep: Sweep) -> int:
    if sweep.training is not None and sweep.grid.lora is None:
        return min(sweep.training.keep or sweep.training.trials, sweep.training.trials)
    return len(sweep.grid.lora or [None])


def _lora_files(
    grid: Grid, path: Path, inputs: "Inputs", persona: "Persona", trained: Mapping[str, Path]
) -> list[LoraFile]:
    from lifeos.inputs import champion_file

    if grid.lora is None:
        champion = champion_file(inputs)
        if champion is None:
            raise InputError(f"{path}: grid.lora: accepted LoRA files, got none, and {persona.name} has no champion to "
                             "stand for them; next: add lora = [\"FILE\"] under [grid]")  # fmt: skip
        return [LoraFile(champion.name, champion, hash_file(champion))]
    found: dict[str, LoraFile] = {}
    for written in grid.lora:
        file = trained.get(written, path.absolute().parent / written)
        if not file.is_file():
            raise InputError(f"{path}: grid.lora: accepted LoRA files, got none at {file}; next: edit {path.name}")
        digest = hash_file(file)
        if digest in found:
            raise InputError(f"{path}: grid.lora: accepted different files, got {found[digest].written!r} and "
                             f"{written!r} of the same bytes; next: leave one out of {path.name}")  # fmt: skip
        found[digest] = LoraFile(written, file, digest)
    return list(found.values())
