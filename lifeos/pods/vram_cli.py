"""The command ``lifeos vram``; what it needs is imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from lifeos.cli_options import Json, Persona


def vram(
    recipe: Annotated[Path, typer.Argument(help="Training recipe.", metavar="RECIPE.toml")],
    pod: Annotated[str, typer.Option(help="Kind of pod, or its .toml file.", metavar="NAME")] = "",
    explain: Annotated[bool, typer.Option("--explain", help="Show what the peaks are made of.")] = False,
    plot: Annotated[Path | None, typer.Option(help="PNG of memory over time to draw.", metavar="FILE")] = None,
    persona: Persona = None,
    images: Annotated[int | None, typer.Option(help="Images drawn at once in sampling.", metavar="N")] = None,
    as_json: Json = False,
    artifacts: Annotated[Path | None, typer.Option(help="Folder for images and runs.", metavar="FOLDER")] = None,
) -> int:
    """Will it fit? GPU memory of training and sampling, from configs alone.

    Exit status: 0 it fits, 1 it does not, 2 it could not be told or the command was wrong.
    """
    from lifeos.pods.vram.command import run_vram
    from lifeos.settings import load_project

    return run_vram(load_project(), recipe, pod, explain=explain, plot=plot, images=images, as_json=as_json,
                    artifacts=artifacts, persona=None if persona is None else Path(persona))  # fmt: skip
