"""What is trained, on what, and how: one TOML file, every key checked, hashed without its paths."""

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evals.content_hash import hash_json
from lifeos.errors import InputError
from lifeos.processor import ComputeDtype, available_cores, resolve_dtype

TargetPreset = Literal["attention", "attention_feedforward", "full"]


class OptimizerSettings(BaseModel):
    """Optimizer of a recipe, ``[optimizer]`` in the file.

    The defaults for Prodigy are its author's recommendation for diffusion models (``lr = 1``, ``weight_decay = 0.01``,
    bias correction and safeguarded warm-up on: https://github.com/konstmish/prodigy); ``betas = (0.9, 0.99)``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["prodigy", "adamw"] = "prodigy"
    """``prodigy`` finds its own step size; ``adamw`` needs ``learning_rate``."""
    learning_rate: float | None = Field(default=None, gt=0.0, le=10.0)
    """1.0 for Prodigy and 1e-4 for AdamW when absent; leave Prodigy's at 1 and tune ``d_coefficient`` instead."""
    weight_decay: float = Field(default=0.01, ge=0.0)
    """Decoupled weight decay."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Decay of the running mean and of the running square of the gradient, each in [0, 1)."""
    d_coefficient: float = Field(default=1.0, gt=0.0)
    """Prodigy only: factor on the estimated step size."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Course of the learning rate over the steps; ``cosine`` falls to zero after the last step."""

    @model_validator(mode="after")
    def _check(self) -> "OptimizerSettings":
        if not all(0.0 <= beta < 1.0 for beta in self.betas):
            raise ValueError(f"betas must lie in [0, 1), got {self.betas}")
        if self.name == "adamw" and self.d_coefficient != 1.0:
            raise ValueError("d_coefficient belongs to prodigy, got it with adamw")
        return self

    @property
    def base_learning_rate(self) -> float:
        """The learning rate before the schedule."""
        if self.learning_rate is not None:
            return self.learning_rate
        return 1.0 if self.name == "prodigy" else 1e-4


class Recipe(BaseModel):
    """One training run. Unknown keys are refused.

    ``base`` and ``dataset`` are folders; ``load_recipe`` resolves them. They do not enter ``content_hash``: what they
    hold does, through ``training_key``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: Path
    """Folder of the base model, diffusers layout."""
    dataset: Path
    """Folder of images with one caption file (``.txt``) each."""
    trigger: str = Field(min_length=1, pattern=r"^\S+$")
    """The word in every caption that comes to mean the persona."""
    family: str = "tiny_base"
    """Base model family, a module of ``lifeos.lora.families``."""
    name: str = ""
    """Title written into the file; the trigger when empty."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Seed of everything random in training."""
    steps: int = Field(ge=1, le=1_000_000)
    """Optimizer steps."""
    batch_size: int = Field(default=8, ge=1, le=4096)
    """Images a step."""
    rank: int = Field(default=16, ge=1, le=1024)
    """Rank of every LoRA pair."""
    alpha: float | None = Field(default=None, gt=0.0)
    """LoRA alpha; the effect is scaled by alpha / rank. The rank when absent."""
    targets: TargetPreset = "full"
    """Which modules carry the LoRA: attention, with feed-forward, or with convolutions too."""
    optimizer: OptimizerSettings = OptimizerSettings()
    """See ``OptimizerSettings``."""
    min_snr_gamma: float | None = Field(default=5.0, gt=0.0)
    """Gamma of min-SNR loss weighting; ``"none"`` in the file turns it off."""
    caption_dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of images trained with an empty caption."""
    gradient_clip: float | None = Field(default=1.0, gt=0.0)
    """Largest norm of the whole gradient; ``"none"`` turns it off."""
    checkpoint_every: int = Field(default=100, ge=1)
    """Steps between checkpoints."""
    dtype: ComputeDtype = "float32"
    """Arithmetic of the frozen base; LoRA weights and optimizer stay float32. ``auto`` is bfloat16 where the processor
    computes it in hardware and float32 elsewhere; what it came to is hashed."""
    save_dtype: Literal["float32", "float16", "bfloat16"] = "float16"
    """Type of the tensors in the finished file."""
    channels_last: bool = False
    """Memory layout of the convolutions; changes speed and the last bits."""
    threads: int = Field(default=0, ge=0, le=1024)
    """CPU threads; 0 means every core this process may use. The number itself is hashed: it changes the last bits."""

    @model_validator(mode="before")
    @classmethod
    def _none_is_a_word(cls, values: Any) -> Any:
        # TOML has no null.
        if isinstance(values, dict):
            off = {"min_snr_gamma", "gradient_clip"}
            return {key: None if key in off and value == "none" else value for key, value in values.items()}
        return values

    @property
    def effective_alpha(self) -> float:
        """``alpha``, or the rank where the file names none."""
        return float(self.rank) if self.alpha is None else self.alpha

    @property
    def effective_threads(self) -> int:
        """``threads``, or the number of cores this process may use."""
        return self.threads or available_cores()

    @property
    def effective_dtype(self) -> Literal["float32", "bfloat16"]:
        """``dtype``, or what ``auto`` comes to on this machine."""
        return resolve_dtype(self.dtype)

    @property
    def title(self) -> str:
        """``name``, or the trigger."""
        return self.name or self.trigger

    def settings(self) -> dict[str, Any]:
        """Return every setting that can change the result, defaults filled in, without paths."""
        settings = self.model_dump(mode="json", exclude={"base", "dataset", "checkpoint_every"})
        settings.update(alpha=self.effective_alpha, threads=self.effective_threads, dtype=self.effective_dtype,
                        name=self.title)
        settings["optimizer"]["learning_rate"] = self.optimizer.base_learning_rate
        return settings

    @property
    def content_hash(self) -> str:
        """SHA-256 over ``settings()``: equal for equal recipes wherever their files lie."""
        return hash_json(self.settings())


def load_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    A relative ``base`` or ``dataset`` is looked for beside the recipe, then in each folder above it, so that a
    persona's recipe can name its own ``dataset`` and the project's ``models/tiny-base``.

    Raises:
        InputError: what ``read_recipe`` raises, or a folder that the recipe names is nowhere.
    """
    recipe = read_recipe(path)
    found = {field: find_folder(Path(path), getattr(recipe, field), field) for field in ("base", "dataset")}
    return recipe.model_copy(update=found)


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe, ``base`` and ``dataset`` as written: whether they exist is another question.

    Raises:
        InputError: the file is absent, no TOML, holds an unknown key or a value outside its range.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: accepted a recipe file, got {error.strerror}; next: check the path") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: accepted TOML, got {error}; next: edit {path.name}") from error
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "recipe"
        known = f" (keys: {', '.join(Recipe.model_fields)})" if first["type"] == "extra_forbidden" else ""
        shown = "" if first["type"] == "missing" else f", got {first['input']!r:.80}"
        raise InputError(f"{path}: {place}: {first['msg']}{known}{shown}; next: edit {path.name}") from error


def find_folder(recipe: Path, named: Path, field: str) -> Path:
    """Return the folder that a recipe names, beside the recipe or in a folder above it.

    Raises:
        InputError: it is nowhere; ``field`` is the key that named it.
    """
    for parent in recipe.resolve().parents:
        if (parent / named).is_dir():
            return parent / named
    raise InputError(f"{recipe}: {field}: accepted a folder beside the recipe or above it, got {named.as_posix()!r} "
                     f"which is nowhere; next: edit {recipe.name}")
