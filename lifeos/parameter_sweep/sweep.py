"""The sweep itself: draw a block of prompts for every cell that stands, judge, let the worst leave, and choose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from evals.content_hash import hash_file, hash_folder, hash_json
from evals.inference import cluster_means
from evals.selection import Selection, select
from evals.successive_halving import Departure, Standing, blocks_of, departures
from lifeos.candidate_judge import CandidateJudge
from lifeos.lora.store import ImageStore
from lifeos.measure import ImageToMeasure, images_of_plan
from lifeos.parameter_sweep.definition import Sweep, load_sweep
from lifeos.parameter_sweep.grid import Cell, cells_of
from lifeos.parameter_sweep.outcome import CellImage, CellOutcome, Left, SweepOutcome
from lifeos.parameter_sweep.rendering import RenderEngine, Rendering, RenderTask, planned_tasks
from lifeos.parameter_sweep.scores import Front, front_of, scores_of
from lifeos.progress import Progress
from lifeos.selection import SWEEP_SCHEMA, plan_a, record_choice

if TYPE_CHECKING:
    from lifeos.inputs import Inputs
    from lifeos.lora.sample_plan import SamplePlan
    from lifeos.persona import Persona


@dataclass(frozen=True)
class PreparedSweep:
    """A sweep that can begin: everything that could be refused has been looked at.

    Args:
        sweep: the definition.
        persona: whose set A is drawn.
        cells: every combination.
        plan: prompts and seeds of set A; a cell draws it by ``Cell.drawn_by``.
        judge: of its images.
        identity: SHA-256 of everything the result depends on.
    """

    sweep: Sweep
    persona: "Persona"
    cells: tuple[Cell, ...]
    plan: "SamplePlan"
    judge: CandidateJudge
    identity: str

    @property
    def blocks(self) -> list[tuple[str, ...]]:
        """Ids of the prompts of each block; one block without halving."""
        ids = [prompt.id for prompt in self.plan.prompts]
        return blocks_of(ids, len(ids) if self.sweep.halving is None else self.sweep.halving.block)


def prepare_sweep(
    path: Path, inputs: "Inputs", engine: ModuleType, progress: Progress, loras: Mapping[str, Path] | None = None
) -> PreparedSweep:
    """Read a definition and everything it depends on; nothing is drawn.

    Args:
        path: SWEEP.toml.
        inputs: persona, policy and artifacts.
        engine: inspects files and opens the face models.
        progress: called with ("training images", done, total).
        loras: files that a search trained for the grid, by the names that they go by there; None where the definition
            names its own.

    Raises:
        InputError: as ``load_sweep``, ``plan_a``, ``cells_of`` and ``CandidateJudge.of_persona``.
    """
    from lifeos.lora.families import base_hash
    from lifeos.persona import load_persona

    sweep = load_sweep(path)
    if loras is not None:
        sweep = sweep.model_copy(update={"grid": sweep.grid.model_copy(update={"lora": list(loras)})})
    persona = load_persona(inputs.persona, inputs.project.root)
    plan = plan_a(persona)(persona.sampler.strength)
    cells = cells_of(sweep, path, inputs, persona, engine, loras)
    for cell in cells:
        cell.drawn_by(plan)
    judge = CandidateJudge.of_persona(persona, inputs.policy, inputs.artifacts, engine, progress)
    identity = hash_json({
        "name": sweep.name, "cells": [cell.settings() for cell in cells],
        "halving": None if sweep.halving is None else sweep.halving.model_dump(),
        "plan": plan.content_hash, "base": base_hash(persona.base), "policy": hash_file(inputs.policy),
        "calibration": hash_file(persona.calibration), "training_images": hash_folder(persona.dataset),
    })  # fmt: skip
    return PreparedSweep(sweep, persona, tuple(cells), plan, judge, identity)


def run_sweep(
    prepared: PreparedSweep, inputs: "Inputs", *, time: str, progress: Progress, rendering: RenderEngine
) -> SweepOutcome:
    """Draw what the store lacks, judge, choose, and append what was done to the history.

    There is no state beside the image store: a sweep that was killed is walked again, and what is there is neither
    drawn nor measured again. A sweep that is recorded with this outcome already is not recorded twice.

    Args:
        prepared: what is swept.
        inputs: policy, history and artifacts.
        time: UTC, ``"2026-11-23T20:29:00Z"``.
        progress: called with (stage, done, total).
        rendering: draws.

    Raises:
        InputError: the engine's own, an image that is none, or a history that is corrupt.
    """
    walk = _Walk(prepared, inputs.artifacts, rendering, progress)
    cells = walk.to_the_end()
    finalists = [place for place, cell in enumerate(cells) if cell.left is None]
    found = select([cells[place].candidate for place in finalists], looked_at=len(cells))
    chosen = None if found.chosen is None else finalists[found.chosen]
    front = front_of({place: cells[place].scores for place in finalists if not cells[place].candidate.ruled_out})
    row, recorded = record_choice(inputs.history, time, _content(prepared, inputs, cells, found, chosen, front))
    return SweepOutcome(
        prepared.sweep.name, prepared.persona.name, prepared.identity, tuple(cells), front, chosen, found.optimism,
        walk.rendered, row, recorded,
    )  # fmt: skip


class _Walk:
    """One walk over the blocks."""

    def __init__(self, prepared: PreparedSweep, artifacts: Path, rendering: RenderEngine, progress: Progress) -> None:
        self.prepared, self.artifacts = prepared, artifacts
        self.rendering, self.progress = rendering, progress
        self.rendered = Rendering(0, 0, 0.0)
        self._images: list[list[ImageToMeasure]] = [[] for _ in prepared.cells]
        self._records: list[list[Mapping[str, Any]]] = [[] for _ in prepared.cells]
        self._texts = {prompt.id: prompt.text for prompt in prepared.plan.prompts}

    def to_the_end(self) -> list[CellOutcome]:
        """Return every cell as far as it came."""
        blocks, halving = self.prepared.blocks, self.prepared.sweep.halving
        standing = list(range(len(self.prepared.cells)))
        outcomes: dict[int, CellOutcome] = {}
        for number, block in enumerate(blocks, 1):
            self.progress("blocks of prompts", number - 1, len(blocks))
            self._draw(standing, block)
            for done, place in enumerate(standing, 1):
                outcomes[place] = self._judged(place)
                self.progress("judging cells", done, len(standing))
            if halving is not None and number < len(blocks):
                field = [_standing(outcomes[place]) for place in standing]
                gone = departures(field, halving.keep, halving.fewest)
                for departure in gone:
                    place = standing[departure.place]
                    left = Left(number, _reason(departure, number, len(blocks), outcomes[place]))
                    outcomes[place] = replace(outcomes[place], left=left)
                leaving = {departure.place for departure in gone}
                standing = [place for at, place in enumerate(standing) if at not in leaving]
        self.progress("blocks of prompts", len(blocks), len(blocks))
        return [outcomes[place] for place in range(len(self.prepared.cells))]

    def _draw(self, standing: Sequence[int], block: Sequence[str]) -> None:
        prepared, store = self.prepared, ImageStore(self.artifacts / "samples")
        of_block = replace(prepared.plan, prompts=tuple(p for p in prepared.plan.prompts if p.id in block))
        cells = [prepared.cells[place] for place in standing]
        tasks = [RenderTask(cell.drawn_by(of_block), prepared.persona.base, cell.lora.path) for cell in cells]
        done, before = self.rendering.render(tasks, self.artifacts, self.progress), self.rendered
        self.rendered = Rendering(
            before.made + done.made, before.reused + done.reused, before.seconds + done.seconds
        )  # fmt: skip
        images = [images_of_plan(planned) for planned in planned_tasks(tasks, store)]
        paths = [image.path for of_cell in images for image in of_cell]
        records = iter(prepared.judge.measurements.of_all(paths, self.progress, "faces"))
        for place, of_cell in zip(standing, images, strict=True):
            self._images[place] += of_cell
            self._records[place] += [next(records) for _ in of_cell]

    def _judged(self, place: int) -> CellOutcome:
        cell, images, records = self.prepared.cells[place], self._images[place], self._records[place]
        judged = self.prepared.judge.judge_measured(cell.name, images, records, cell.strength, self._texts)
        shown = tuple(
            CellImage(image.prompt, image.seed, image.path, row["metrics"].get("likeness"),
                      str(row["reasons"].get("likeness", "")))
            for image, row in zip(images, judged.rows, strict=True)
        )  # fmt: skip
        return CellOutcome(cell, judged.candidate, scores_of(judged.rows), shown, None)


def _standing(outcome: CellOutcome) -> Standing:
    values = [image.likeness or 0.0 for image in outcome.images]
    means = cluster_means(values, [image.prompt for image in outcome.images])
    return Standing(means, bool(outcome.candidate.ruled_out))


def _reason(departure: Departure, block: int, blocks: int, outcome: CellOutcome) -> str:
    where = f"after block {block} of {blocks}"
    if departure.ruled_out:
        return f"{where}: ruled out by {', '.join(outcome.candidate.ruled_out)}"
    error = "" if departure.standard_error is None else f" +- {departure.standard_error:.4f}"
    return f"{where}: {departure.behind:.4f}{error} less alike than the last that stayed"


def _content(
    prepared: PreparedSweep, inputs: "Inputs", cells: Sequence[CellOutcome], found: Selection, chosen: int | None,
    front: Front,
) -> dict[str, Any]:  # fmt: skip
    return {
        "schema": SWEEP_SCHEMA, "persona": prepared.persona.name, "kind": "parameter sweep", "of": len(cells),
        "set": "A", "sweep": prepared.identity, "name": prepared.sweep.name, "plan": prepared.plan.content_hash,
        "policy": hash_file(inputs.policy), "calibration": hash_file(prepared.persona.calibration),
        "optimism": found.optimism, "compared": list(front.compared), "left_out": dict(front.left_out),
        "candidates": [
            {
                **outcome.cell.settings(), **outcome.candidate.to_json(), "scores": dict(outcome.scores),
                "prompts": len({image.prompt for image in outcome.images}), "front": place in front.places,
                "left": None if outcome.left is None else {"block": outcome.left.block, "reason": outcome.left.reason},
            }
            for place, outcome in enumerate(cells)
        ],
        "chosen": chosen,
    }  # fmt: skip
