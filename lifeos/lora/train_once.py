"""Training that happens once for equal inputs, whoever asks and however often."""

from pathlib import Path
from typing import Any

from lifeos.errors import InputError
from lifeos.lora.child import run_once
from lifeos.lora.progress import Progress, silent
from lifeos.lora.recipe import Recipe
from lifeos.lora.train import FINISHED_NAME, TrainingResult, finished_result
from lifeos.lora.training_inputs import read_inputs, run_folder_for


def train_once(recipe: Recipe, artifacts: Path, progress: Progress = silent, *, retry: bool = False) -> TrainingResult:
    """Return the finished LoRA of a recipe below ``artifacts/runs``, trained in the one child process if need be.

    Processes that ask for it meanwhile sleep on a lock. After a kill, the same call goes on from the last checkpoint.

    Args:
        recipe: what to train.
        artifacts: data folder.
        progress: called with ("latents" | "training", done, total).
        retry: forget a remembered failure.

    Raises:
        InputError: what ``train_lora`` raises; a failure is remembered and raised again at once, until the inputs
            change or ``retry``.
    """
    inputs = read_inputs(recipe)
    folder = run_folder_for(artifacts, inputs)

    def job() -> dict[str, Any] | None:
        if finished_result(folder, inputs) is not None:
            return None
        values = recipe.model_copy(update={"base": recipe.base.resolve(), "dataset": recipe.dataset.resolve(),
                                           "threads": recipe.effective_threads}).model_dump(mode="json")
        values = {name: "none" if value is None and name != "alpha" else value for name, value in values.items()}
        return {"operation": "train", "recipe": values, "out": str((folder / FINISHED_NAME).resolve()),
                "run_folder": str(folder.resolve())}

    made = run_once(Path(artifacts), folder, job, progress, retry=retry)
    result = finished_result(folder, inputs)
    if result is None:
        raise InputError(f"{folder}: accepted a finished run, got none; next: run the same command again")
    return TrainingResult(**{**vars(result), "reused": not made})
