"""Base model families: how a base is loaded, which modules carry a LoRA, what the loss is. One file a family."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from evals.content_hash import hash_file, hash_json
from lifeos.errors import InputError

Shape = tuple[int, ...]


class Family(Protocol):
    """What training, inspection and sampling ask of a base model family.

    The first group reads configs and safetensors headers only and never imports torch. The second group works on what
    ``load`` returned, here ``Any`` because naming its type would import torch.
    """

    name: str
    architecture: str
    """Value of ``modelspec.architecture``."""
    base_model_version: str
    """Value of ``ss_base_model_version``."""
    resolution_fallback: int
    """Image side, in pixels, where the configs leave it open."""
    samplers: tuple[str, ...]
    """Names ``make_scheduler`` accepts."""
    may_be_dead: tuple[str, ...]
    """Endings of module names whose LoRA legitimately stays zero."""
    lora_components: tuple[str, ...]
    """Components of the base that a LoRA file may address, as diffusers prefixes its keys."""
    kohya_prefixes: ClassVar[dict[str, str]]
    """kohya's key prefix -> component."""

    def modules(self, base: Path) -> dict[str, Shape]:
        """Map ``component.module`` to the shape of its weight, for every linear and convolution of the base.

        Raises:
            InputError: the base is absent, incomplete or of another family.
        """

    def target_suffixes(self, preset: str) -> tuple[str, ...]:
        """Return the module name endings of a target preset.

        Raises:
            InputError: no such preset.
        """

    def expected_modules(self, base: Path, preset: str) -> dict[str, Shape]:
        """Return those of ``modules`` that a preset trains."""

    def image_size(self, base: Path) -> tuple[int, int]:
        """Return (width, height) in pixels of the images the base makes."""

    def prediction_type(self, base: Path) -> str:
        """Return ``epsilon`` or ``v_prediction``."""

    def load(self, base: Path) -> Any:
        """Load every component in float32 on the CPU, frozen, in evaluation mode."""

    def prepare_training(self, components: Any, dtype: str, channels_last: bool) -> None:
        """Bring the frozen denoiser into ``float32`` or ``bfloat16`` and a memory layout, before ``add_lora``."""

    def prepare_sampling(self, components: Any, dtype: str, device: str) -> None:
        """Bring the denoiser into ``float32`` or ``bfloat16`` and, with the autoencoder, onto a device."""

    def add_lora(self, components: Any, rank: int, alpha: float, preset: str, seed: int) -> dict[str, Any]:
        """Add trainable LoRA pairs; returns ``component.module.lora_A|lora_B.weight`` -> float32 parameter, sorted."""

    def fuse(self, components: Any, deltas: dict[str, Any]) -> None:
        """Add ``deltas`` (``component.module`` -> array shaped like its weight) to the weights in place."""

    def encode_text(self, components: Any, prompts: Sequence[str]) -> Any:
        """Return text embeddings, float32 ``[n, tokens, channels]``; too long a prompt is an InputError."""

    def encode_images(self, components: Any, images: Any) -> Any:
        """Return scaled latents, float32 ``[n, c, h, w]``, of ``uint8 [n, height, width, 3]`` images."""

    def decode_latents(self, components: Any, latents: Any) -> Any:
        """Return images in [-1, 1], float32 ``[n, 3, height, width]``, unclamped, of scaled latents."""

    def timestep_count(self, components: Any) -> int:
        """Return how many noise levels training draws from."""

    def predict(self, components: Any, noisy: Any, timesteps: Any, text: Any) -> Any:
        """Return the denoiser's raw prediction, shaped like ``noisy``."""

    def loss(
        self, components: Any, *, latents: Any, text: Any, noise: Any, timesteps: Any, gamma: float | None
    ) -> Any:
        """Return the scalar training loss of a batch; ``gamma`` is that of min-SNR, None for none."""

    def latent_shape(self, components: Any, width: int, height: int) -> tuple[int, int, int]:
        """Return ``(channels, height, width)`` of the latents of an image."""

    def make_scheduler(self, components: Any, sampler: str) -> Any:
        """Return a fresh diffusers scheduler for one of ``samplers``."""


def get_family(name: str) -> Family:
    """Return a family by name.

    Raises:
        InputError: no such family.
    """
    if name == "tiny_base":
        from lifeos.lora.families.tiny_base import TinyBase

        return TinyBase()
    raise InputError(f"family: accepted tiny_base, got {name!r}; next: correct family in the recipe")


def base_hash(base: Path) -> str:
    """Return one SHA-256 over a diffusers folder: ``model_index.json`` and every file of the components it names.

    What else lies in the folder (licences, build scripts) does not enter.

    Raises:
        InputError: there is no readable ``model_index.json``, or a component's folder is absent.
    """
    base = Path(base)
    index = base / "model_index.json"
    try:
        named = json.loads(index.read_text(encoding="utf-8"))
        components = sorted(name for name, value in named.items() if isinstance(value, list) and value[0])
    except (OSError, ValueError, AttributeError, IndexError) as error:
        raise InputError(f"{base}: accepted a base model folder with model_index.json, got none that can be read; "
                         "next: check base") from error
    files = [index]
    for component in components:
        folder = base / component
        if not folder.is_dir():
            raise InputError(f"{base}: accepted a folder {component} as model_index.json names it, got none; "
                             "next: fetch the base again")
        files += [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    named_files = sorted((path.relative_to(base).as_posix(), path) for path in files)
    return hash_json([[name, hash_file(path)] for name, path in named_files])
