"""A finished sweep made of numbers alone, of any size."""

import itertools
from pathlib import Path

from evals.selection import Candidate
from lifeos.parameter_sweep.grid import Cell, LoraFile
from lifeos.parameter_sweep.outcome import CellImage, CellOutcome, Left, SweepOutcome
from lifeos.parameter_sweep.rendering import Rendering
from lifeos.parameter_sweep.scores import front_of


def swept(artifacts, strengths=(0.8, 1.0), steps=(16, 28), guidance=(1.0, 3.0), *, lora="one.safetensors",
          prompts=2, text="why", adherence=True):  # fmt: skip
    """A sweep whose first cell left, whose second is ruled out and whose last is chosen."""
    file = LoraFile(lora, Path(lora), "0" * 64)
    store, cells = artifacts / "samples" / "ab", []
    for place, (strength, scale, count) in enumerate(itertools.product(strengths, guidance, steps)):
        cell = Cell(file, strength, scale, count, "ddim")
        likeness = 0.5 + 0.001 * place
        images = tuple(
            CellImage(f"A{prompt:02}", seed, store / f"{place:060}{prompt:03}{seed}.png", likeness, "")
            for prompt in range(1 if place == 0 else prompts) for seed in (0, 1)
        )  # fmt: skip
        ruled_out = {"copy_image": text} if place == 1 else {}
        scores = {"likeness": likeness, "skin_deviation": 1.0 - likeness, "copying": 0.01 * (place % 7),
                  "adherence": 0.9 if adherence else None}  # fmt: skip
        left = Left(1, f"after block 1 of 2: {text}") if place == 0 else None
        candidate = Candidate(cell.name, likeness, 0.01, ruled_out, len(images))
        cells.append(CellOutcome(cell, candidate, scores, images, left))
    standing = {at: cell.scores for at, cell in enumerate(cells) if cell.left is None and not cell.candidate.ruled_out}
    row = {"id": "20261125T100000Z-00000000", "time": "2026-11-25T10:00:00Z"}
    return SweepOutcome(text, "one", "a" * 64, tuple(cells), front_of(standing), len(cells) - 1, 0.01,
                        Rendering(4, 2, 1.0), row, True)  # fmt: skip
