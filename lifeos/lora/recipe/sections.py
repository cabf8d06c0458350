"""The tables of a recipe: optimizer, resolution, caption order, prior preservation, face mask, moving average.

What each default rests on stands in docs/recipe.md.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict, model_validator

# Without Strict, "16", 16.0 and true are all read as numbers, and a typing error trains.
Integer = Annotated[int, Strict()]
Number = Annotated[float, Strict()]
Switch = Annotated[bool, Strict()]

Schedule = Literal["constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts"]


def _multiple_of_8(side: int) -> int:
    # Every autoencoder that a family has shrinks a side by 8; 8 more pixels are one more latent cell.
    if side % 8:
        raise ValueError(f"accepted a multiple of 8, got {side}")
    return side


Side = Annotated[int, Strict(), Field(ge=64, le=8192), AfterValidator(_multiple_of_8)]
"""Pixels along one side of a picture: a multiple of 8 in [64, 8192]."""


class Section(BaseModel):
    """A table of a recipe: unknown keys, NaN and infinities are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class OptimizerSettings(Section):
    """Optimizer of a recipe, ``[optimizer]`` in the file.

    The defaults for Prodigy are its author's recommendation for diffusion models (``lr = 1``, ``weight_decay = 0.01``,
    bias correction and safeguarded warm-up on: https://github.com/konstmish/prodigy); ``betas = (0.9, 0.99)``.
    """

    name: Literal["prodigy", "adamw", "adamw8bit"] = "prodigy"
    """``prodigy`` finds its own step size; ``adamw`` does not; ``adamw8bit`` keeps AdamW's state in 8 bits."""
    learning_rate: Number | None = Field(default=None, gt=0.0, le=10.0)
    """1.0 for Prodigy and 1e-4 for AdamW when absent; leave Prodigy's at 1 and tune ``d_coefficient`` instead."""
    learning_rate_is_deliberate: Switch = False
    """Prodigy only: says that another ``learning_rate`` than 1 is meant."""
    text_encoder_learning_rate: Number | None = Field(default=None, gt=0.0, le=10.0)
    """Learning rate of the text encoders' LoRA; ``learning_rate`` when absent. Needs ``train_text_encoder``."""
    weight_decay: Number = Field(default=0.01, ge=0.0, le=10.0)
    """Decoupled weight decay."""
    betas: tuple[Number, Number] = (0.9, 0.99)
    """Decay of the running mean and of the running square of the gradient, each in [0, 1)."""
    d_coefficient: Number = Field(default=1.0, gt=0.0, le=1000.0)
    """Prodigy only: factor on the estimated step size."""
    bias_correction: Switch = True
    """Prodigy only: correct the running means for their start at zero, as Adam does."""
    safeguard_warmup: Switch = True
    """Prodigy only: keep the learning rate of a warm-up out of the estimate of the step size."""
    schedule: Schedule = "constant"
    """Course of the learning rate over the steps; ``linear`` and ``cosine`` fall to zero after the last step."""
    schedule_cycles: Integer = Field(default=1, ge=1, le=1000)
    """``cosine_with_restarts`` only: how many times the rate falls from the top to zero."""
    warmup_steps: Integer = Field(default=0, ge=0, le=1_000_000)
    """Steps over which the learning rate rises linearly from zero before the schedule begins."""

    @model_validator(mode="after")
    def _check(self) -> "OptimizerSettings":
        if not all(0.0 <= beta < 1.0 for beta in self.betas):
            raise ValueError(f"betas must lie in [0, 1), got {self.betas}")
        if self.name != "prodigy":
            for field in ("d_coefficient", "bias_correction", "safeguard_warmup", "learning_rate_is_deliberate"):
                if getattr(self, field) != type(self).model_fields[field].default:
                    raise ValueError(f"{field} belongs to prodigy, got it with {self.name}")
        return self

    @property
    def base_learning_rate(self) -> float:
        """The learning rate before the schedule."""
        if self.learning_rate is not None:
            return self.learning_rate
        return 1.0 if self.name == "prodigy" else 1e-4


class ResolutionSettings(Section):
    """Sizes that pictures are trained at, ``[resolution]``; without it every picture is cut to the base's own size."""

    sides: tuple[Side, ...] = Field(min_length=1, max_length=8)
    """Each picture is trained at every one of these; a side stands for an area of side x side pixels. Ascending."""
    buckets: Switch = False
    """Keep each picture's shape: width and height to the nearest ``bucket_step`` at the area of the side."""
    bucket_step: Side = 64
    """Widths and heights of buckets are multiples of this."""
    min_side: Side | None = None
    """Shortest side of a bucket; half the smallest of ``sides`` when absent."""
    max_side: Side | None = None
    """Longest side of a bucket; twice the largest of ``sides`` when absent."""
    upscale: Switch = True
    """Enlarge pictures that are smaller than their bucket."""

    @model_validator(mode="after")
    def _check(self) -> "ResolutionSettings":
        if list(self.sides) != sorted(set(self.sides)):
            raise ValueError(f"sides must ascend without repeating, got {list(self.sides)}")
        return self

    @property
    def effective_min_side(self) -> int:
        """``min_side``, or half the smallest side."""
        return self.sides[0] // 2 if self.min_side is None else self.min_side

    @property
    def effective_max_side(self) -> int:
        """``max_side``, or twice the largest side."""
        return self.sides[-1] * 2 if self.max_side is None else self.max_side


class CaptionShuffleSettings(Section):
    """Parts of each caption in another order at every step, ``[caption_shuffle]``; without it captions stay."""

    separator: str = Field(default=",", min_length=1, max_length=8)
    """What parts a caption."""
    keep_first: Integer = Field(default=1, ge=0, le=100)
    """How many parts stay in front, where the trigger stands."""


class PriorSettings(Section):
    """Prior preservation, ``[prior]``: pictures of the class trained beside the persona's, so that the class stays."""

    folder: Path
    """Folder of pictures of the class."""
    caption: str | None = Field(default=None, min_length=1, max_length=1000)
    """Caption of every one of them; the caption file (``.txt``) beside each when absent."""
    weight: Number = Field(default=1.0, gt=0.0, le=100.0)
    """Weight of their loss; the persona's is 1."""


class MaskSettings(Section):
    """Loss weighted by a mask, ``[mask]``: the face counts in full, the rest of the picture less."""

    folder: Path | None = None
    """Folder of masks (PNG, white counts, named as the picture); the detected face when absent."""
    outside_weight: Number = Field(default=0.1, ge=0.0, lt=1.0)
    """Weight of the loss outside the mask."""
    margin: Number = Field(default=0.5, ge=0.0, le=4.0)
    """How far a detected face's box is widened on each side, as a share of its longer side."""
    face_models: Path | None = None
    """Folder of the models that detect faces; ``models/faces`` when absent. Read only without ``folder``."""

    @property
    def detector_folder(self) -> Path:
        """``face_models``, or its default."""
        return Path("models/faces") if self.face_models is None else self.face_models


class EarlyStopSettings(Section):
    """When a run ends before its last step, ``[early_stop]``: at a copy, and where likeness no longer grows."""

    window: Integer = Field(default=3, ge=2, le=100)
    """Looks in each of the two windows that are compared."""
    margin: Number = Field(default=0.02, gt=0.0, le=1.0)
    """Likeness that the later window must still be able to have gained."""


class EmaSettings(Section):
    """Exponential moving average of the LoRA's weights, ``[ema]``: the average is what is saved."""

    decay: Number = Field(gt=0.0, lt=1.0)
    """Share of the average that each step keeps; it looks back over about 1 / (1 - decay) steps."""
