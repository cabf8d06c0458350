"""Training that happens once for equal inputs, whoever asks and however often, in the one child process."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lifeos.child import child_main, obtain
from lifeos.errors import InputError
from lifeos.lora.recipe import Recipe
from lifeos.lora.train import FINISHED_NAME, TrainingResult, finished_result, train_lora
from lifeos.lora.training_inputs import read_inputs, run_folder_for
from lifeos.lora.watching import Watcher, WatchRequest
from lifeos.progress import Progress, progress_writer, silent


def train_once(
    recipe: Recipe, artifacts: Path, progress: Progress = silent, *, attempt: str | None = None,
    watch: WatchRequest | None = None, begun: Callable[[Path], None] | None = None,
) -> TrainingResult:  # fmt: skip
    """Return the finished LoRA of a recipe below ``artifacts/runs``, trained in the one child process if need be.

    Processes that ask for it meanwhile sleep on a lock. After a kill, the same call goes on from the last checkpoint.

    Args:
        recipe: what to train.
        artifacts: data folder.
        progress: called with ("latents" | "training", done, total).
        attempt: name of a command with several processes, which then share one failure; None: this call alone.
        watch: who looks on in the child; None for nobody.
        begun: told the run's folder before anything is done there.

    Raises:
        InputError: what ``train_lora`` raises, or how the child ended without a result.
    """
    inputs = read_inputs(recipe, None if watch is None else watch.identity)
    folder = run_folder_for(artifacts, inputs).resolve()
    if begun is not None:
        begun(folder)
    values = recipe.model_copy(
        update={"base": recipe.base.resolve(), "dataset": recipe.dataset.resolve(), "threads": recipe.effective_threads}
    ).model_dump(mode="json")
    values = {name: "none" if value is None and name != "alpha" else value for name, value in values.items()}
    request = {"artifacts": str(Path(artifacts).resolve()), "recipe": values, "run_folder": str(folder),
               "watch": None if watch is None else dict(watch.values)}  # fmt: skip
    module = "lifeos.lora.train_once" if watch is None else watch.module

    def known() -> dict[str, Any] | None:
        return None if finished_result(folder, inputs) is None else {"made": False}

    made = obtain(folder / "child", module, request, attempt, known=known, progress=progress)["made"]
    result = finished_result(folder, inputs)
    if result is None:
        raise InputError(f"{folder}: accepted a finished run, got none; next: run the same command again")
    return TrainingResult(**{**vars(result), "reused": not made})


def walk(request: dict[str, Any], _: Path, watcher: Watcher | None = None) -> dict[str, Any]:
    """Train in this process what ``train_once`` asks for; says whether anything was ``made``.

    Args:
        request: what ``train_once`` wrote.
        watcher: made from its ``watch``; None for nobody.

    Raises:
        InputError: what ``train_lora`` raises.
    """
    folder = Path(request["run_folder"])
    recipe = Recipe.model_validate(request["recipe"])
    progress = progress_writer(request["progress"])
    result = train_lora(recipe, folder / FINISHED_NAME, folder, progress, watcher=watcher)
    return {"made": not result.reused}


if __name__ == "__main__":
    sys.exit(child_main(sys.argv[1:], walk))
