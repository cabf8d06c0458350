"""Which of our samplers a server has too, to the formula: equal noise levels, equal first latents, equal steps.

A server works on x / sqrt(alpha), whose noise has standard deviation sigma. There a DDIM step without added noise is
one of Euler (Song et al., arXiv 2010.02502, section 4.3), and DPM-Solver++ 2M is the same recurrence (Lu et al., arXiv
2211.01095, algorithm 2). What differs is where it starts: ``ddim`` and ``dpmsolver++`` from latents of variance 1,
hence noise times sqrt(1 + sigma^2); ``euler`` from noise times sigma. ComfyUI always starts as the first do; of
stable-diffusion-webui the option ``sgm_noise_multiplier`` says which. ``sde-dpmsolver++`` draws its noise otherwise.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifeos.errors import InputError
from lifeos.lora.backends.image_server import A1111, COMFYUI

if TYPE_CHECKING:
    from lifeos.lora.sample_plan import SamplePlan

_EQUIVALENTS = {
    COMFYUI: {"dpmsolver++": ("dpmpp_2m", True), "ddim": ("euler", True)},
    A1111: {"dpmsolver++": ("DPM++ 2M", True), "ddim": ("Euler", True), "euler": ("Euler", False)},
}
_FAMILIES = ("tiny_base", "sd15", "sdxl")
_LEVELS = 1000
# What both servers take for a checkpoint of these families.
_SCHEDULE: dict[str, Any] = {"num_train_timesteps": _LEVELS, "beta_schedule": "scaled_linear", "beta_start": 0.00085,
                             "beta_end": 0.012, "rescale_betas_zero_snr": False, "trained_betas": None}  # fmt: skip


@dataclass(frozen=True)
class Equivalent:
    """What a server is asked for so that it samples as the plan says.

    Args:
        sampler: its name there.
        from_unit_variance: whether the first latents are noise times sqrt(1 + sigma^2), else times sigma.
        prediction: ``epsilon`` or ``v_prediction``, what the denoiser gives.
        guidance: classifier-free guidance scale; 1 for none.
        zero_empty: whether the empty prompt is embedded as zeros.
    """

    sampler: str
    from_unit_variance: bool
    prediction: str
    guidance: float
    zero_empty: bool


def equivalent(plan: "SamplePlan", base: Path) -> Equivalent:
    """Return how the plan's server samples as the plan says.

    Args:
        plan: its backend is no diffusers.
        base: folder in diffusers' layout; configs are read.

    Raises:
        InputError: sampler, number of steps, family, decoding or the base's schedule has no equivalent there.
    """
    from lifeos.lora.families.component_files import read_config

    known = _EQUIVALENTS[plan.backend]
    if plan.family not in _FAMILIES:
        _refuse(plan, "a base of " + ", ".join(_FAMILIES), plan.family, 'backend = "diffusers" in persona.toml')
    if plan.sampler not in known:
        _refuse(plan, f"a sampler that it has too ({', '.join(known)})", plan.sampler, "change sampler.name")
    if plan.vae_dtype != "float32" or plan.vae_tiling:
        _refuse(plan, "vae_dtype float32 without vae_tiling: a server decodes as it was started",
                f"{plan.vae_dtype}{' with vae_tiling' if plan.vae_tiling else ''}",
                "drop vae_dtype and vae_tiling from the sampler")  # fmt: skip
    if not levels_agree(plan.steps):
        near = min((each for each in range(1, _LEVELS + 1) if levels_agree(each)), key=lambda n: abs(n - plan.steps))
        _refuse(plan, f"steps for which its noise levels are ours, such as {near}", str(plan.steps),
                "change sampler.steps")  # fmt: skip
    schedule = {**{name: value for name, value in _SCHEDULE.items() if name not in ("beta_start", "beta_end")},
                "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear",
                **read_config(base, "scheduler", "scheduler_config.json")}  # fmt: skip
    for name, value in _SCHEDULE.items():
        if schedule[name] != value:
            _refuse(plan, f"a base whose schedule has {name} {value}", str(schedule[name]),
                    'backend = "diffusers" in persona.toml')  # fmt: skip
    prediction = str(schedule.get("prediction_type", "epsilon"))
    if prediction not in ("epsilon", "v_prediction"):
        _refuse(plan, "a base that predicts epsilon or v_prediction", prediction, 'backend = "diffusers"')
    zero = plan.family == "sdxl" and bool(read_config(base, "", "model_index.json").get(
        "force_zeros_for_empty_prompt", True))  # fmt: skip
    if plan.family == "sdxl" and plan.backend == A1111 and not zero and plan.guidance > 1.0:
        _refuse(plan, "an SDXL that takes zeros for the empty prompt", "one that reads it", "set sampler.guidance to 1")
    return Equivalent(*known[plan.sampler], prediction, max(float(plan.guidance), 1.0), zero)


def levels_agree(steps: int) -> bool:
    """Return whether a server's schedule ``simple`` of so many steps has the noise levels of our trailing spacing.

    It counts ``floor(k * 1000 / steps)`` levels down from the noisiest where diffusers rounds. Of 1 to 1000 steps those
    are alike for the 16 numbers that divide 1000, and for no other.
    """
    return _LEVELS % steps == 0


def _refuse(plan: "SamplePlan", accepted: str, got: str, command: str) -> None:
    raise InputError(f"sampling by {plan.backend}: accepted {accepted}, got {got}; next: {command}")
