"""What to do with the chosen cell: the lines for ``persona.toml`` and the commands that follow."""

import json
from typing import TYPE_CHECKING

from lifeos.parameter_sweep.outcome import SweepOutcome

if TYPE_CHECKING:
    from lifeos.inputs import Inputs
    from lifeos.persona import Persona


def sampler_lines(outcome: SweepOutcome, persona: "Persona") -> dict[str, str]:
    """Return the keys of ``[sampler]`` in ``persona.toml`` that the chosen cell changes, with their TOML values.

    Empty where nothing was chosen, or where the persona says the same already.
    """
    if outcome.chosen is None:
        return {}
    cell, own = outcome.cells[outcome.chosen].cell, persona.sampler
    values = {
        "name": (cell.sampler, own.name), "steps": (cell.steps, own.steps), "guidance": (cell.guidance, own.guidance),
        "strength": (cell.strength, own.strength),
    }  # fmt: skip
    return {key: json.dumps(new) for key, (new, old) in values.items() if new != old}


def next_steps(outcome: SweepOutcome, persona: "Persona", inputs: "Inputs") -> list[str]:
    """Return one line a step, each beginning with ``next:``."""
    if outcome.chosen is None:
        return ["every cell with all prompts is ruled out; next: train again, or widen [grid]"]
    changed = sampler_lines(outcome, persona)
    steps = []
    if changed:
        lines = ", ".join(f"{key} = {value}" for key, value in changed.items())
        steps.append(f"next: write {lines} under [sampler] in {persona.folder / 'persona.toml'}")
    if set(changed) - {"strength"}:
        # A calibration is bound to sampler, steps and guidance: without this the release is not evaluated.
        steps.append(f"next: lifeos calibrate {persona.folder}")
    other = "" if inputs.persona == inputs.project.path("persona") else f" --persona {inputs.persona}"
    steps.append(f"next: lifeos gate release{other} --lora {outcome.cells[outcome.chosen].cell.lora.path}")
    return steps
