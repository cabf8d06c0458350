"""``parameter-sweep``: which LoRA, strength, guidance, steps and sampler."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lifeos.cli_options import Artifacts, History, Json, Persona, Policy, print_table, utc_now

if TYPE_CHECKING:
    from types import ModuleType

    from lifeos.inputs import Inputs
    from lifeos.parameter_sweep.outcome import SweepOutcome
    from lifeos.parameter_sweep.training_study import TrainingSearchResult
    from lifeos.persona import Persona as LoadedPersona
    from lifeos.progress import Progress


def parameter_sweep(
    definition: Annotated[Path, typer.Argument(help="What is tried (.toml).", metavar="SWEEP.toml")],
    engine: Annotated[str, typer.Option(help="Who draws.", metavar="NAME")] = "local",
    engine_option: Annotated[
        list[str] | None,
        typer.Option("--engine-option", help="Option of the engine; may be given several times.", metavar="KEY=VALUE"),
    ] = None,
    persona: Persona = None,
    policy: Policy = None,
    history: History = None,
    artifacts: Artifacts = None,
    as_json: Json = False,
) -> int:
    """Try every combination of LoRA, strength, guidance, steps and sampler on prompt set A, and choose one.

    The same command goes on where it was killed. Exit status: 0 one was chosen, 1 every one is ruled out, 2 the command
    was wrong, 130 interrupted.
    """
    from contextlib import nullcontext

    from lifeos import engine as face_engine
    from lifeos.errors import InterruptedRunError
    from lifeos.inputs import read_inputs
    from lifeos.parameter_sweep.engines import engine_of, parse_options
    from lifeos.parameter_sweep.page import write_page
    from lifeos.parameter_sweep.sweep import prepare_sweep, run_sweep
    from lifeos.report.progress_bars import show_progress

    rendering = engine_of(engine, parse_options(engine_option or []))
    inputs = read_inputs({"persona": persona, "policy": policy, "history": history, "artifacts": artifacts})
    watching: Any = nullcontext(lambda *_: None) if as_json else show_progress()
    try:
        with watching as progress:
            found = _trained(definition, inputs, progress, face_engine)
            loras = None if found is None else {t.name: file for t, file in zip(found.kept, found.loras, strict=True)}
            prepared = prepare_sweep(definition, inputs, face_engine, progress, loras)
            outcome = run_sweep(prepared, inputs, time=utc_now(), progress=progress, rendering=rendering)
    except KeyboardInterrupt:
        raise InterruptedRunError(
            "interrupted; what is drawn stays; next: run the same command again, it goes on from here"
        ) from None
    page = write_page(outcome, inputs.artifacts)
    if as_json:
        search = None if found is None else {"row": found.row["id"], "recorded": found.recorded,
                                             "folder": str(found.folder)}  # fmt: skip
        print(json.dumps({**outcome.row, "recorded": outcome.recorded, "made": outcome.rendering.made,
                          "reused": outcome.rendering.reused, "seconds": round(outcome.rendering.seconds, 1),
                          "page": str(page), "training": search}, allow_nan=False))  # fmt: skip
    else:
        if found is not None:
            from lifeos.parameter_sweep.training_study import trial_lines

            print("\n".join([*trial_lines(found), ""]))
        _show(outcome, page, prepared.persona, inputs)
    return 1 if outcome.chosen is None else 0


def _trained(
    definition: Path, inputs: "Inputs", progress: "Progress", engine: "ModuleType"
) -> "TrainingSearchResult | None":
    from lifeos.parameter_sweep.definition import load_sweep
    from lifeos.parameter_sweep.grid import require_drawable
    from lifeos.persona import load_persona

    sweep = load_sweep(definition)
    if sweep.training is None:
        return None
    # What is wrong with the grid is said before hours of training, not behind them.
    require_drawable(sweep, definition, load_persona(inputs.persona, inputs.project.root))
    from lifeos.parameter_sweep.training_study import run_training_search, train_in_child
    from lifeos.selection import sample_in_child

    return run_training_search(
        sweep.training, inputs, definition, time=utc_now(), progress=progress, engine=engine,
        train=train_in_child(inputs, progress), sample=sample_in_child(inputs.artifacts, progress),
    )  # fmt: skip


def _show(outcome: "SweepOutcome", page: Path, persona: "LoadedPersona", inputs: "Inputs") -> None:
    from lifeos.parameter_sweep.advice import next_steps
    from lifeos.parameter_sweep.grid import varied
    from lifeos.parameter_sweep.scores import SCALES
    from lifeos.report.figure import figure

    names = varied([cell.cell for cell in outcome.cells])
    table = [["", *names, *(scale.name for scale in SCALES), "images", ""]]
    for place, cell in enumerate(outcome.cells):
        sign = ">" if place == outcome.chosen else "*" if place in outcome.front.places else " "
        ruled_out = f"ruled out by {', '.join(cell.candidate.ruled_out)}" if cell.candidate.ruled_out else ""
        why = f"left {cell.left.reason}" if cell.left is not None else ruled_out
        values = [cell.cell.value(name) for name in names]
        table.append([sign, *values, *(figure(cell.scores[s.name]) for s in SCALES), str(len(cell.images)), why])
    print_table(table)
    print("> chosen, * on the front; a cell that left was compared on the prompts it has only")
    for name, reason in outcome.front.left_out.items():
        print(f"{name}: {reason}: it decides for no cell")
    drawn = f"{outcome.rendering.made} images drawn, {outcome.rendering.reused} were there"
    state = "recorded as" if outcome.recorded else "recorded before as"
    print(f"{len(outcome.cells)} cells on prompt set A, {drawn}; {state} row {outcome.row['id']}")
    print(f"page: {page}")
    if outcome.optimism is not None:
        print(f"the best of so many looks better than it is by up to {outcome.optimism:.4f}: set B will say")
    for line in next_steps(outcome, persona, inputs):
        print(line)
