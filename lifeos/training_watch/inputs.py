"""Who judges the looks at a training run, and on which images; no torch."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from evals.content_hash import hash_file, hash_folder, hash_json
from lifeos.errors import InputError

if TYPE_CHECKING:
    from lifeos.lora.recipe import Recipe
    from lifeos.lora.sample_plan import SamplePlan
    from lifeos.lora.watching import WatchRequest
    from lifeos.persona import Persona

WATCH_REVISION = 1
"""Raised when a change of this code or of ``evals.training_stop`` changes where a run ends."""
IMAGES_A_LOOK = 8
_FEWEST_PROMPTS = 2


@dataclass(frozen=True)
class WatchInputs:
    """The persona that a run is judged as.

    Args:
        persona: its folder.
        root: what its paths are relative to.
        policy: file of the rules.
    """

    persona: Path
    root: Path
    policy: Path


def watch_plan(persona: "Persona") -> "SamplePlan":
    """Return the images of every look: some prompts of set A, spread over it, with its first seeds, 8 images or so.

    Prompts, seeds and hence noise are the same at every look, so the curve is paired. Set B is not touched.

    Raises:
        InputError: set A has fewer than two prompts, or shares one or a seed with set B.
    """
    from lifeos.selection import plan_a

    plan = plan_a(persona)(persona.sampler.strength)
    if len(plan.prompts) < _FEWEST_PROMPTS:
        raise InputError(f"{persona.prompts}: accepted {_FEWEST_PROMPTS} prompts or more in set A, got "
                         f"{len(plan.prompts)}; next: add [[a]] prompts")  # fmt: skip
    count = min(IMAGES_A_LOOK, len(plan.prompts))
    prompts = tuple(plan.prompts[place * len(plan.prompts) // count] for place in range(count))
    return replace(plan, prompts=prompts, seeds=plan.seeds[: math.ceil(IMAGES_A_LOOK / count)])


def looks_of(recipe: "Recipe") -> int:
    """Return how many looks a whole run takes: every ``sample_every`` steps, and after the last step."""
    return 0 if recipe.sample_every is None else math.ceil(recipe.steps / recipe.sample_every)


def watch_identity(recipe: "Recipe", inputs: WatchInputs) -> str | None:
    """Return the hash of all that the looks depend on beside recipe, dataset and base; None where none are asked for.

    Raises:
        InputError: the persona cannot be read, is not the one that the recipe trains, or has no calibration or set A.
    """
    from lifeos.measure import face_models_hash
    from lifeos.persona import load_persona

    if recipe.sample_every is None:
        return None
    persona = load_persona(inputs.persona, inputs.root)
    require_same_persona(recipe, persona, ", or drop sample_every")
    if not persona.calibration.is_file():
        raise InputError(f"{persona.calibration}: accepted a calibration to judge samples by, got none there; next: "
                         f"lifeos calibrate {persona.folder.name}")  # fmt: skip
    return hash_json({
        "revision": WATCH_REVISION, "plan": watch_plan(persona).content_hash,
        "calibration": hash_file(persona.calibration), "policy": hash_file(inputs.policy),
        "faces": face_models_hash(persona.face_backend, persona.face_folder),
        "training_images": hash_folder(persona.dataset),
    })  # fmt: skip


def require_same_persona(recipe: "Recipe", persona: "Persona", otherwise: str = "") -> None:
    """Refuse to judge a recipe's LoRA as another persona's.

    Args:
        recipe: loaded.
        persona: whose judge it is.
        otherwise: what else helps, behind the advice to name that persona.

    Raises:
        InputError: trigger, family or base differ, or a base cannot be read.
    """
    from lifeos.lora.families import base_hash

    # A folder is like itself without its gigabytes being read.
    bases = ("the same", "the same") if recipe.base.resolve() == persona.base.resolve() else (
        base_hash(recipe.base), base_hash(persona.base))  # fmt: skip
    pairs = {"trigger": (recipe.trigger, persona.trigger), "family": (recipe.family, persona.family), "base": bases}
    for name, (wanted, got) in pairs.items():
        if wanted != got:
            raise InputError(f"--persona {persona.folder}: accepted the persona that the recipe trains, with {name} "
                             f"{wanted!r}, got {got!r}; next: name that persona{otherwise}")  # fmt: skip


def watch_request(recipe: "Recipe", inputs: WatchInputs, artifacts: Path) -> "WatchRequest | None":
    """Return what ``train_once`` hands to the child that trains and looks; None where the recipe asks for no looks.

    Raises:
        InputError: as ``watch_identity``.
    """
    from lifeos.lora.watching import WatchRequest

    identity = watch_identity(recipe, inputs)
    if identity is None:
        return None
    values = {"persona": inputs.persona, "root": inputs.root, "policy": inputs.policy, "artifacts": artifacts}
    absolute = {name: str(Path(value).resolve()) for name, value in values.items()}
    return WatchRequest("lifeos.training_watch.child", identity, absolute)
