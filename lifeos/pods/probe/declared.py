"""What a run in phase pod declares beside its options: read from requirements, persona and recipe.

A file that cannot be read declares everything it could: the gate then says why it could not look, instead of being
left out.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lifeos.errors import InputError

if TYPE_CHECKING:
    from lifeos.inputs import Inputs

PACKAGES = ("xformers", "bitsandbytes")


def pod_needs(inputs: "Inputs") -> frozenset[str]:
    """Return the needs of ``gates/manifest.toml`` that the files of a run declare.

    ``xformers``, ``bitsandbytes``: the requirements name it; ``insightface``: the persona is judged with it;
    ``training_smoke``: the recipe's family has a random base.
    """
    declared = set(_named(inputs.requirements).intersection(PACKAGES))
    if _uses_insightface(inputs):
        declared.add("insightface")
    if _has_random_base(inputs):
        declared.add("training_smoke")
    return frozenset(declared)


def required_distributions(requirements: Path) -> frozenset[str]:
    """Return the canonical names that a requirements file installs on this machine.

    Raises:
        InputError: the file cannot be read.
    """
    from packaging.utils import canonicalize_name

    from lifeos.pods.requirements import parse_requirements

    try:
        lines, _ = parse_requirements(Path(requirements).read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{requirements}: accepted a requirements file, got {error}; next: check the path") from error
    requirements_here = [line.requirement for line in lines]
    return frozenset(
        str(canonicalize_name(requirement.name))
        for requirement in requirements_here
        if requirement.marker is None or requirement.marker.evaluate()
    )


def recipe_file(inputs: "Inputs") -> Path:
    """Return the recipe that the run trains: the declared one, else the persona's.

    Raises:
        InputError: the persona must be asked and cannot be read.
    """
    from lifeos.persona import load_persona

    return inputs.recipe or load_persona(inputs.persona, inputs.project.root).recipe


def _named(requirements: Path) -> frozenset[str]:
    try:
        return required_distributions(requirements)
    except InputError:
        return frozenset(PACKAGES)


def _uses_insightface(inputs: "Inputs") -> bool:
    from lifeos.persona import load_persona

    return _unless_unreadable(lambda: load_persona(inputs.persona, inputs.project.root).face_backend == "insightface")


def _has_random_base(inputs: "Inputs") -> bool:
    from lifeos.lora.families.random_base import RANDOM_BASES
    from lifeos.settings import read_toml

    # The one key, not the whole recipe: a dataset that is not there yet does not make the family unknown.
    return _unless_unreadable(lambda: read_toml(recipe_file(inputs)).get("family", "tiny_base") in RANDOM_BASES)


def _unless_unreadable(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except InputError:
        return True
