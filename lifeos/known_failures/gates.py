"""The registry among the gates: which test nodes there are, and the gates that no other check would carry."""

from typing import TYPE_CHECKING, Any

from evals.known_failures import Entry, read_entries
from evals.verdict import Verdict, failed, not_evaluated, passed
from lifeos.errors import InputError
from lifeos.manifest import PHASES, Manifest, default_manifest, load_manifest

if TYPE_CHECKING:
    from lifeos.known_failures.given import Given


def entry_parameters() -> list[Any]:
    """Return a pytest parameter for each entry that can be live: its id, marked with the phases of its gate.

    Raises:
        InputError: an entry cannot be read or does not fit the manifest.
    """
    import pytest

    manifest, parameters = load_manifest(default_manifest()), []
    for entry in checked_entries(manifest):
        row = None if entry.gate is None else manifest.row(entry.gate)
        if row is None:
            continue
        marks = [getattr(pytest.mark, phase) for phase in row.phases]
        marks += [pytest.mark.gpu] if "gpu" in row.needs else []
        parameters.append(pytest.param(entry, id=entry.id, marks=marks))
    return parameters


def checked_entries(manifest: Manifest) -> list[Entry]:
    """Return every entry, held against the list of gates.

    Raises:
        InputError: an entry cannot be read, its gate is not listed, or its gate's first phase or severity is another.
    """
    entries = read_entries()
    for entry in entries:
        if entry.gate is None:
            continue
        row = manifest.row(entry.gate)
        if row is None:
            raise InputError(f"{entry.id}: gate: accepted one of gates/manifest.toml, got {entry.gate!r}; next: edit "
                             f"{entry.id}.toml")  # fmt: skip
        first = next(phase for phase in PHASES if phase in row.phases)
        for name, stated, listed in (("phase", entry.phase, first), ("severity", entry.severity, row.severity)):
            if stated != listed:
                raise InputError(f"{entry.id}: {name}: accepted {listed!r} as of its gate {row.id}, got {stated!r}; "
                                 f"next: edit {entry.id}.toml")  # fmt: skip
    return entries


def recipe_verdict(given: "Given") -> Verdict:
    """Judge the recipe: it can be read, nothing in it contradicts itself, and no device is left open that costs hours.

    A LoRA or images that were handed in are judged without one, so that none need be there.
    """
    try:
        finished = given.inputs.lora is not None or given.inputs.images is not None
        if finished and not given.recipe_file.exists():
            return passed("what was trained is handed in, and no recipe stands beside it")
        if not given.recipe_file.exists():
            return not_evaluated(f"{given.recipe_file} is not there; next: write it (docs/recipe.md)")
        steps, slow = given.recipe.steps, _drawn_on_a_processor(given)
    except InputError as error:
        return failed(str(error))
    if slow is not None:
        return failed(slow)
    return passed(f"{given.recipe_file.name}: every key is understood and none contradicts another ({steps} steps)")


def _drawn_on_a_processor(given: "Given") -> str | None:
    """Return what is left to a pod's processor because nobody said otherwise: all images of what its GPU trains.

    A device that the persona names is meant. tiny_base is small enough for a processor.
    """
    pod, recipe = given.declared_pod, given.recipe
    if pod is None or recipe.device != "cuda" or recipe.family == "tiny_base":
        return None
    persona = given.persona
    drawn, images = persona.sampler, len(persona.prompts_b) * len(persona.seeds.b)
    # A persona of another family is not the one that is trained: a recipe was named alone.
    if persona.family != recipe.family or drawn.backend != "diffusers" or "device" in drawn.model_fields_set:
        return None
    return (f"[sampler] of {persona.folder / 'persona.toml'}: accepted a device beside a recipe that trains on "
            f"{pod.gpu.name}, got none, and its {images} images of {drawn.width}x{drawn.height} would be drawn on the "
            'processor; next: device = "cuda" in [sampler], or "cpu" where that is meant')


def training_log_verdict(given: "Given") -> Verdict:
    """Judge whether the training log can be read and logs a loss; what it shows is for the entries."""
    from lifeos.lora.training_text import LOSSES

    try:
        log = given.log
    except InputError as error:
        return not_evaluated(str(error))
    counts = [len(log.figures(name)) for name in LOSSES]
    if not any(counts):
        return not_evaluated(f"{log.path.name} names no loss; next: hand in the log of the training itself")
    return passed(f"{log.path.name}: {max(counts)} readings of the loss", value=max(counts))
