"""The work that both sides do, as data, and how each side is told to do it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.generation_speed.bases import RESOLUTION, Size
from lifeos.errors import InputError

Length = Literal["short", "long"]
LENGTHS: tuple[Length, ...] = ("short", "long")
PROMPT, TRIGGER = "a photo of zeph person", "zeph"
SAMPLED_PROMPTS = (
    "a photo of zeph person", "a photo of zeph person facing left", "a photo of zeph person facing right",
    "a photo of zeph person , red background",
)  # fmt: skip


@dataclass(frozen=True)
class Work:
    """What is trained and sampled.

    Args:
        size: of the random base.
        device: ``cpu`` or ``cuda``.
        dtype: ``float32`` or ``float16``, mixed precision in training. Not bfloat16: the script's LoRA weights would be
            bfloat16 there, ours float32.
        sampling_dtypes: types that images are drawn in.
        short, long: optimizer steps of two runs, whose difference is the steady rate.
        rounds: how often each run is made.
        pictures: in the dataset, a multiple of ``batch_size * accumulation``: the script ends a step with its pass.
        images: drawn by each side.
        sampling_steps: of each image.
        sampling_batch: images that lifeos draws at once.
        threads: of the processor, both sides.
        checkpointing: gradient checkpointing, both sides or neither.
        batch_size, accumulation, rank, learning_rate: as the script's README asks, its default rank.
    """

    size: Size
    device: Literal["cpu", "cuda"]
    dtype: Literal["float32", "float16"]
    sampling_dtypes: tuple[Literal["float32", "bfloat16"], ...]
    short: int
    long: int
    rounds: int
    images: int
    sampling_steps: int
    sampling_batch: int
    threads: int
    pictures: int = 8
    checkpointing: bool = False
    batch_size: int = 1
    accumulation: int = 4
    rank: int = 4
    learning_rate: float = 1e-4

    def __post_init__(self) -> None:
        if not 1 <= self.short < self.long:
            raise InputError(f"steps: accepted 1 <= short < long, got {self.short} and {self.long}; "
                             "next: python -m benchmarks.generation_speed --help")  # fmt: skip
        if min(self.rounds, self.images, self.threads) < 1:
            raise InputError("rounds, images, threads: accepted 1 or more, got "
                             f"{self.rounds}, {self.images}, {self.threads}; "
                             "next: python -m benchmarks.generation_speed --help")  # fmt: skip
        if self.pictures % (self.batch_size * self.accumulation):
            raise InputError(f"pictures: accepted a multiple of {self.batch_size * self.accumulation}, got "
                             f"{self.pictures}; next: python -m benchmarks.generation_speed --help")  # fmt: skip

    def steps(self, length: Length) -> int:
        """Return the optimizer steps of a run."""
        return self.short if length == "short" else self.long

    def trained_images(self, length: Length) -> int:
        """Return how many pictures a run passes through the denoiser."""
        return self.steps(length) * self.batch_size * self.accumulation

    @property
    def resolution(self) -> int:
        """Side of every picture and image in pixels."""
        return RESOLUTION[self.size]

    def to_json(self) -> dict[str, Any]:
        """Return the work as JSON values."""
        return {**asdict(self), "sampling_dtypes": list(self.sampling_dtypes)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Work":
        """Read what ``to_json`` wrote."""
        return cls(**{**values, "sampling_dtypes": tuple(values["sampling_dtypes"])})


def usual_work(size: Size, device: str, threads: int, **changes: Any) -> Work:
    """Return the work that a size is compared on; ``changes`` that are None change nothing.

    Raises:
        InputError: numbers that cannot be.
    """
    gpu = device == "cuda"
    values: dict[str, Any] = {
        "size": size, "device": device, "dtype": "float16" if gpu else "float32", "threads": threads,
        "sampling_dtypes": ("bfloat16", "float32") if gpu else ("float32",),
        **_USUAL[size],
    }  # fmt: skip
    return Work(**{**values, **{name: value for name, value in changes.items() if value is not None}})


def recipe_values(work: Work, base: Path, dataset: Path, length: Length) -> dict[str, Any]:
    """Return our recipe: every key that the script's command or its defaults decide is set to the same."""
    return {
        "base": str(base), "dataset": str(dataset), "trigger": TRIGGER, "family": "sdxl", "seed": 0,
        "steps": work.steps(length), "batch_size": work.batch_size, "gradient_accumulation": work.accumulation,
        "rank": work.rank, "targets": "attention", "min_snr_gamma": "none", "gradient_clip": 1.0,
        "checkpoint_every": 500, "device": work.device, "dtype": work.dtype, "save_dtype": "float32",
        "gradient_checkpointing": work.checkpointing, "offload": work.device == "cuda", "threads": work.threads,
        "optimizer": {"name": "adamw", "learning_rate": work.learning_rate, "weight_decay": 1e-4,
                      "betas": [0.9, 0.999], "schedule": "constant"},
    }  # fmt: skip


def script_arguments(work: Work, base: Path, pictures: Path, out: Path, length: Length) -> list[str]:
    """Return the command line of the script: that of its README without validation, hub and wandb."""
    given: dict[str, Any] = {
        "pretrained_model_name_or_path": base, "instance_data_dir": pictures, "output_dir": out,
        "mixed_precision": "fp16" if work.dtype == "float16" else "no", "instance_prompt": PROMPT,
        "resolution": work.resolution, "train_batch_size": work.batch_size,
        "gradient_accumulation_steps": work.accumulation, "learning_rate": work.learning_rate,
        "lr_scheduler": "constant", "lr_warmup_steps": 0, "max_train_steps": work.steps(length), "seed": 0,
        "rank": work.rank,
    }  # fmt: skip
    return [*(f"--{name}={value}" for name, value in given.items()),
            *(["--gradient_checkpointing"] if work.checkpointing else [])]  # fmt: skip


def write_pictures(work: Work, folder: Path) -> tuple[Path, Path]:
    """Write the same random pictures twice; returns our folder, with captions, and the script's, with nothing else."""
    import numpy as np
    from PIL import Image

    ours, theirs = folder / "captioned", folder / "plain"
    for place in (ours, theirs):
        place.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for number in range(work.pictures):
        # Smooth noise, as large files as photographs have: pure noise would time the PNG decoder.
        coarse = random.integers(0, 256, (work.resolution // 8, work.resolution // 8, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((work.resolution, work.resolution), Image.Resampling.BICUBIC)
        for place in (ours, theirs):
            picture.save(place / f"{number:04d}.png")
        (ours / f"{number:04d}.txt").write_text(PROMPT, encoding="utf-8")
    return ours, theirs


def sampled(images: int, prompts: Sequence[str] = SAMPLED_PROMPTS) -> tuple[tuple[str, ...], int]:
    """Return the prompts of a plan and how many seeds each has: at least ``images`` images in all."""
    used = tuple(prompts[:images])
    return used, -(-images // len(used))


_USUAL: dict[Size, dict[str, Any]] = {
    "tiny": {"short": 1, "long": 3, "rounds": 1, "images": 4, "sampling_steps": 3, "sampling_batch": 12},
    "small": {"short": 2, "long": 10, "rounds": 3, "images": 12, "sampling_steps": 8, "sampling_batch": 12},
    # Twelve images of 1024 pixels are more than most GPUs decode at once in float32.
    "full": {"short": 4, "long": 28, "rounds": 2, "images": 8, "sampling_steps": 25, "sampling_batch": 4},
}  # fmt: skip
