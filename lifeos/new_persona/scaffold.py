"""The files of a new persona beside its pictures, as text: what a person would write, with the defaults filled in."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifeos.lora.families import get_family
from lifeos.new_persona.plan import PersonaPlan

PROMPTS = Path(__file__).with_name("prompts.toml")
# diffusers' own default for guidance; half of its steps, because the solver is of second order.
_STEPS = 25
_SEEDS = {"a": [0, 1], "b": [100, 101, 102, 103]}
_PASSES, _BATCH, _FEWEST_STEPS = 100, 2, 500
_IGNORED = """# Photographs of a person, and faces of others, stay out of commits; delete a line to track what it names.
dataset/
references/
impostors/
photographs.json
"""


def scaffold(plan: PersonaPlan, training_images: int) -> dict[str, str]:
    """Return the text of each file by its name in the persona's folder.

    Args:
        plan: the persona to be.
        training_images: how many pictures are trained on.
    """
    return {
        "persona.toml": _persona(plan),
        "recipe.toml": _recipe(plan, training_images),
        "prompts.toml": plan.demo["prompts"] if plan.demo else PROMPTS.read_text(encoding="utf-8"),
        ".gitignore": _IGNORED,
    }


def _persona(plan: PersonaPlan) -> str:
    width, height = plan.size
    family = get_family(plan.request.family)
    own = {"name": family.samplers[0], "steps": _STEPS, "guidance": family.usual_guidance, "dtype": "auto",
           "vae_slicing": True}  # SDXL decodes twelve images at once in 50 GiB, predicted, and one after another in 9
    sampler = {**plan.demo.get("sampler", own), "width": width, "height": height}
    lines = [
        "# Made by lifeos new-persona. Every key is described in docs/personas.md.",
        _pair("name", plan.name),
        _pair("trigger", plan.trigger) + "  # the word that comes to mean this person; in recipe.toml and captions too",
        _pair("class_word", plan.request.class_word),
        _pair("base", plan.base),
        _pair("family", plan.request.family),
        'champion = "none"  # a first release: nothing to compare with',
        "far = 0.01  # false accept rate that the likeness threshold is calibrated for",
        "",
        "[sampler]",
        *_pairs(sampler),
        *([] if plan.demo else ['# device = "cuda"  # where a GPU draws: release, sweeps and calibration alike']),
        "",
        "[seeds]  # a: with prompt set A, for choosing; b: with prompt set B, for release",
        *_pairs(plan.demo.get("seeds", _SEEDS)),
        "",
        "[face]",
        _pair("backend", plan.request.face_backend),
        _pair("folder", plan.face_folder),
    ]
    return "\n".join(lines) + "\n"


def _recipe(plan: PersonaPlan, training_images: int) -> str:
    base = plan.base
    if plan.base_path is not None and not _is_above(plan.folder, plan.base):
        base = plan.base_path.absolute().as_posix()
    own = {
        "base": base,
        "family": plan.request.family,
        "dataset": "dataset",
        "trigger": plan.trigger,
        "name": plan.name,
    }
    if plan.demo:
        known: dict[str, Any] = plan.demo["recipe"]
        said = "as the demo of this base trains"
    else:
        steps = max(_FEWEST_STEPS, _PASSES * training_images // _BATCH)
        known = {"seed": 1, "steps": steps, "batch_size": _BATCH, "rank": 16, "targets": "attention", "dtype": "auto",
                 "optimizer": {"name": "prodigy", "schedule": "cosine"}}  # fmt: skip
        said = f"each of {training_images} pictures about {steps * _BATCH // max(training_images, 1)} times"
    rest = {key: value for key, value in known.items() if key not in own and not isinstance(value, dict)}
    lines = [
        f"# A place to begin, not measured on these pictures: {said}. Keys: docs/recipe.md.",
        "# Captions want a person's words: whatever varies unnamed (background, light, expression, clothes, pose) is",
        "# learnt as part of the trigger, and what is named in every caption must be prompted for ever after.",
        *_pairs(own),
        *_pairs(rest),
        *([] if plan.demo else ['# device = "cuda"  # where a GPU trains; [sampler] of persona.toml has its own']),
        *(
            line
            for key, table in known.items()
            if isinstance(table, dict)
            for line in ("", f"[{key}]", *_pairs(table))
        ),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _is_above(folder: Path, named: str) -> bool:
    """Whether a recipe in ``folder`` finds what it names beside it or above, as ``load_recipe`` looks for it."""
    return any((parent / named).exists() for parent in folder.absolute().parents)


def _pairs(table: Mapping[str, Any]) -> list[str]:
    return [_pair(key, value) for key, value in table.items()]


def _pair(key: str, value: Any) -> str:
    # A printable string, a number, a truth value and a list of these read the same in JSON and in TOML.
    return f"{key} = {json.dumps(value, ensure_ascii=False)}"
