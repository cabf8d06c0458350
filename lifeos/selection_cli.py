"""``choose-checkpoint``: which of several LoRAs, or at which strength."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from lifeos.cli_options import Artifacts, History, Json, Persona, Policy, utc_now

SCHEMA = "lifeos.choose/1"


def choose_checkpoint(
    files: Annotated[list[Path], typer.Argument(help="LoRA files to choose among.", metavar="FILE...")],
    strength: Annotated[
        list[float] | None, typer.Option("--strength", help="Factor on the LoRA; may be given several times.")
    ] = None,
    persona: Persona = None,
    policy: Policy = None,
    history: History = None,
    artifacts: Artifacts = None,
    as_json: Json = False,
) -> int:
    """Choose among LoRA files and strengths on prompt set A; the release reports on the untouched set B.

    Exit status: 0 one was chosen, 1 every one is ruled out, 2 the command was wrong.
    """
    from contextlib import nullcontext

    from lifeos import engine
    from lifeos.errors import InputError
    from lifeos.inputs import read_inputs
    from lifeos.report.progress_bars import show_progress
    from lifeos.selection import choose_among, sample_in_child

    for file in files:
        if not file.is_file():
            raise InputError(f"{file}: accepted a LoRA file, got none there; next: check the path")
    inputs = read_inputs({"persona": persona, "policy": policy, "history": history, "artifacts": artifacts})
    watching: Any = nullcontext(lambda *_: None) if as_json else show_progress()
    with watching as progress:
        found, row = choose_among(
            inputs, files, strength or [1.0], time=utc_now(),
            progress=progress, engine=engine, sample=sample_in_child(inputs.artifacts, progress),
        )  # fmt: skip
    if as_json:
        print(json.dumps({"schema": SCHEMA, "row": row["id"], "chosen": row["chosen"], "optimism": row["optimism"],
                          "candidates": row["candidates"]}, allow_nan=False))  # fmt: skip
        return 0 if found.chosen is not None else 1
    width = max(len(candidate.name) for candidate in found.candidates)
    for place, candidate in enumerate(found.candidates):
        error = "" if candidate.standard_error is None else f" +- {candidate.standard_error:.4f}"
        why = f"  ruled out by {', '.join(candidate.ruled_out)}" if candidate.ruled_out else ""
        sign = ">" if place == found.chosen else " "
        print(f"{sign} {candidate.name.ljust(width)}  likeness {candidate.likeness:.4f}{error}{why}")
    print(f"chosen among {row['of']} on prompt set A, recorded as row {row['id']}")
    if found.chosen is None:
        print("every candidate is ruled out; next: train again")
        return 1
    if found.optimism is not None:
        print(f"the best of so many looks better than it is by up to {found.optimism:.4f}: set B will say")
    chosen = row["candidates"][found.chosen]
    if chosen["strength"] != 1.0:
        print(f"next: write strength = {chosen['strength']:g} under [sampler] in persona.toml, then judge")
    print(f"next: lifeos gate release --lora {files[found.chosen // len(strength or [1.0])]}")
    return 0
