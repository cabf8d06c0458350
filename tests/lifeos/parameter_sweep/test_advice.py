from dataclasses import replace

from lifeos.parameter_sweep.advice import next_steps, sampler_lines
from lifeos.persona import load_persona
from tests.lifeos.parameter_sweep.swept import swept


def test_what_differs_from_the_persona_is_written_and_calibrated_for(inputs, tmp_path):
    persona, outcome = load_persona(inputs.persona), swept(tmp_path)
    assert sampler_lines(outcome, persona) == {"steps": "28", "guidance": "3.0"}
    steps = next_steps(outcome, persona, inputs)
    assert [step.split(" ")[1] for step in steps] == ["write", "lifeos", "lifeos"]
    assert steps[0].startswith("next: write steps = 28, guidance = 3.0 under [sampler]")
    assert steps[1] == f"next: lifeos calibrate {persona.folder}"
    assert steps[2] == f"next: lifeos gate release --persona {inputs.persona} --lora one.safetensors"


def test_a_strength_alone_needs_no_calibration_and_nothing_chosen_no_lines(inputs, tmp_path):
    persona = load_persona(inputs.persona)
    outcome = swept(tmp_path, strengths=(0.8, 0.9), steps=(2,), guidance=(1.0,))
    assert sampler_lines(outcome, persona) == {"strength": "0.9"}
    assert not any("calibrate" in step for step in next_steps(outcome, persona, inputs))
    same = swept(tmp_path, strengths=(0.8, 1.0), steps=(2,), guidance=(1.0,))
    assert len(next_steps(same, persona, inputs)) == 1
    lines = next_steps(replace(outcome, chosen=None), persona, inputs)
    assert lines == ["every cell with all prompts is ruled out; next: train again, or widen [grid]"]
