"""``lifeos convert-lora``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lifeos.cli_options import History, Json, history_path
from lifeos.errors import InputError

if TYPE_CHECKING:
    from lifeos.lora.families import Family

SCHEMA = "lifeos.convert/1"


def convert_lora(
    lora: Annotated[Path, typer.Argument(help="LoRA file of any format.", metavar="LORA")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.", metavar="OUT.safetensors")],
    to: Annotated[str, typer.Option("--to", help="diffusers, peft or kohya (ComfyUI, A1111).", metavar="FORMAT")],
    persona: Annotated[
        Path | None, typer.Option("--persona", help="Persona whose base it is for; default: the project's.")
    ] = None,
    base: Annotated[Path | None, typer.Option("--base", help="Its base, in place of a persona's.")] = None,
    family: Annotated[
        str, typer.Option("--family", help="Family of --base; default: what the file says of itself.")
    ] = "",
    row: Annotated[str, typer.Option("--row", help="Row that judged LORA; default: its latest.", metavar="ROW")] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    history: History = None,
    as_json: Json = False,
) -> int:
    """Write a LoRA under the names of another format; the copy says which row judged the file it was made from.

    Exit status: 0 written, 2 it cannot be converted exactly or the command was wrong.
    """
    from evals.content_hash import hash_file
    from lifeos.lora.convert import convert_lora as convert
    from lifeos.lora.dataset_lint.finding import printable
    from lifeos.lora.hand_over import judgement_of
    from lifeos.lora.key_formats import WRITTEN_FORMATS
    from lifeos.lora.safetensors_file import read_header

    key_format = next((name for name in WRITTEN_FORMATS if name == to), None)
    if key_format is None:
        raise InputError(f"--to: accepted {', '.join(WRITTEN_FORMATS)}, got {to!r}; next: choose one of them")
    said = read_header(lora).metadata.get("lifeos.family", "")
    of_base, folder = _base(persona, base, family, said)
    _refuse_overwriting(lora, out, key_format, force)
    judgement = judgement_of(hash_file(lora), history_path(history), row)
    made = convert(lora, out, folder, of_base, key_format, judgement)
    judged = "no release in the history judged this file" if judgement is None else judgement.line
    if as_json:
        answer = {
            "schema": SCHEMA, "out": str(made.path), "sha256": made.sha256, "source_sha256": made.source_sha256,
            "from": list(made.source_formats), "to": made.key_format, "family": of_base.name, "modules": made.modules,
            "ranks": list(made.ranks), "alphas": list(made.alphas), "types": list(made.types), "dora": made.dora,
            "row": None if judgement is None else judgement.row,
            "verdict": None if judgement is None else judgement.verdict, "notes": list(made.notes),
        }  # fmt: skip
        print(json.dumps(answer, allow_nan=False))
        return 0
    numbers = f"rank {_listed(made.ranks)}, alpha {_listed(made.alphas)}, {_listed(made.types)}"
    lines = [f"{made.path}: {made.modules} modules of {of_base.name}, {'+'.join(made.source_formats)} to "
             f"{made.key_format}, {numbers}{', DoRA' if made.dora else ''}, SHA-256 {made.sha256}",
             f"judged: {judged}", *(f"note: {note}" for note in made.notes)]  # fmt: skip
    print("\n".join(printable(line) for line in lines))
    return 0


def _base(persona: Path | None, base: Path | None, family: str, said: str) -> tuple["Family", Path]:
    """Return family and base: named ones, else the persona's; what the file says of its family decides what is left."""
    from lifeos.lora.families import get_family
    from lifeos.persona import load_persona
    from lifeos.settings import load_project

    if base is not None:
        if persona is not None:
            raise InputError("base: accepted one of --base and --persona, got both; next: drop one of them")
        if not (family or said):
            raise InputError("--family: accepted the family of --base, got none, and the file names none; "
                             "next: pass --family NAME")  # fmt: skip
        return get_family(family or said), base
    project = load_project()
    folder = persona or project.path("persona")
    found = load_persona(folder if folder.is_dir() else project.root / "personas" / folder, project.root)
    for source, name in (("--family", family), ("the file", said)):
        if name and name != found.family:
            raise InputError(f"base: accepted one of family {name} as {source} says, got persona {found.name} with "
                             f"{found.family}; next: pass --base FOLDER")  # fmt: skip
    return get_family(found.family), found.base


def _refuse_overwriting(lora: Path, out: Path, key_format: str, force: bool) -> None:
    from lifeos.lora.adapter_config import ADAPTER_CONFIG

    if out.suffix != ".safetensors":
        raise InputError(f"-o {out}: accepted a name ending in .safetensors, got {out.suffix!r}; next: rename it")
    if out.resolve() == lora.resolve():
        raise InputError(f"-o {out}: accepted another file than LORA, got the same; next: rename it")
    for path in (out, out.parent / ADAPTER_CONFIG) if key_format == "peft" else (out,):
        if path.exists() and not force:
            raise InputError(f"{path}: accepted a file that is not there yet, got one; next: --force")


def _listed(values: tuple[object, ...]) -> str:
    return " ".join(str(value) for value in values)
