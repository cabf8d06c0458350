"""Training with a watcher in the one child process: ``python -m lifeos.training_watch.child FOLDER``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from lifeos.child import child_main
from lifeos.lora import train_once
from lifeos.measure import ImageToMeasure, images_of_plan
from lifeos.progress import Progress, progress_writer, silent
from lifeos.training_watch.inputs import WatchInputs, watch_identity, watch_plan

if TYPE_CHECKING:
    from lifeos.lora.recipe import Recipe
    from lifeos.lora.sample_plan import SamplePlan
    from lifeos.lora.training_log import LogEntry
    from lifeos.lora.watching import Watcher
    from lifeos.training_watch.curve import CurvePoint


def watcher_of(
    recipe: "Recipe", inputs: WatchInputs, artifacts: Path, engine: ModuleType, progress: Progress
) -> "Watcher | None":
    """Return who looks on while a recipe is trained in this process; None where it asks for no looks.

    Training images are measured here, before a step is paid for.

    Raises:
        InputError: as ``watch_identity`` and ``CandidateJudge.of_persona``, or the sampler's device is not here.
    """
    from lifeos.candidate_judge import CandidateJudge
    from lifeos.lora.placement import require_device
    from lifeos.lora.sample import sample_plan
    from lifeos.lora.store import ImageStore
    from lifeos.persona import load_persona
    from lifeos.report.training_curve import CurveLimits, write_training_curve
    from lifeos.training_watch.tensorboard import write_event_file
    from lifeos.training_watch.watcher import PersonaWatcher

    identity = watch_identity(recipe, inputs)
    if identity is None:
        return None
    persona = load_persona(inputs.persona, inputs.root)
    require_device(persona.sampler.device)
    judge = CandidateJudge.of_persona(persona, inputs.policy, artifacts, engine, progress, [recipe.dataset])
    limits = CurveLimits.of(judge.calibration)
    store = ImageStore(artifacts / "samples")

    def sample(plan: "SamplePlan", base: Path, lora: Path) -> list[ImageToMeasure]:
        return images_of_plan(sample_plan(plan, base, lora, store, silent, threads=recipe.effective_threads))

    def publish(folder: Path, points: "Sequence[CurvePoint]", log: "Sequence[LogEntry]") -> None:
        write_event_file(folder, points, log)
        write_training_curve(folder, persona.name, points, log, limits)

    return PersonaWatcher(identity, recipe, watch_plan(persona), judge, sample, publish)


def walk(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train in this process what ``train_once`` asks for, watched; as ``lifeos.lora.train_once.walk``.

    Raises:
        InputError: as ``watcher_of`` and ``train_lora``.
    """
    from lifeos import engine
    from lifeos.lora.recipe import Recipe

    asked = request["watch"]
    inputs = WatchInputs(Path(asked["persona"]), Path(asked["root"]), Path(asked["policy"]))
    recipe, progress = Recipe.model_validate(request["recipe"]), progress_writer(request["progress"])
    watcher = watcher_of(recipe, inputs, Path(asked["artifacts"]), engine, progress)
    return train_once.walk(request, folder, watcher)


if __name__ == "__main__":
    sys.exit(child_main(sys.argv[1:], walk))
