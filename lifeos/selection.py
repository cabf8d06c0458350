"""Choosing among checkpoints and strengths on prompt set A, and remembering among how many."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from evals.content_hash import hash_file
from evals.history import append
from evals.history_index import rows
from evals.scorecard import compact_time, row_id
from evals.selection import Candidate, Selection, select
from lifeos.candidate_judge import CandidateJudge
from lifeos.errors import InputError
from lifeos.measure import ImageToMeasure, images_of_plan
from lifeos.progress import Progress
from lifeos.release_inputs import release_plan

if TYPE_CHECKING:
    from lifeos.inputs import Inputs
    from lifeos.lora.sample_plan import SamplePlan
    from lifeos.persona import Persona

SCHEMA = "lifeos.selection/1"
TRAINING_SCHEMA = "lifeos.training_search/1"
"""Rows of a search over training parameters, which tell of the candidates under the same keys."""
SWEEP_SCHEMA = "lifeos.sweep/1"
"""Rows of a parameter sweep, which tell of the candidates under the same keys."""
_CHOSEN_IN = (SCHEMA, TRAINING_SCHEMA, SWEEP_SCHEMA)
Sample = Callable[["SamplePlan", Path, Path], Sequence[ImageToMeasure]]


def sample_in_child(artifacts: Path, progress: Progress) -> Sample:
    """Return what renders a plan with a LoRA file in the one child process, into the store of ``artifacts``."""
    from lifeos.lora.sample_once import sample_once

    def sample(plan: "SamplePlan", base: Path, file: Path) -> list[ImageToMeasure]:
        return images_of_plan(sample_once(plan, base, file, artifacts, progress))

    return sample


def choose_among(
    inputs: "Inputs", files: Sequence[Path], strengths: Sequence[float], *, time: str, progress: Progress,
    engine: ModuleType, sample: "Sample",
) -> tuple[Selection, dict[str, Any]]:  # fmt: skip
    """Sample every file at every strength on set A, choose, and append what was done to the history.

    Args:
        inputs: persona, policy, history and artifacts.
        files: LoRA files.
        strengths: factors on the LoRA.
        time: UTC, ``"2026-11-23T20:29:00Z"``.
        progress: called with (stage, done, total).
        engine: opens the face models and inspects files.
        sample: renders a plan with a LoRA file.

    Returns:
        The selection and its row in the history.

    Raises:
        InputError: fewer than two candidates, one twice, a file that does not fit the base, no calibration, no prompt
            set A, or one that shares a prompt or a seed with set B.
    """
    from lifeos.persona import load_persona

    persona = load_persona(inputs.persona, inputs.project.root)
    plan_of = plan_a(persona)
    candidates = [(file, strength) for file in files for strength in strengths]
    hashes = {file: hash_file(file) for file in files}
    cells = {(hashes[file], strength) for file, strength in candidates}
    if len(candidates) < 2 or len(cells) < len(candidates):
        raise InputError(
            f"candidates: accepted two different ones or more, got {len(cells)}; next: name more files or --strength"
        )
    for file in files:
        for gate, verdict in engine.inspect(file, persona.base, persona.family).items():
            if verdict.blocks:
                raise InputError(f"{file}: {gate}: {verdict.reason}; next: leave it out")
    judge = CandidateJudge.of_persona(persona, inputs.policy, inputs.artifacts, engine, progress)
    measured: list[Candidate] = []
    for number, (file, strength) in enumerate(candidates):
        progress("candidates", number, len(candidates))
        images = sample(plan_of(strength), persona.base, file)
        measured.append(judge.judge(f"{file.name} at {strength:g}", images, strength, progress).candidate)
    progress("candidates", len(candidates), len(candidates))
    chosen = select(measured)
    kind = "strength" if len(files) == 1 else "checkpoint" if len(strengths) == 1 else "checkpoint and strength"
    content = {
        "schema": SCHEMA, "time": time, "persona": persona.name, "kind": kind, "of": len(candidates), "set": "A",
        "plan": plan_of(1.0).content_hash, "policy": hash_file(inputs.policy), "optimism": chosen.optimism,
        "calibration": hash_file(persona.calibration),
        "candidates": [
            {"lora": hashes[file], "strength": strength, **candidate.to_json()}
            for (file, strength), candidate in zip(candidates, measured, strict=True)
        ],
        "chosen": chosen.chosen,
    }  # fmt: skip
    return chosen, append(inputs.history, {"id": row_id(compact_time(time), content), **content})


def plan_a(persona: "Persona") -> Callable[[float], "SamplePlan"]:
    """Return what makes the plan of set A at a strength.

    Raises:
        InputError: there is no set A, or it shares a prompt's text or a seed with set B: then B would not be untouched.
    """
    from lifeos.lora.sample_plan import PlannedPrompt

    if not persona.prompts_a:
        raise InputError(f"{persona.prompts}: accepted a prompt set A to choose on, got none; next: add [[a]] prompts")
    shared = {prompt.text for prompt in persona.prompts_a} & {prompt.text for prompt in persona.prompts_b}
    seeds = set(persona.seeds.a) & set(persona.seeds.b)
    if shared or seeds:
        got = f"the prompt {min(shared)!r}" if shared else f"seed {min(seeds)}"
        raise InputError(f"{persona.folder}: accepted sets A and B apart, got {got} in both; next: change set A")
    prompts = tuple(PlannedPrompt(prompt.id, persona.fill(prompt)) for prompt in persona.prompts_a)

    def plan(strength: float) -> "SamplePlan":
        whole: SamplePlan = release_plan(persona, strength=strength)
        return replace(whole, prompts=prompts, seeds=tuple(persona.seeds.a))

    return plan


def record_choice(
    history: Path, time: str, content: Mapping[str, Any], beside: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], bool]:
    """Append a row about a choice unless one with the same content stands there, and say whether it was appended.

    Args:
        history: history file.
        time: UTC, ``"2026-11-23T20:29:00Z"``.
        content: of the row; ``schema`` and ``persona`` among it.
        beside: written too, but another value of it alone makes no row.

    Raises:
        InputError: the history is corrupt or stays locked.
    """
    for row in reversed(rows(history, schema=content["schema"], persona=content["persona"])):
        if all(row.get(name) == value for name, value in content.items()):
            return row, False
    whole = {"time": time, **content, **(beside or {})}
    return append(history, {"id": row_id(compact_time(time), whole), **whole}), True


def selection_of(history: Path, lora: str | None, persona: str | None) -> dict[str, Any] | None:
    """Return among how many candidates a LoRA stood wherever it was chosen from, for its scorecard; None if nowhere.

    The last choice stands at the top, those before it under ``earlier``, the oldest first: a LoRA that a search found
    and a grid then chose was selected twice on set A. A choice all of whose candidates stood in later ones is not told:
    a search that went on, or the same candidates judged again.

    Args:
        history: history file.
        lora: SHA-256 of the file.
        persona: its name.

    Raises:
        InputError: the history is corrupt.
    """
    if lora is None or persona is None:
        return None
    told: list[dict[str, Any]] = []
    looked_at: set[tuple[Any, ...]] = set()
    for row in reversed(rows(history, schema=_CHOSEN_IN, persona=persona)):
        places = [place for place, candidate in enumerate(row["candidates"]) if candidate["lora"] == lora]
        looks = {_look(row, candidate) for candidate in row["candidates"]}
        if places and not looks <= looked_at:
            told.append(_told(row, places))
            looked_at |= looks
    return {**told[0], "earlier": told[:0:-1]} if told else None


def _look(row: Mapping[str, Any], candidate: Mapping[str, Any]) -> tuple[Any, ...]:
    settings = ("lora", "strength", "guidance", "steps", "sampler")
    return (row["schema"], row.get("plan"), *(candidate.get(name) for name in settings))


def _told(row: Mapping[str, Any], places: Sequence[int]) -> dict[str, Any]:
    chosen = row["chosen"] in places
    strength = row["candidates"][row["chosen"]]["strength"] if chosen else None
    return {
        "kind": row["kind"], "of": row["of"], "set": row["set"], "row": row["id"], "chosen": chosen,
        "strength": strength, "optimism": row["optimism"],
    }  # fmt: skip
