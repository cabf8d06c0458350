"""A search over training parameters: suggest a recipe, train it, judge it on set A, remember; set B is untouched."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from evals.atomic import write_bytes, write_json, write_text
from evals.content_hash import hash_file, hash_json
from evals.selection import Selection, select
from lifeos.candidate_judge import CandidateJudge
from lifeos.child import ChildLostError
from lifeos.errors import InputError
from lifeos.parameter_sweep.training_picture import PICTURE_NAME, training_search_png
from lifeos.parameter_sweep.training_search import (
    TrainingSearch,
    recipe_complaint,
    require_searchable,
    with_parameters,
)
from lifeos.parameter_sweep.training_suggestions import require_optuna, suggest
from lifeos.parameter_sweep.training_trials import Trial, best_first, read_trials, write_trials
from lifeos.progress import Progress
from lifeos.selection import TRAINING_SCHEMA, Sample, plan_a, record_choice
from lifeos.training_watch.inputs import WatchInputs, require_same_persona

if TYPE_CHECKING:
    from lifeos.inputs import Inputs
    from lifeos.lora.recipe import Recipe
    from lifeos.lora.sample_plan import SamplePlan
    from lifeos.lora.train import TrainingResult
    from lifeos.persona import Persona

SEARCH_REVISION = 1
"""Raised when a change of this code changes what is suggested or how it is judged."""
Train = Callable[[Path], "TrainingResult"]
"""Returns the finished LoRA of a recipe's file; one that lies there already is not trained again."""


@dataclass(frozen=True)
class TrainingSearchResult:
    """What a search found.

    Args:
        folder: of its trials, recipes and picture, below ``artifacts/sweeps``.
        trials: in their order.
        kept: the trials whose LoRAs go on, the best first.
        loras: their files.
        row: of the history.
        recorded: whether this call appended the row, which another may have done before.
    """

    folder: Path
    trials: tuple[Trial, ...]
    kept: tuple[Trial, ...]
    loras: tuple[Path, ...]
    row: Mapping[str, Any]
    recorded: bool


def run_training_search(
    search: TrainingSearch, inputs: "Inputs", where: Path, *, time: str, progress: Progress, engine: ModuleType,
    train: Train, sample: Sample,
) -> TrainingSearchResult:  # fmt: skip
    """Run what is missing of a search, choose, draw it, and append what was done to the history, once for each outcome.

    Trials lie in ``artifacts/sweeps/IDENTITY``; the identity is that of all that a suggestion or a judgement depends
    on, the number of trials aside, so that more of them go on from those that are done.

    Args:
        search: the table ``[training]``.
        inputs: persona, policy, history and artifacts.
        where: the file that the search was read from.
        time: UTC, ``"2026-11-23T20:29:00Z"``.
        progress: called with ("trials", done, total).
        engine: opens the face models, inspects files and hashes what a recipe depends on.
        train: trains a recipe; ``train_in_child`` is the one of the project.
        sample: renders a plan with a LoRA file.

    Raises:
        InputError: a key or range that no recipe holds, a recipe of another persona, no Optuna, no calibration, no
            prompt set A or one that shares something with set B, a full disk, samples that cannot be drawn, more than
            half of all trials failed, or none was judged.
    """
    from importlib.metadata import version

    from filelock import FileLock

    from lifeos.lora.recipe import load_recipe
    from lifeos.persona import load_persona

    persona = load_persona(inputs.persona, inputs.project.root)
    plan = plan_a(persona)(persona.sampler.strength)
    recipe_file = persona.recipe if search.recipe is None else where.parent / search.recipe
    loaded = load_recipe(recipe_file, inputs.project.root)
    require_same_persona(loaded, persona)
    values = _placed_values(recipe_file, loaded)
    require_searchable(search, values, where)
    require_optuna()
    training = engine.training_hash(recipe_file, WatchInputs(inputs.persona, inputs.project.root, inputs.policy))
    judge = CandidateJudge.of_persona(persona, inputs.policy, inputs.artifacts, engine, progress, [loaded.dataset])
    content = {
        "revision": SEARCH_REVISION, "engine": engine.IDENTITY, "training": training, "seed": search.seed,
        "search": [[key, entry.model_dump(mode="json")] for key, entry in search.search.items()],
        "plan": plan.content_hash, "calibration": hash_file(persona.calibration), "policy": hash_file(inputs.policy),
        "measurements": judge.measurements.identity,
        "training_images": sorted(record["image"] for record in judge.training),
    }  # fmt: skip
    folder = inputs.artifacts / "sweeps" / hash_json(content)[:32]
    study = _Study(search, values, folder, persona, plan, judge, progress, engine, train, sample)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(str(folder / "search.lock"), poll_interval=0.1):
        write_json(folder / "search.json", content)
        trials = study.run(where)
        kept = best_first(trials)[: search.keep]
        if not kept:
            raise InputError(f"{where}: accepted a search that trains something, got {len(trials)} trials without a "
                             f"LoRA, the last: {trials[-1].reason}; next: narrow [training.search]")
        loras = [study.lora_of(trial) for trial in kept]
        write_bytes(folder / PICTURE_NAME, training_search_png(search, trials))
        outcome = _outcome(search, trials, persona, plan, content)
        # An Optuna that only read the trials of another suggested none of them: its version makes no row of its own.
        row, recorded = record_choice(inputs.history, time, outcome, {"optuna": version("optuna")})
    return TrainingSearchResult(folder, tuple(trials), tuple(kept), tuple(loras), row, recorded)


def train_in_child(inputs: "Inputs", progress: Progress) -> Train:
    """Return what trains a recipe in the one child process, once, watched where the recipe asks for looks.

    Args:
        inputs: persona, policy and artifacts.
        progress: called with ("latents" | "training", done, total).
    """
    from lifeos.lora.recipe import load_recipe
    from lifeos.lora.train_once import train_once
    from lifeos.training_watch.inputs import watch_request

    def train(recipe: Path) -> "TrainingResult":
        loaded = load_recipe(recipe, inputs.project.root)
        watch = watch_request(loaded, WatchInputs(inputs.persona, inputs.project.root, inputs.policy), inputs.artifacts)
        return train_once(loaded, inputs.artifacts, progress, watch=watch)

    return train


def trial_lines(result: TrainingSearchResult) -> list[str]:
    """Return what was tried for the terminal: a line a trial, ``>`` before those that go on; row and recipes below."""
    kept = {trial.number for trial in result.kept}
    lines = []
    for trial in result.trials:
        told = ", ".join(f"{key} {_written(value)}" for key, value in sorted(trial.parameters.items()))
        end = f"{trial.state}: {trial.reason}"
        if trial.candidate is not None:
            error = trial.candidate["standard_error"]
            end = f"likeness {trial.candidate['likeness']:.4f}" + ("" if error is None else f" +- {error:.4f}")
            end += f"  ruled out by {', '.join(trial.candidate['ruled_out'])}" if trial.candidate["ruled_out"] else ""
        lines.append(f"{'>' if trial.number in kept else ' '} {trial.name}  {told}  {end}")
    state = "recorded as" if result.recorded else "recorded before as"
    lines.append(f"> in the grid; {len(result.trials)} trials on prompt set A; {state} row {result.row['id']}")
    lines.append(f"recipes: {result.folder / 'recipes'}")
    if result.row["optimism"] is not None:
        lines.append(f"the best of these looks better than it is by up to {result.row['optimism']:.4f}; what "
                     "is said below counts the cells alone")  # fmt: skip
    return lines


@dataclass(frozen=True)
class _Study:
    search: TrainingSearch
    values: Mapping[str, Any]
    folder: Path
    persona: "Persona"
    plan: "SamplePlan"
    judge: CandidateJudge
    progress: Progress
    engine: ModuleType
    train: Train
    sample: Sample

    def run(self, where: Path) -> list[Trial]:
        """Return all trials; those that are remembered are not run again."""
        trials = read_trials(self.folder)[: self.search.trials]
        self.progress("trials", len(trials), self.search.trials)
        self._require_success(trials, where)
        while len(trials) < self.search.trials:
            trials.append(self._trial(len(trials), suggest(self.search, trials)))
            write_trials(self.folder, trials)
            self.progress("trials", len(trials), self.search.trials)
            self._require_success(trials, where)
        return trials

    def lora_of(self, trial: Trial) -> Path:
        """Return the file of a judged trial; trained anew where somebody removed it."""
        path = self.train(self._recipe_file(str(trial.recipe))).path
        if hash_file(path) != trial.lora:
            raise InputError(f"{path}: accepted the LoRA that {trial.name} judged, got another; next: "
                             f"remove {self.folder}")  # fmt: skip
        return path

    def _trial(self, number: int, parameters: Mapping[str, Any]) -> Trial:
        from pydantic import ValidationError

        from lifeos.lora.placement import require_device
        from lifeos.lora.recipe import Recipe, recipe_toml

        require_device(self.plan.device)
        values = with_parameters(self.values, parameters)
        try:
            recipe = Recipe.model_validate(values)
        except ValidationError as error:
            return Trial(number, "contradictory", parameters, reason=recipe_complaint(error))
        # Before it trains, not by it: a machine without the GPU would be remembered as a recipe that fails.
        require_device(recipe.device, "the recipe")
        known = recipe.content_hash
        head = [f"Trial {number + 1} of a training search: {', '.join(parameters)} were suggested."]
        write_text(self._recipe_file(known), recipe_toml(values, head))
        try:
            result = self._trained(self._recipe_file(known))
        except InputError as error:
            if not _is_of_the_recipe(error):
                raise
            return Trial(number, "failed", parameters, known, reason=str(error))
        told: dict[str, Any] = {"recipe": known, "lora": result.sha256, "steps": result.steps,
                                "seconds": round(result.seconds, 1), "stopped": result.stopped}  # fmt: skip
        for gate, verdict in self.engine.inspect(result.path, self.persona.base, self.persona.family).items():
            if verdict.blocks:
                return Trial(number, "failed", parameters, **told, reason=f"{gate}: {verdict.reason}")
        images = self.sample(self.plan, self.persona.base, result.path)
        judged = self.judge.judge(f"trial {number + 1}", images, self.plan.strength, self.progress)
        return Trial(number, "judged", parameters, **told, candidate=judged.candidate.to_json())

    def _trained(self, recipe: Path) -> "TrainingResult":
        try:
            return self.train(recipe)
        except ChildLostError:
            # Once may be anybody's kill, and goes on from its checkpoint; twice in a row is this recipe's, as where the
            # system ends whoever takes all memory.
            return self.train(recipe)

    def _recipe_file(self, content_hash: str) -> Path:
        return self.folder / "recipes" / f"{content_hash[:32]}.toml"

    def _require_success(self, trials: Sequence[Trial], where: Path) -> None:
        failed = [trial for trial in trials if trial.state == "failed"]
        if 2 * len(failed) > self.search.trials:
            raise InputError(f"{where}: accepted a search in which half of all trials or more can be judged, got "
                             f"{len(failed)} of {self.search.trials} failed, the last: {failed[-1].reason}; next: "
                             "narrow [training.search]")  # fmt: skip


def _is_of_the_recipe(error: InputError) -> bool:
    from lifeos.lora.shortages import DISK_COMPLAINT

    # With a full disk any recipe would fail, and be remembered for it.
    return DISK_COMPLAINT not in str(error)


def _placed_values(recipe: Path, loaded: "Recipe") -> dict[str, Any]:
    """Return the values of a recipe's file with absolute folders, so that its trials may lie elsewhere."""
    values = tomllib.loads(recipe.read_text(encoding="utf-8"))
    places = {"base": loaded.base, "dataset": loaded.dataset}
    if loaded.prior is not None:
        places["prior.folder"] = loaded.prior.folder
    if loaded.mask is not None:
        name = "folder" if loaded.mask.folder is not None else "face_models"
        places[f"mask.{name}"] = loaded.mask.folder or loaded.mask.detector_folder
    return with_parameters(values, {key: path.resolve().as_posix() for key, path in places.items()})


def _outcome(
    search: TrainingSearch, trials: Sequence[Trial], persona: "Persona", plan: "SamplePlan", content: Mapping[str, Any]
) -> dict[str, Any]:
    ranked = sorted(best_first(trials), key=lambda trial: trial.number)
    candidates = [trial.as_candidate() for trial in ranked]
    if len(candidates) > 1:
        chosen = select(candidates)
    else:
        chosen = Selection(tuple(candidates), None if candidates[0].ruled_out else 0, None)
    return {
        "schema": TRAINING_SCHEMA, "persona": persona.name, "kind": "training", "of": len(candidates),
        "set": "A", "plan": plan.content_hash, "policy": content["policy"], "optimism": chosen.optimism,
        "calibration": content["calibration"], "search": hash_json(dict(content)), "seed": search.seed,
        "trials": len(trials), "failed": sum(trial.state == "failed" for trial in trials),
        "contradictory": sum(trial.state == "contradictory" for trial in trials),
        "candidates": [
            {"lora": trial.lora, "strength": persona.sampler.strength, "recipe": trial.recipe,
             "parameters": dict(trial.parameters), **asdict(candidate)}
            for trial, candidate in zip(ranked, candidates, strict=True)
        ],
        "chosen": chosen.chosen,
    }  # fmt: skip


def _written(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
