"""What came of a sweep: every cell with its images and scores, who left, who is chosen, and the row of the history."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evals.selection import Candidate
from lifeos.parameter_sweep.grid import Cell
from lifeos.parameter_sweep.rendering import Rendering
from lifeos.parameter_sweep.scores import Front


@dataclass(frozen=True)
class CellImage:
    """One image of a cell; ``likeness`` is None where no face can be scored, and ``reason`` says why."""

    prompt: str
    seed: int
    path: Path
    likeness: float | None
    reason: str


@dataclass(frozen=True)
class Left:
    """That a cell left: after which block, counted from 1, and why."""

    block: int
    reason: str


@dataclass(frozen=True)
class CellOutcome:
    """One cell as far as it was drawn.

    Args:
        cell: the combination.
        candidate: likeness and gates on the prompts it has.
        scores: by scale; None where not evaluated.
        images: prompt by prompt.
        left: None where it has all prompts.
    """

    cell: Cell
    candidate: Candidate
    scores: Mapping[str, float | None]
    images: tuple[CellImage, ...]
    left: Left | None


@dataclass(frozen=True)
class SweepOutcome:
    """A finished sweep.

    Args:
        name: as SWEEP.toml says.
        persona: its name.
        identity: SHA-256 of everything it depends on.
        cells: in the order of the grid.
        front: among the cells with all prompts that nothing rules out.
        chosen: place of the chosen cell, or None where all with all prompts are ruled out.
        optimism: as ``evals.selection.Selection``, for as many as there are cells.
        rendering: images made and reused, seconds.
        row: of the history.
        recorded: whether this call appended the row, which another may have done before.
    """

    name: str
    persona: str
    identity: str
    cells: tuple[CellOutcome, ...]
    front: Front
    chosen: int | None
    optimism: float | None
    rendering: Rendering
    row: Mapping[str, Any]
    recorded: bool
