"""``lifeos auto-caption``."""

from pathlib import Path
from typing import Annotated

import typer

from lifeos.cli_options import Json


def auto_caption(
    folder: Annotated[Path, typer.Argument(help="Folder of images; captions lie beside them.", metavar="FOLDER")],
    persona: Annotated[
        Path | None, typer.Option(help="Persona whose trigger and class it is.", metavar="PERSONA")
    ] = None,
    trigger: Annotated[str, typer.Option(help="Word that means the person; default: the persona's.")] = "",
    class_word: Annotated[str, typer.Option(help="What the person is one of; default: person.", metavar="WORD")] = "",
    backend: Annotated[str, typer.Option(help="measured, blip, florence2 or qwen-vl.", metavar="NAME")] = "measured",
    model: Annotated[
        Path | None, typer.Option(help="Its model on this machine, safetensors.", metavar="FOLDER")
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="What qwen-vl is asked; default: what varies.")] = None,
    rendered: Annotated[
        bool, typer.Option("--rendered", help="Renders, no photographs: name expression and hard or soft light too.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace captions that are there.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be written.")] = False,
    as_json: Json = False,
    artifacts: Annotated[Path | None, typer.Option(help="Folder for images and runs.", metavar="FOLDER")] = None,
) -> int:
    """Write a caption beside each image that has none: trigger and class once, what varies, nothing of identity.

    Exit status: 0 every image has one and the dataset lint blocks nothing, 1 a finding blocks, 2 an image was refused,
    something could not be evaluated, or the command was wrong.
    """
    from lifeos.lora.caption.command import Request, run_auto_caption
    from lifeos.settings import load_project

    project = load_project()
    request = Request(
        folder, backend, model, prompt, persona, trigger, class_word, rendered, force=force, dry_run=dry_run
    )
    return run_auto_caption(request, project.root, artifacts or project.path("artifacts"), as_json=as_json)
