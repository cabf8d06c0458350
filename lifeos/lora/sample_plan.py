"""Which images a plan asks for, and the key each is stored under; no torch."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from evals.content_hash import hash_json
from lifeos.errors import InputError
from lifeos.lora.backends.image_server import BACKENDS, DIFFUSERS, ImageServer

SAMPLING_REVISION = 1
"""Raised when a change of this code changes pixels of every family."""
_READING_REVISION = 1
BATCH_SIZE = 12
"""Images drawn at once unless the persona says otherwise; speed and memory only."""
VaeDtype = Literal["float32", "bfloat16", "float16"]
_UNUSUAL_PIXELS, _NO_PIXELS = ("vae_dtype", "vae_tiling"), ("vae_slicing", "batch")


@dataclass(frozen=True)
class PlannedPrompt:
    """A prompt as the text encoder gets it, with the id it is reported under (``B07``)."""

    id: str
    text: str


@dataclass(frozen=True)
class ImageRequest:
    """One image to make: a prompt, a noise seed in [0, 2**63), and the LoRA's strength."""

    prompt: PlannedPrompt
    seed: int
    strength: float


@dataclass(frozen=True)
class SamplePlan:
    """Prompts times seeds, and how each is sampled. Candidate and champion share one plan, hence one initial noise.

    Args:
        prompts: in the order of sampling; ids are unique.
        seeds: noise seeds of every prompt; one generator an image, so nothing depends on the batch.
        sampler: a name the family knows (``dpmsolver++``, ``sde-dpmsolver++``, ``ddim``, ``euler``).
        steps: denoiser steps.
        guidance: classifier-free guidance scale; at 1 and below there is none.
        width, height: pixels.
        strength: factor on the LoRA; 0 is the base alone.
        dtype: arithmetic of the denoiser; latents stay float32.
        family: base model family.
        device: ``cpu`` or ``cuda``; named, not guessed, because it changes the last bits.
        backend: who draws, one of ``BACKENDS``.
        server: where another backend than diffusers is reached; no part of what is asked for, so of no hash.
        vae_dtype: arithmetic of the autoencoder.
        vae_tiling: decode an image larger than the base's own in overlapping tiles, blended at their edges.
        vae_slicing: decode one image after another: memory only.
        batch: images drawn at once: memory and speed only.

    Raises:
        InputError: an empty or repeated part, or a number outside its range.
    """

    prompts: tuple[PlannedPrompt, ...]
    seeds: tuple[int, ...]
    sampler: str
    steps: int
    guidance: float
    width: int
    height: int
    strength: float = 1.0
    dtype: Literal["float32", "bfloat16"] = "float32"
    family: str = "tiny_base"
    device: str = "cpu"
    backend: str = DIFFUSERS
    server: ImageServer | None = field(default=None, compare=False)
    vae_dtype: VaeDtype = "float32"
    vae_tiling: bool = False
    vae_slicing: bool = False
    batch: int = BATCH_SIZE

    def __post_init__(self) -> None:
        ids = [prompt.id for prompt in self.prompts]
        _require(bool(ids) and len(set(ids)) == len(ids), "prompts", "at least one, each id once", ids)
        _require(bool(self.seeds) and len(set(self.seeds)) == len(self.seeds)
                 and all(type(seed) is int and 0 <= seed < 2**63 for seed in self.seeds),
                 "seeds", "different integers from 0 to 2**63 - 1", self.seeds)
        _require(1 <= self.steps <= 1000, "steps", "1 to 1000", self.steps)
        _require(0.0 <= self.guidance <= 100.0, "guidance", "0 to 100", self.guidance)
        _require(-10.0 <= self.strength <= 10.0, "strength", "-10 to 10", self.strength)
        _require(min(self.width, self.height) >= 8 and max(self.width, self.height) <= 4096, "size", "8 to 4096 pixels",
                 (self.width, self.height))
        _require(self.dtype in ("float32", "bfloat16"), "dtype", "float32 or bfloat16", self.dtype)
        _require(self.backend in BACKENDS, "backend", ", ".join(BACKENDS), self.backend)
        _require(self.vae_dtype in ("float32", "bfloat16", "float16"), "vae_dtype", "float32, bfloat16 or float16",
                 self.vae_dtype)
        _require(1 <= self.batch <= 1024, "batch", "1 to 1024", self.batch)

    @property
    def content_hash(self) -> str:
        """SHA-256 over all of the plan that moves pixels; neither base nor LoRA enter."""
        left_out = (*_NO_PIXELS, "server")
        return hash_json({name: value for name, value in self.to_json().items() if name not in left_out})

    def requests(self) -> tuple[ImageRequest, ...]:
        """Return every image of the plan, prompt by prompt."""
        return tuple(ImageRequest(prompt, seed, self.strength) for prompt in self.prompts for seed in self.seeds)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values; who draws, how it decodes and batches is left out where it is as usual.

        So a plan that asks for nothing new has the hash that it had before there was anything to ask for.
        """
        usual = {each.name: each.default for each in fields(self) if each.name in _UNUSUAL_PIXELS + _NO_PIXELS}
        if self.backend == DIFFUSERS:
            usual |= {"backend": self.backend, "server": asdict(self)["server"]}
        return {name: value for name, value in asdict(self).items() if name not in usual or value != usual[name]}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "SamplePlan":
        """Read what ``to_json`` wrote; raises what the constructor raises."""
        prompts = tuple(PlannedPrompt(**prompt) for prompt in values["prompts"])
        server = values.get("server")
        return cls(**{**values, "prompts": prompts, "seeds": tuple(values["seeds"]),
                      "server": None if server is None else ImageServer(**server)})  # fmt: skip


def image_key(plan: SamplePlan, request: ImageRequest, base_hash: str, lora_hash: str | None) -> str:
    """Return the key of one image: SHA-256 over all that its pixels depend on, apart from rounding.

    Batch size, thread count and decoding one by one do not enter (they may move a pixel by at most 2/255), nor do
    prompt ids; how the autoencoder computes enters where it is not as usual. Without a LoRA, or at strength 0, images
    are those of the base and shared by every LoRA.
    """
    with_lora = lora_hash is not None and request.strength != 0.0
    unusual = {name: value for name, value in plan.to_json().items() if name in _UNUSUAL_PIXELS}
    return hash_json({
        "revision": _revision(plan), "base": base_hash, "lora": lora_hash if with_lora else None,
        "strength": float(request.strength) if with_lora else 0.0, "prompt": request.prompt.text, "seed": request.seed,
        "sampler": plan.sampler, "steps": plan.steps, "guidance": float(plan.guidance), "width": plan.width,
        "height": plan.height, "dtype": plan.dtype, "family": plan.family, "device": plan.device,
        **({} if plan.backend == DIFFUSERS else {"backend": plan.backend}),
        **unusual,
    })


def _revision(plan: SamplePlan) -> int:
    # Beside a denoiser in bfloat16 T5 was read in float32 once: those images alone are others now.
    reads_t5 = plan.family in ("sd3", "flux") and plan.dtype == "bfloat16"
    return SAMPLING_REVISION + (_READING_REVISION if reads_t5 else 0)


def _require(holds: bool, name: str, accepted: str, got: Any) -> None:
    if not holds:
        raise InputError(f"sample plan: {name}: accepted {accepted}, got {str(got)[:120]}; next: edit the persona")
