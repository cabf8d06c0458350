"""``lifeos lint-dataset`` and the dataset gates: from a persona folder to a ``DatasetLint``."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.verdict import Outcome
from lifeos.errors import InputError
from lifeos.progress import Progress, silent
from lifeos.skeleton import refuse_skeleton

if TYPE_CHECKING:
    from lifeos.lora.dataset_lint.faces import Measure
    from lifeos.lora.dataset_lint.lint import DatasetLint
    from lifeos.persona import Persona

_EXIT = {Outcome.PASSED: 0, Outcome.FAILED: 1, Outcome.NOT_EVALUATED: 2}


def lint_persona(
    persona: "Persona", artifacts: Path, *, recipe: Path | None = None, progress: Progress = silent
) -> "DatasetLint":
    """Lint what a recipe of a persona trains on.

    Args:
        persona: the loaded persona.
        artifacts: data folder; faces and pictures are looked at once and remembered there.
        recipe: default the persona's own; where that is not written yet, the persona's ``dataset/`` is linted.
        progress: called with (stage, done, total).

    Raises:
        InputError: there are no photographs yet, the recipe cannot be used, or a folder cannot be listed.
    """
    from lifeos.lora.buckets import sizes_of_recipe
    from lifeos.lora.dataset_lint.lint import lint_dataset
    from lifeos.lora.recipe import find_folder, read_recipe

    refuse_skeleton(persona.folder)
    written = recipe or persona.recipe
    # The base of the recipe may lie on the pod alone: pictures and captions can be looked at without it.
    loaded = read_recipe(written) if recipe is not None or written.exists() else None
    return lint_dataset(
        persona,
        face_measure(persona.face_backend, persona.face_folder, artifacts),
        artifacts,
        dataset=None if loaded is None else find_folder(written, loaded.dataset, "dataset"),
        subfolders=loaded.repeats if loaded is not None and isinstance(loaded.repeats, dict) else (),
        trained_trigger=None if loaded is None else loaded.trigger,
        buckets=None if loaded is None or loaded.resolution is None else sizes_of_recipe(loaded.resolution),
        progress=progress,
    )


def run_lint(persona: Path, artifacts: Path, *, html: Path | None, as_json: bool, rewrite: list[Path]) -> int:
    """Rewrite what was asked for, lint, show; return the exit status: 0 passed, 1 findings block, 2 not evaluated.

    Raises:
        InputError: persona, recipe, a picture to rewrite or the folder of ``html`` cannot be used.
    """
    from lifeos.lora.dataset_lint.contact_sheet import write_contact_sheet
    from lifeos.lora.dataset_lint.rewrite import rewrite_image
    from lifeos.lora.dataset_lint.show import show_lint
    from lifeos.persona import load_persona
    from lifeos.report.progress_bars import show_progress

    loaded = load_persona(persona)
    if html is not None and not html.absolute().parent.is_dir():
        raise InputError(f"--html {html}: accepted a file in an existing folder, got none there; next: make the folder")
    if html is not None and html.is_dir():
        raise InputError(f"--html {html}: accepted a file, got a folder; next: name a file in it")
    for path in rewrite:
        rewrite_image(path)
    with show_progress() as progress:
        lint = lint_persona(loaded, artifacts, progress=progress)
        if html is not None:
            write_contact_sheet(lint, html, progress)
    if as_json:
        print(json.dumps(lint.to_json(), allow_nan=False))
    else:
        show_lint(lint)
    return _EXIT[lint.outcome]


def face_measure(backend: str, folder: Path, artifacts: Path) -> "Measure":
    """Return the function that measures one image; the face models are named and opened when it is first called.

    Args:
        backend: which face models.
        folder: of their weights.
        artifacts: data folder, where what was measured is remembered.
    """
    from lifeos import engine
    from lifeos.measure import Measurements, face_models_hash

    known: list[Measurements] = []

    def measure(path: Path) -> Mapping[str, Any]:
        if not known:
            models = face_models_hash(backend, folder)
            known.append(Measurements(artifacts, lambda: engine.open_faces(backend, folder), models))
        return known[0].of(path)

    return measure
