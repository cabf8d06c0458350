"""What a run was given: the options shared by ``lifeos gate`` and pytest, resolved and checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifeos.errors import InputError
from lifeos.settings import Project, load_project

# name, what it takes, what it means; the one list behind the command line and the pytest options.
SHARED_OPTIONS: tuple[tuple[str, str], ...] = (
    ("lora", "LoRA file (.safetensors) to judge"),
    ("images", "folder of finished images to judge instead of a LoRA"),
    ("persona", "persona folder"),
    ("recipe", "training recipe (.toml); default: the persona's own"),
    ("policy", "thresholds of the judge (.toml)"),
    ("champion", "promoted LoRA to compare with, or 'none'; default: what the persona names"),
    ("pod", "kind of pod that the predeploy gates assume"),
    ("requirements", "requirements file of the pod"),
    ("training-log", "log of the training, of any trainer, to look for known failures in"),
    ("history", "history file that a finished run is appended to"),
)


@dataclass(frozen=True)
class Inputs:
    """The declared inputs of one run; paths are absolute.

    At most one of ``lora``, ``images`` and ``recipe`` is set. ``champion`` is None where the persona decides.
    ``training_log`` is None where none was named.
    """

    project: Project
    persona: Path
    lora: Path | None
    images: Path | None
    recipe: Path | None
    policy: Path
    champion: str | None
    pod: str
    requirements: Path
    history: Path
    artifacts: Path
    training_log: Path | None = None


def read_inputs(options: dict[str, Any], project: Project | None = None) -> Inputs:
    """Resolve option values (None or "" where not given) against the settings.

    Paths given as options are relative to the working directory, those from the settings to the checkout.

    Raises:
        InputError: more than one of lora, recipe and images, or a named file or folder that is not there.
    """
    project = project or load_project()
    given = {name: str(value) for name, value in options.items() if value not in (None, "")}
    artefacts = [name for name in ("lora", "images", "recipe") if name in given]
    if len(artefacts) > 1:
        both = " and ".join(f"--{name}" for name in artefacts)
        raise InputError(f"artefact: accepted one of --lora, --images, --recipe, got {both}; next: drop one of them")

    def place(name: str) -> Path:
        return Path(given[name]).absolute() if name in given else project.path(name)

    def optional(name: str) -> Path | None:
        return Path(given[name]).absolute() if name in given else None

    inputs = Inputs(
        project=project,
        persona=place("persona"),
        lora=optional("lora"),
        images=optional("images"),
        recipe=optional("recipe"),
        policy=place("policy"),
        champion=given.get("champion"),
        pod=given.get("pod", project.settings.pod),
        requirements=place("requirements"),
        history=place("history"),
        artifacts=place("artifacts"),
        training_log=optional("training-log"),
    )
    for name in ("lora", "recipe", "policy", "requirements", "training-log"):
        _must_exist(name, getattr(inputs, name.replace("-", "_")), name in given, is_folder=False)
    for name in ("images", "persona"):
        _must_exist(name, getattr(inputs, name), name in given, is_folder=True)
    if inputs.champion not in (None, "none"):
        _must_exist("champion", Path(str(inputs.champion)).absolute(), True, is_folder=False)
    return inputs


def declared_champion(inputs: Inputs) -> Path | None:
    """Return what the option or else the persona names as champion: a LoRA or a ``champion.json``; None for none.

    Nothing is opened or verified.

    Raises:
        InputError: the persona must be asked and cannot be read.
    """
    from lifeos.persona import NO_CHAMPION, load_persona

    if inputs.champion is not None:
        return None if inputs.champion == NO_CHAMPION else Path(inputs.champion).absolute()
    return load_persona(inputs.persona, inputs.project.root).champion_file


def champion_file(inputs: Inputs) -> Path | None:
    """Return the LoRA to compare with, verified where a ``champion.json`` names it; None declares a first release.

    Raises:
        InputError: the persona or ``champion.json`` cannot be read, or the file is not there with the right bytes.
    """
    named = declared_champion(inputs)
    if named is None or named.suffix != ".json":
        return named
    from lifeos.champion import champion_lora

    return champion_lora(named, inputs.artifacts)


def declared_needs(inputs: Inputs, phase: str) -> frozenset[str]:
    """Return what this run declares; a gate that needs anything else is not applicable.

    Args:
        inputs: the resolved inputs.
        phase: one of the phases; phase pod always declares the GPU.

    Raises:
        InputError: phase release, and the persona cannot be read.
    """
    declared = set()
    if inputs.lora is not None:
        declared.add("lora")
    if inputs.images is not None:
        declared.add("images")
    if phase == "release" and inputs.lora is None and inputs.images is None:
        # A recipe that trains yields a LoRA.
        declared |= {"recipe", "lora"}
    if phase != "release" and inputs.recipe is not None:
        declared.add("recipe")
    if phase == "release":
        declared |= _needs_of_persona(inputs)
    if inputs.training_log is not None:
        declared.add("training_log")
    if inputs.pod:
        declared.add("pod")
    if inputs.project.settings.budget:
        declared.add("budget")
    if phase == "pod":
        from lifeos.pods.probe.declared import pod_needs

        declared |= {"gpu", *pod_needs(inputs)}
    return frozenset(declared)


def _needs_of_persona(inputs: Inputs) -> set[str]:
    from lifeos.persona import load_persona

    persona = load_persona(inputs.persona, inputs.project.root)
    known = {
        "champion": declared_champion(inputs),
        "clip": persona.clip_folder,
        "second_faces": persona.second_folder,
    }
    return {name for name, path in known.items() if path is not None}


def _must_exist(name: str, path: Path | None, was_given: bool, is_folder: bool) -> None:
    # A default that is missing blocks the gate that reads it; a path that somebody typed is a usage error at once.
    if path is None or not was_given:
        return
    kind = "folder" if is_folder else "file"
    if not (path.is_dir() if is_folder else path.is_file()):
        raise InputError(f"--{name} {path}: accepted an existing {kind}, got none there; next: check the path")
