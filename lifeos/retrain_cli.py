"""``retrain-lora``: train a recipe's LoRA, with or without the judge looking on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from lifeos.cli_options import Artifacts, Json, Policy
from lifeos.errors import InputError

SCHEMA = "lifeos.retrain/1"


def retrain_lora(
    recipe: Annotated[Path, typer.Argument(help="Training recipe.", metavar="RECIPE.toml")],
    out: Annotated[Path, typer.Option("--out", "-o", help="LoRA file to write.", metavar="OUT.safetensors")],
    persona: Annotated[
        str | None, typer.Option(help="Whose judge looks every sample_every steps.", metavar="FOLDER")
    ] = None,
    policy: Policy = None,
    as_json: Json = False,
    artifacts: Artifacts = None,
) -> int:
    """Train a LoRA; the same command after a kill goes on where it was."""
    from lifeos.inputs import read_inputs
    from lifeos.lora.recipe import load_recipe
    from lifeos.lora.train import hand_out
    from lifeos.lora.train_once import train_once
    from lifeos.memory_shortage import shortage_answered
    from lifeos.report.progress_bars import show_progress
    from lifeos.report.training_curve import PAGE_NAME
    from lifeos.training_watch.inputs import WatchInputs, watch_request
    from lifeos.training_watch.news import news_of
    from lifeos.training_watch.tensorboard import ABSENT, writes_events

    if out.suffix != ".safetensors":
        raise InputError(f"-o {out}: accepted a name ending in .safetensors, got {out.suffix!r}; next: rename it")
    loaded = load_recipe(recipe)
    if loaded.sample_every is None and (persona or policy):
        raise InputError(f"{recipe}: accepted sample_every for a judge to look on, got none; next: set sample_every or "
                         "drop --persona and --policy")  # fmt: skip
    inputs = read_inputs({"persona": persona, "policy": policy, "artifacts": artifacts})
    watch = watch_request(loaded, WatchInputs(inputs.persona, inputs.project.root, inputs.policy), inputs.artifacts)
    news: list[Callable[[], list[str]]] = []
    told_as_it_comes = show_progress(news=lambda: [line for told in news for line in told()])
    with shortage_answered(loaded, inputs.artifacts), told_as_it_comes as progress:
        result = train_once(
            loaded, inputs.artifacts, progress, watch=watch, begun=lambda folder: news.append(news_of(folder))
        )
    saved, page = hand_out(result, loaded, out), result.path.with_name(PAGE_NAME)
    drawn = watch is not None and page.is_file()
    answer = {
        "schema": SCHEMA, "out": str(out), "sha256": result.sha256, "steps": result.steps, "reused": result.reused,
        "seconds": round(result.seconds, 1), "kept_step": result.kept_step, "stopped": result.stopped,
        "saved": [str(path) for path in saved], "curve": str(page) if drawn else None,
    }  # fmt: skip
    if as_json:
        print(json.dumps(answer, allow_nan=False))
        return 0
    how = "found finished" if result.reused else f"trained {result.steps} steps in {result.seconds:.0f} s"
    print(f"{out}: {how}, SHA-256 {result.sha256}")
    if result.stopped is not None:
        print(f"kept is step {result.kept_step}: {result.stopped}")
    if drawn:
        print(f"curve: {page}")
    elif watch is not None:
        print("no curve: this LoRA was trained before without looks, and is not paid for twice; next: remove "
              f"{page.parent}")  # fmt: skip
    if watch is not None and not result.reused and not writes_events():
        print(ABSENT)
    if saved:
        print(f"next: lifeos choose-checkpoint {' '.join(map(str, [*saved, out]))}")
    return 0
