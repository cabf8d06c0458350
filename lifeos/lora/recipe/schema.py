"""One training run as data: every key with its range and default, and the hash of what can change the result."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from evals.content_hash import hash_json
from lifeos.lora.recipe.contradictions import FLOW_FAMILIES, contradictions
from lifeos.lora.recipe.sections import (
    CaptionShuffleSettings,
    EarlyStopSettings,
    EmaSettings,
    Integer,
    MaskSettings,
    Number,
    OptimizerSettings,
    PriorSettings,
    ResolutionSettings,
    Section,
    Switch,
)
from lifeos.processor import available_cores, resolve_dtype

TargetPreset = Literal["attention", "attention_feedforward", "full"]

Repeats = Annotated[int, Field(strict=True, ge=1, le=10_000)]
Subfolder = Annotated[str, StringConstraints(pattern=r"^[^/\\]+$", max_length=200)]

OFF_BY_A_WORD = frozenset({
    "min_snr_gamma", "gradient_clip", "resolution", "caption_shuffle", "prior", "mask", "ema", "cache_latents",
    "cache_text", "timestep_sampling", "discrete_flow_shift", "save_every", "sample_every", "early_stop",
})  # fmt: skip
"""Keys that ``"none"`` turns off in the file: TOML has no null."""

# Part of every hash since the first; a key that came later enters only where it stands away from its default, so that
# LoRAs and histories from before it keep the hash they carry.
_ALWAYS_HASHED = frozenset({
    "trigger", "family", "name", "seed", "steps", "batch_size", "rank", "alpha", "targets", "optimizer",
    "min_snr_gamma", "caption_dropout", "gradient_clip", "dtype", "save_dtype", "channels_last", "threads",
})  # fmt: skip
_ALWAYS_HASHED_OPTIMIZER = frozenset({"name", "learning_rate", "weight_decay", "betas", "d_coefficient", "schedule"})

# Places, what is written along the way, and a promise of the author: the finished file does not depend on them.
_NOT_HASHED: dict[str, Any] = {
    "base": True, "dataset": True, "checkpoint_every": True, "save_every": True, "sample_every": True,
    "optimizer": {"learning_rate_is_deliberate"}, "prior": {"folder"}, "mask": {"folder", "face_models"},
}  # fmt: skip


class Recipe(Section):
    """One training run. Unknown keys are refused, and so is what contradicts itself (``contradictions``).

    ``base`` and ``dataset`` are folders; ``load_recipe`` resolves them, and those of ``prior`` and ``mask``. They do
    not enter ``content_hash``: what they hold does, through ``training_key``.
    """

    # Again for pydantic's mypy plugin, which does not look at the parent's.
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    base: Path
    """The base model: a folder in diffusers layout, a single file that was converted, or a hub id in the cache."""
    dataset: Path
    """Folder of images with one caption file (``.txt``) each."""
    trigger: str = Field(min_length=1, pattern=r"^\S+$")
    """The word in every caption that comes to mean the persona."""
    family: str = "tiny_base"
    """Base model family, a module of ``lifeos.lora.families``."""
    name: str = ""
    """Title written into the file; the trigger when empty."""
    seed: Integer = Field(default=0, ge=0, lt=2**63)
    """Seed of everything random in training."""
    steps: Integer = Field(ge=1, le=1_000_000)
    """Optimizer steps."""
    batch_size: Integer = Field(default=8, ge=1, le=4096)
    """Images a batch; a step takes ``gradient_accumulation`` of them."""
    gradient_accumulation: Integer = Field(default=1, ge=1, le=1024)
    """Batches whose gradients are averaged into one optimizer step."""
    rank: Integer = Field(default=16, ge=1, le=1024)
    """Rank of every LoRA pair."""
    alpha: Number | None = Field(default=None, gt=0.0, le=65_536.0)
    """LoRA alpha; the effect is scaled by alpha / rank. The rank when absent."""
    dora: Switch = False
    """Train the magnitude of each weight apart from its direction (DoRA)."""
    targets: TargetPreset = "full"
    """Which modules carry the LoRA: attention, with feed-forward, or with convolutions too."""
    train_text_encoder: Switch = False
    """Give the text encoders a LoRA too."""
    optimizer: OptimizerSettings = OptimizerSettings()
    """See ``OptimizerSettings``."""
    min_snr_gamma: Number | None = Field(default=5.0, gt=0.0, le=1000.0)
    """Gamma of min-SNR loss weighting; ``"none"`` in the file turns it off. Off when absent in a flow family."""
    noise_offset: Number = Field(default=0.0, ge=0.0, le=1.0)
    """Standard deviation of noise that is added alike to a whole channel."""
    timestep_sampling: Literal["uniform", "logit_normal", "flux_shift"] | None = None
    """Flow families: how noise levels are drawn; what the family does when absent."""
    discrete_flow_shift: Number | None = Field(default=None, gt=0.0, le=100.0)
    """Flow families: shift s of a level t, s t / (1 + (s - 1) t); that of the base's scheduler when absent."""
    caption_dropout: Number = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of images trained with an empty caption."""
    caption_shuffle: CaptionShuffleSettings | None = None
    """See ``CaptionShuffleSettings``."""
    repeats: Repeats | dict[Subfolder, Repeats] = 1
    """How often each picture stands in one pass over the dataset; a table says it for each subfolder."""
    resolution: ResolutionSettings | None = None
    """See ``ResolutionSettings``."""
    flip: Switch = False
    """Mirror half of the pictures."""
    colour_augmentation: Switch = False
    """Change hue and gamma of half of the pictures a little, anew at every step."""
    prior: PriorSettings | None = None
    """See ``PriorSettings``."""
    mask: MaskSettings | None = None
    """See ``MaskSettings``."""
    ema: EmaSettings | None = None
    """See ``EmaSettings``."""
    cache_latents: Switch | None = None
    """Encode each picture once; where absent, whenever the other keys allow it."""
    cache_text: Switch | None = None
    """Encode each caption once and never again; where absent, whenever the other keys allow it."""
    gradient_clip: Number | None = Field(default=1.0, gt=0.0, le=1000.0)
    """Largest norm of the whole gradient; ``"none"`` turns it off."""
    checkpoint_every: Integer = Field(default=100, ge=1, le=1_000_000)
    """Steps between checkpoints."""
    save_every: Integer | None = Field(default=None, ge=1, le=1_000_000)
    """Steps between LoRA files that are kept beside the finished one; none when absent."""
    sample_every: Integer | None = Field(default=None, ge=1, le=1_000_000)
    """Steps between looks: samples drawn and judged while training; none when absent."""
    early_stop: EarlyStopSettings | None = None
    """See ``EarlyStopSettings``."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where training runs."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "float32"
    """Arithmetic of the frozen base; LoRA weights and optimizer stay float32. ``auto`` is bfloat16 where the device
    computes it in hardware and float32 elsewhere; what it came to is hashed."""
    full_float16: Switch = False
    """Keep LoRA weights, gradients and optimizer in float16 too."""
    attention: Literal["auto", "sdpa", "xformers"] = "auto"
    """Code that computes attention: ``auto`` is the family's choice, ``sdpa`` PyTorch's own."""
    gradient_checkpointing: Switch = False
    """Compute activations again in the backward pass instead of keeping them."""
    compile: Switch = False
    """Compile the denoiser with ``torch.compile``."""
    offload: Switch = False
    """Keep on the GPU only what the step at hand needs."""
    save_dtype: Literal["float32", "float16", "bfloat16"] = "float16"
    """Type of the tensors in the finished file."""
    channels_last: Switch = False
    """Memory layout of the convolutions; changes speed and the last bits."""
    threads: Integer = Field(default=0, ge=0, le=1024)
    """CPU threads; 0 means every core this process may use. The number itself is hashed: it changes the last bits."""

    @model_validator(mode="before")
    @classmethod
    def _read_words(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        read = {key: None if key in OFF_BY_A_WORD and value == "none" else value for key, value in values.items()}
        family = read.get("family")
        if isinstance(family, str) and family in FLOW_FAMILIES:
            read.setdefault("min_snr_gamma", None)
        return read

    @model_validator(mode="after")
    def _check_together(self) -> "Recipe":
        found = contradictions(self)
        if found:
            raise ValueError("; ".join(f"{' with '.join(each.fields)}: {each.reason}" for each in found))
        return self

    @property
    def effective_alpha(self) -> float:
        """``alpha``, or the rank where the file names none."""
        return float(self.rank) if self.alpha is None else self.alpha

    @property
    def effective_threads(self) -> int:
        """``threads``, or the number of cores this process may use."""
        return self.threads or available_cores()

    @property
    def effective_dtype(self) -> Literal["float32", "bfloat16", "float16"]:
        """``dtype``, or what ``auto`` comes to on this machine."""
        return "float16" if self.dtype == "float16" else resolve_dtype(self.dtype, self.device)

    @property
    def caches_latents(self) -> bool:
        """``cache_latents``; where absent, whether every picture is the same at every step."""
        return not self.colour_augmentation if self.cache_latents is None else self.cache_latents

    @property
    def caches_text(self) -> bool:
        """``cache_text``; where absent, whether every caption is the same at every step, for an encoder that rests."""
        changes = self.caption_shuffle is not None or self.train_text_encoder
        return not changes if self.cache_text is None else self.cache_text

    @property
    def title(self) -> str:
        """``name``, or the trigger."""
        return self.name or self.trigger

    def settings(self) -> dict[str, Any]:
        """Return every setting that can change the result, defaults filled in, without paths.

        A key that older recipes did not have is left out while it stands at its default.
        """
        settings = self.model_dump(mode="json", exclude=_NOT_HASHED)
        settings = _without_newer_defaults(settings, self, _ALWAYS_HASHED)
        settings["optimizer"] = _without_newer_defaults(settings["optimizer"], self.optimizer, _ALWAYS_HASHED_OPTIMIZER)
        settings.update(alpha=self.effective_alpha, threads=self.effective_threads, dtype=self.effective_dtype,
                        name=self.title)
        settings["optimizer"]["learning_rate"] = self.optimizer.base_learning_rate
        if self.early_stop is not None:
            # Looks decide where such a run ends.
            settings["sample_every"] = self.sample_every
        return settings

    @property
    def content_hash(self) -> str:
        """SHA-256 over ``settings()``: equal for equal recipes wherever their files lie."""
        return hash_json(self.settings())


def _without_newer_defaults(settings: dict[str, Any], section: Section, kept: frozenset[str]) -> dict[str, Any]:
    fields = type(section).model_fields
    return {
        key: value for key, value in settings.items() if key in kept or getattr(section, key) != fields[key].default
    }
