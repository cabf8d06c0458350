"""``base``: what a recipe's or persona's base is, and the two ways of making one ready."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from lifeos.cli_options import Json, artifacts_path
from lifeos.errors import InputError

app = typer.Typer(help="Show a base model, or make one ready: fetched or converted.", no_args_is_help=True)

SCHEMA = "lifeos.base/1"


@app.command("show")
def show(
    base: Annotated[str, typer.Argument(help="Folder, converted file or hub id.", metavar="BASE")],
    as_json: Json = False,
) -> int:
    """Print where a base lies, what is loaded of it and its hash; refuses one that is not whole."""
    from lifeos.lora.families.base_location import refuse_base

    folder = _located(base)
    if not folder.is_dir():
        refuse_base(folder)
    return _told(_described(folder), as_json)


@app.command("convert")
def convert(
    file: Annotated[Path, typer.Argument(help="Single-file checkpoint.", metavar="FILE.safetensors")],
    like: Annotated[
        str, typer.Option("--like", help="Folder or hub id with configs and vocabularies.", metavar="BASE")
    ],
    as_json: Json = False,
) -> int:
    """Convert a checkpoint in the layout of its authors, once, so that recipe and persona can name the file."""
    from lifeos.lora.families.base_location import refuse_base
    from lifeos.lora.families.single_file import convert_single_file

    folder = _located(like)
    if not folder.is_dir():
        refuse_base(folder, "--like")
    done = convert_single_file(file, folder, artifacts_path(None))
    facts = {"made": done.made, "family": done.family, "from_file": list(done.from_file)}
    return _told({**_described(done.folder), **facts}, as_json)


@app.command("fetch")
def fetch(
    name: Annotated[str, typer.Argument(help="Repository, @REVISION behind it or not.", metavar="OWNER/NAME")],
    as_json: Json = False,
) -> int:
    """Fetch a base of the hub into its cache: only what is loaded, safetensors alone."""
    from lifeos.lora.families.base_location import hub_name
    from lifeos.lora.families.hub_fetch import fetch_base

    named = hub_name(name)
    if named is None:
        raise InputError(f"base: accepted OWNER/NAME or OWNER/NAME@REVISION, got {name!r:.120}; next: correct it")

    def tell(files: list[str]) -> None:
        if not as_json:
            print(f"fetching {len(files)} files of {named}", flush=True)

    return _told(_described(fetch_base(named, tell)), as_json)


def _located(base: str) -> Path:
    from lifeos.lora.families.base_location import locate_base
    from lifeos.settings import project_root

    return locate_base(Path(base), [Path.cwd(), project_root()], artifacts_path(None))


def _described(folder: Path) -> dict[str, Any]:
    from lifeos.lora.families import base_hash
    from lifeos.lora.families.component_files import loaded_components, read_config
    from lifeos.lora.families.weight_files import holds_weights, weight_files

    digest = base_hash(folder)
    weights = {name: weight_files(folder / name) for name in loaded_components(folder) if holds_weights(name)}
    return {
        "folder": str(folder), "pipeline": str(read_config(folder, "", "model_index.json").get("_class_name")),
        "weights": {name: list(each.files) for name, each in weights.items()}, "hash": digest,
    }  # fmt: skip


def _told(facts: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print(json.dumps({"schema": SCHEMA, **facts}, allow_nan=False))
        return 0
    for name, value in facts.items():
        if name == "weights":
            for component, files in value.items():
                print(f"{component}: {files[0]}" + (f" and {len(files) - 1} more" if len(files) > 1 else ""))
        else:
            print(f"{name}: {', '.join(value) if isinstance(value, list) else value}")
    return 0
