"""``recipe``: a recipe with its defaults filled in, and recipes made of other trainers' arguments."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from lifeos.cli_options import Json
from lifeos.errors import InputError

app = typer.Typer(help="Show a recipe, or make one of another trainer's arguments.", no_args_is_help=True)

SHOW_SCHEMA = "lifeos.recipe/1"


@app.command("show")
def show(
    recipe: Annotated[Path, typer.Argument(help="Training recipe.", metavar="RECIPE.toml")], as_json: Json = False
) -> int:
    """Print a recipe with every default filled in, and its hash."""
    from lifeos.lora.recipe import read_recipe, recipe_toml
    from lifeos.lora.recipe.schema import OFF_BY_A_WORD

    read = read_recipe(recipe)
    values = {**read.model_dump(mode="json"), "alpha": read.effective_alpha}
    values["optimizer"]["learning_rate"] = read.optimizer.base_learning_rate
    if as_json:
        answer = {"schema": SHOW_SCHEMA, "hash": read.content_hash, "recipe": values}
        print(json.dumps(answer, allow_nan=False))
        return 0
    written = {key: "none" if value is None and key in OFF_BY_A_WORD else value for key, value in values.items()}
    print(recipe_toml(written, [f"hash {read.content_hash}"]), end="")
    return 0


@app.command("import")
def import_(
    files: Annotated[
        list[Path],
        typer.Argument(help="Command line, --config_file or --dataset_config of one run.", metavar="FILE..."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Recipe to write.", metavar="RECIPE.toml")],
    source: Annotated[str | None, typer.Option("--from", help="kohya or diffusers; default: told by the file.")] = None,
    said: Annotated[
        list[str] | None, typer.Option("--set", help="A key that no argument says.", metavar="KEY=VALUE")
    ] = None,
    as_json: Json = False,
) -> int:
    """Make a recipe of the arguments of kohya's or diffusers' training scripts, and say what became of each.

    Exit status: 0 written with everything that changes the LoRA, 1 something of it was left out, or a key is missing
    and nothing was written, 2 the command was wrong.
    """
    from evals.atomic import write_text
    from lifeos.lora.recipe_import import SOURCES, import_recipe, parse_said

    if source not in (None, *SOURCES):
        raise InputError(f"--from: accepted {' or '.join(SOURCES)}, got {source!r}; next: say one of them")
    if out.suffix != ".toml":
        raise InputError(f"-o {out}: accepted a name ending in .toml, got {out.suffix!r}; next: rename it")
    texts = [_read(file) for file in files]
    folder = files[0].absolute().parent
    report = import_recipe(
        texts, source=source, said=parse_said(said or []), out=out, subfolders=lambda named: _subfolders(folder, named)
    )
    if report.text is not None:
        write_text(out, report.text)
    written = str(out) if report.text is not None else None
    if as_json:
        print(json.dumps(report.to_json(written), allow_nan=False))
    else:
        print("\n".join(report.lines()))
        lost = sum(each.matters is not False for each in report.not_mapped)
        rest = f", hash {report.hash}; {lost} left out that change the LoRA or may" if written else ""
        print(f"{out}: {f'written{rest}' if written else 'not written'}")
    return 0 if report.is_faithful else 1


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{file}: accepted a file of arguments, got {error.strerror}; next: check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: accepted UTF-8 text, got {error.reason}; next: save it as UTF-8") from error


def _subfolders(beside: Path, named: str) -> list[str] | None:
    """Names of the folders in a folder, looked for beside the file of arguments; no other folder is looked into."""
    try:
        return sorted(each.name for each in (beside / named).iterdir() if each.is_dir())
    except (OSError, ValueError):
        return None


def _printable(text: Any) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in str(text))
