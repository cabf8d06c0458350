"""The page of a sweep: a grid of cells whose axes are chosen, images of common noise, the front; needs no network."""

import os
from pathlib import Path
from typing import Any

from evals.atomic import write_text
from lifeos.parameter_sweep.grid import varied
from lifeos.parameter_sweep.outcome import CellOutcome, SweepOutcome
from lifeos.parameter_sweep.scatter import draw_scatter
from lifeos.parameter_sweep.scores import SCALES
from lifeos.report.figure import figure

TEMPLATE = Path(__file__).with_name("page.html.j2")
MISSING = "–"


def write_page(outcome: SweepOutcome, artifacts: Path) -> Path:
    """Write ``sweeps/ID/index.html`` below the data folder, whole or not at all, and return its path.

    Images are named by their path relative to it: page and image store are moved together or not at all.
    """
    path = artifacts / "sweeps" / outcome.identity[:32] / "index.html"
    write_text(path, page(outcome, path.parent))
    return path


def page(outcome: SweepOutcome, folder: Path) -> str:
    """Return the page as it lies in ``folder``; equal outcomes give equal bytes. Every text of the data is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        loader=FileSystemLoader(TEMPLATE.parent),
    )  # fmt: skip
    environment.filters["figure"] = lambda value: figure(value, MISSING)
    dimensions = varied([cell.cell for cell in outcome.cells])
    return environment.get_template(TEMPLATE.name).render(
        outcome=outcome, dimensions=dimensions, scales=SCALES, charts=draw_scatter(outcome), states=STATES,
        cells=[{"place": place, "state": _state(outcome, place), "why": _why(cell), "outcome": cell,
                "values": [cell.cell.value(name) for name in dimensions]}
               for place, cell in enumerate(outcome.cells)],
        data=_data(outcome, dimensions, folder),
    )  # fmt: skip


STATES = {
    "chosen": "★ chosen", "front": "● on the front", "stays": "all prompts", "out": "✗ ruled out", "left": "– left",
}  # fmt: skip


def _state(outcome: SweepOutcome, place: int) -> str:
    cell = outcome.cells[place]
    if place == outcome.chosen:
        return "chosen"
    if cell.left is not None:
        return "left"
    return "out" if cell.candidate.ruled_out else "front" if place in outcome.front.places else "stays"


def _why(cell: CellOutcome) -> str:
    if cell.left is not None:
        return cell.left.reason
    return "; ".join(f"{gate}: {reason}" for gate, reason in cell.candidate.ruled_out.items())


def _data(outcome: SweepOutcome, dimensions: list[str], folder: Path) -> dict[str, Any]:
    """What the script draws the grid from; likeness in four digits, images as [address, prompt and seed, likeness]."""
    noises: dict[tuple[str, int], int] = {}
    for cell in outcome.cells:
        for image in cell.images:
            noises.setdefault((image.prompt, image.seed), len(noises))
    values = {name: list(dict.fromkeys(cell.cell.value(name) for cell in outcome.cells)) for name in dimensions}
    return {
        "dimensions": dimensions, "values": values, "chosen": outcome.chosen,
        "noises": [f"{prompt}, seed {seed}" for prompt, seed in noises],
        "cells": [
            {
                "at": [values[name].index(cell.cell.value(name)) for name in dimensions],
                "name": cell.cell.name, "state": _state(outcome, place), "why": _why(cell),
                "scores": [figure(cell.scores[scale.name], MISSING) for scale in SCALES],
                "likeness": round(cell.candidate.likeness, 4),
                "images": [
                    [_address(image.path, folder), noises[image.prompt, image.seed],
                     image.reason or MISSING if image.likeness is None else f"{image.likeness:.3f}"]
                    for image in cell.images
                ],
            }
            for place, cell in enumerate(outcome.cells)
        ],
    }  # fmt: skip


def _address(image: Path, folder: Path) -> str:
    return Path(os.path.relpath(image, folder)).as_posix()
