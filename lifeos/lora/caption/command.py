"""What ``lifeos auto-caption`` does: from a folder and its options to captions, review, contact sheet and lint."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.verdict import Outcome
from lifeos.errors import InputError

if TYPE_CHECKING:
    from evals.expression_reader import ExpressionReader
    from lifeos.lora.caption.auto_caption import Backend, Row
    from lifeos.lora.caption.rules import CaptionRules
    from lifeos.lora.dataset_lint.faces import Measure
    from lifeos.lora.dataset_lint.lint import DatasetLint
    from lifeos.persona import Persona

MEASURED = "measured"
_SHIPPED_BASE, _SHIPPED_FACES = "models/tiny-base", "models/faces"


@dataclass(frozen=True)
class Request:
    """The command's options; empty texts and None are those that were not given."""

    folder: Path
    backend: str = MEASURED
    model: Path | None = None
    prompt: str | None = None
    persona: Path | None = None
    trigger: str = ""
    class_word: str = ""
    rendered: bool = False
    force: bool = False
    dry_run: bool = False


def run_auto_caption(request: Request, root: Path, artifacts: Path, *, as_json: bool) -> int:
    """Caption a folder and show the review; return the exit status.

    0: every picture has a caption and the lint has nothing to block. 1: a finding of the lint blocks. 2: a picture was
    refused, or nothing of its face could be measured, or the lint could not evaluate something.

    Args:
        request: the options.
        root: of the checkout.
        artifacts: data folder.
        as_json: answer as one JSON object.

    Raises:
        InputError: an option, the folder, the persona or the model cannot be used; nothing is written then.
    """
    from lifeos.lora.caption.auto_caption import auto_caption
    from lifeos.lora.caption.lint import lint_written
    from lifeos.lora.caption.show import show_captions, to_json
    from lifeos.lora.dataset_lint.finding import printable
    from lifeos.lora.dataset_lint.show import show_lint
    from lifeos.report.progress_bars import show_progress

    _check_options(request)
    persona = _persona(request, root)
    rules = _rules(request, persona)
    measure = _measure(persona, root, artifacts)
    backend = _backend(request, persona, root, artifacts, measure)
    write = not request.dry_run
    lint, sheet = None, None
    with show_progress() as progress:
        made = auto_caption(request.folder, rules, backend, force=request.force, write=write, progress=progress)
        if write:
            lint = lint_written(request.folder, rules, persona, measure, artifacts, progress)
            sheet = _sheet(request.folder, lint, made.rows, artifacts)
    if as_json:
        print(json.dumps(to_json(made, request.folder, request.backend, rules, lint, sheet), allow_nan=False))
    else:
        show_captions(made, request.folder.absolute())
        if lint is not None:
            show_lint(lint)
            print(printable(f"contact sheet: {sheet}"))
    if not made.complete:
        return 2
    return 0 if lint is None else _exit_of(lint, whole=persona is not None)


def _check_options(request: Request) -> None:
    from lifeos.lora.caption.captioners import FAMILIES

    backends = (MEASURED, *FAMILIES)
    if request.backend not in backends:
        raise InputError(f"--backend: accepted one of {', '.join(backends)}, got {request.backend!r}; next: correct it")
    if request.backend == MEASURED:
        for option, given in (("--model", request.model), ("--prompt", request.prompt)):
            if given is not None:
                raise InputError(
                    f"{option}: accepted with --backend {', '.join(FAMILIES)}, got {MEASURED}; next: leave {option} out"
                )
    elif request.rendered:
        raise InputError(f"--rendered: accepted with --backend {MEASURED}, got {request.backend}; next: leave it out")
    elif request.model is None:
        raise InputError(
            f"--model: accepted the folder of a {request.backend} model on this machine, got none; next: --model FOLDER"
        )


def _persona(request: Request, root: Path) -> "Persona | None":
    from lifeos.persona import load_persona
    from lifeos.skeleton import refuse_skeleton

    if request.persona is None:
        return None
    folder = request.persona if request.persona.is_dir() else root / "personas" / request.persona
    persona = load_persona(folder)
    # Its trigger is a placeholder.
    refuse_skeleton(persona.folder)
    return persona


def _rules(request: Request, persona: "Persona | None") -> "CaptionRules":
    from lifeos.lora.caption.rules import CaptionRules
    from lifeos.lora.caption.scaffold import check_trigger
    from lifeos.lora.dataset_lint.tokens import read_tokenizers

    if persona is None:
        if not request.trigger:
            raise InputError(
                "--trigger: accepted a word, or a --persona that has one, got neither; next: --trigger WORD"
            )
        check_trigger(request.trigger)
        return CaptionRules(request.trigger, request.class_word or "person")
    for option, given, own in (
        ("--trigger", request.trigger, persona.trigger),
        ("--class-word", request.class_word, persona.class_word),
    ):
        if given and given != own:
            raise InputError(f"{option}: accepted the persona's own {own!r}, got {given!r}; next: leave {option} out")
    # What is measured holds no names: a persona called Grey may stand before a grey background.
    names = [] if request.backend == MEASURED else [persona.name]
    try:
        tokenizers = read_tokenizers(persona.base)
    except InputError:
        # The base may lie on the pod alone; the lint says that nobody counted the tokens.
        tokenizers = []
    return CaptionRules(persona.trigger, persona.class_word, names, tokenizers)


def _measure(persona: "Persona | None", root: Path, artifacts: Path) -> "Measure":
    from lifeos.lora.dataset_lint.command import face_measure

    if persona is None:
        return face_measure("yunet_sface", root / _SHIPPED_FACES, artifacts)
    return face_measure(persona.face_backend, persona.face_folder, artifacts)


def _backend(request: Request, persona: "Persona | None", root: Path, artifacts: Path, measure: "Measure") -> "Backend":
    from lifeos.lora.caption.auto_caption import measured_backend, text_backend
    from lifeos.lora.caption.captioners import Captioner

    if request.model is not None:
        return text_backend(Captioner(request.backend, request.model, request.prompt), artifacts)
    reader = _reader(root / _SHIPPED_BASE if persona is None else persona.base) if request.rendered else None
    return measured_backend(measure, reader, rendered=request.rendered)


def _reader(base: Path) -> "ExpressionReader | None":
    from lifeos.expressions import reader_of

    return reader_of(base)


def _sheet(folder: Path, lint: "DatasetLint", rows: "list[Row]", artifacts: Path) -> Path:
    from evals.content_hash import hash_bytes
    from lifeos.lora.caption.show import notes
    from lifeos.lora.dataset_lint.contact_sheet import write_contact_sheet

    # Two folders of one name have a sheet each.
    place = hash_bytes(str(folder.resolve()).encode("utf-8", "surrogateescape"))[:8]
    path = artifacts / "reports" / f"captions-{folder.resolve().name}-{place}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    said: Mapping[Path, list[str]] = {row.image: notes(row) for row in rows}
    write_contact_sheet(lint, path, notes=said)
    return path


def _exit_of(lint: "DatasetLint", *, whole: bool) -> int:
    outcomes: Any = lint.outcome if whole else lint.verdict("dataset_captions").outcome
    return {Outcome.PASSED: 0, Outcome.FAILED: 1, Outcome.NOT_EVALUATED: 2}[outcomes]
