"""``lifeos init``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from lifeos.cli_options import Json


def init(
    folder: Annotated[Path, typer.Argument(help="Empty or new folder.", metavar="FOLDER")],
    name: Annotated[str, typer.Option(help="The persona's name; default: that of FOLDER.", metavar="NAME")] = "",
    trigger: Annotated[str, typer.Option(help="Word that comes to mean the person; default: from the name.")] = "",
    class_word: Annotated[str, typer.Option(help="What the person is one of.", metavar="WORD")] = "person",
    base: Annotated[str, typer.Option(help="Base model, diffusers layout.", metavar="FOLDER")] = "models/tiny-base",
    family: Annotated[str, typer.Option(help="Family of the base.")] = "tiny_base",
    as_json: Json = False,
) -> int:
    """Lay out a project for a persona of your own: toolchain, control plane, persona, settings, workflows."""
    from datetime import UTC, datetime

    from lifeos.operations.project.init import init_project
    from lifeos.settings import project_root

    made = init_project(
        project_root(), folder, name=name or folder.absolute().name, trigger=trigger, class_word=class_word, base=base,
        family=family, today=datetime.now(UTC).date(),
    )  # fmt: skip
    persona = made.plan.folder.name
    if as_json:
        print(json.dumps({"schema": "lifeos.init/1", "folder": str(made.folder), "persona": persona,
                          "trigger": made.plan.trigger, "files": made.files, "commit": made.commit}))  # fmt: skip
        return 0
    print(f"{made.folder}: {made.files} files, persona {persona}, trigger {made.plan.trigger}")
    for note in made.plan.notes:
        print(f"note: {note}")
    print(f"next: cd {made.folder} && git init && git add -A && git commit -m 'Begin'")
    print(f'then: ./lifeos.sh gate cheap; ./lifeos.sh new-persona PHOTOGRAPHS --name "{persona}"')
    return 0
