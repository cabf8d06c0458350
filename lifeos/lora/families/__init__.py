"""Base model families: how a base is loaded, which modules carry a LoRA, what the loss is. One file a family."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

from evals.content_hash import hash_file, hash_json
from lifeos.errors import InputError

Shape = tuple[int, ...]
FAMILIES = ("tiny_base", "sd15", "sdxl", "sd3", "flux")
"""Names that ``get_family`` knows; each is a module of this package."""


class Family(Protocol):
    """What training, inspection and sampling ask of a base model family.

    The first group reads configs and safetensors headers only and never imports torch. The second group works on what
    ``load`` returned, here ``Any`` because naming its type would import torch. Text embeddings are a mapping of names
    to float32 tensors whose first dimension counts the prompts; what they hold is the family's own affair.
    """

    name: str
    architecture: str
    """Value of ``modelspec.architecture``."""
    base_model_version: str
    """Value of ``ss_base_model_version``."""
    resolution_fallback: int
    """Image side, in pixels, where the configs leave it open."""
    samplers: tuple[str, ...]
    """Names ``make_scheduler`` accepts; a new persona takes the first."""
    usual_guidance: float
    """Guidance of a new persona."""
    lora_components: tuple[str, ...]
    """Components of the base that a LoRA file may address, by the names diffusers gives them; first the denoiser."""
    text_components: tuple[str, ...]
    """Those of ``lora_components`` that are text encoders."""
    kohya_prefixes: ClassVar[dict[str, str]]
    """kohya's key prefix -> component."""
    weighs_by_snr: bool
    """Whether min-SNR weighting and noise offset mean anything for its loss."""
    keeps_rounding: bool
    """Whether images and trained bytes are to the last bit what PyTorch's slower ways compute on a processor."""

    def modules(self, base: Path) -> dict[str, Shape]:
        """Map ``component.module`` to the shape of its weight, for every linear and convolution of the base.

        Raises:
            InputError: the base is absent, incomplete or of another family.
        """

    def may_be_dead(self, modules: Mapping[str, Shape]) -> frozenset[str]:
        """Return those of ``modules`` whose LoRA legitimately stays zero: no gradient ever reaches them."""

    def target_suffixes(self, preset: str) -> tuple[str, ...]:
        """Return the module name endings of a target preset.

        Raises:
            InputError: no such preset.
        """

    def expected_modules(self, base: Path, preset: str, text_encoders: bool = False) -> dict[str, Shape]:
        """Return those of ``modules`` that training changes.

        Args:
            base: folder in diffusers layout.
            preset: which modules of the denoiser.
            text_encoders: also the attention of every component of ``text_components``.

        Raises:
            InputError: what ``modules`` and ``target_suffixes`` raise.
        """

    def image_size(self, base: Path) -> tuple[int, int]:
        """Return (width, height) in pixels of the images the base makes.

        Raises:
            InputError: the base is absent or of another family.
        """

    def prediction_type(self, base: Path) -> str:
        """Return ``epsilon``, ``v_prediction`` or ``flow``."""

    def load(self, base: Path, dtype: str = "float32", reader_dtype: str | None = None) -> Any:
        """Load every component on the CPU, frozen, in evaluation mode; the autoencoder always in float32.

        Args:
            base: folder in diffusers layout.
            dtype: what a family whose weights are published in 16 bits of range like float32's loads them in; the
                others load float32 and are brought into a type by ``prepare_training`` or ``prepare_sampling``.
            reader_dtype: the same for a text encoder that carries no LoRA, T5; None: as ``dtype``.

        Raises:
            InputError: a component is absent, cannot be read, would be left with random weights, or is another
                family's.
        """

    def prepare_training(
        self, components: Any, dtype: str, channels_last: bool, device: str = "cpu", checkpointing: bool = False,
        text_encoders: bool = False, attention: str = "auto",
    ) -> None:  # fmt: skip
        """Bring the frozen denoiser into a type, a memory layout and onto a device; comes before ``add_lora``.

        Args:
            components: what ``load`` returned.
            dtype: ``float32``, ``bfloat16`` or ``float16``.
            channels_last: layout of its convolutions.
            device: ``cpu`` or ``cuda``.
            checkpointing: compute the denoiser's activations again in the backward pass.
            text_encoders: every text encoder onto the device too, and those of ``text_components`` into the type.
            attention: ``auto``: what is quickest as far as was measured; ``sdpa``: PyTorch's own; ``xformers``.

        Raises:
            InputError: ``xformers`` has no kernel that runs on the device.
        """

    def prepare_sampling(self, components: Any, dtype: str, device: str) -> None:
        """Bring the denoiser into ``float32`` or ``bfloat16`` and, with the autoencoder, onto a device."""

    def prepare_decoding(self, components: Any, dtype: str, tiling: bool, slicing: bool) -> None:
        """Say how ``decode_latents`` computes from now on; what is not called decodes in float32, whole and together.

        Args:
            components: what ``load`` returned.
            dtype: ``float32``, ``bfloat16`` or ``float16``.
            tiling: in tiles as large as the images that the autoencoder was trained on, where an image is larger.
            slicing: one image after another.

        Raises:
            InputError: the base's autoencoder does not compute in ``dtype``.
        """

    def place_text_encoders(self, components: Any, device: str) -> None:
        """Bring the text encoders onto a device; they can leave it when every prompt is encoded."""

    def place_autoencoder(self, components: Any, device: str) -> None:
        """Bring the autoencoder onto a device; it can leave it when every picture is encoded."""

    def add_lora(
        self, components: Any, rank: int, alpha: float, preset: str, seed: int, text_encoders: bool = False,
        dora: bool = False,
    ) -> dict[str, Any]:  # fmt: skip
        """Add trainable LoRA pairs; returns ``component.module.lora_A|lora_B.weight`` -> float32 parameter, sorted.

        Args:
            components: what ``load`` returned.
            rank, alpha: of every pair.
            preset: which modules of the denoiser.
            seed: of A; B is zero.
            text_encoders: also the attention of every component of ``text_components``.
            dora: also ``component.module.lora_magnitude_vector``: the norm of each output's weights, which then is
                trained apart from their direction; ``[out]``, of a convolution ``[1, out, 1, 1]``.
        """

    def fuse(self, components: Any, deltas: Mapping[str, Any], magnitudes: Mapping[str, Any] | None = None) -> None:
        """Add deltas to the weights in place, in float32.

        Args:
            components: what ``load`` returned.
            deltas: ``component.module`` -> array shaped like its weight.
            magnitudes: DoRA: ``component.module`` of some deltas -> ``[out]``, the norm that each output's weights are
                brought to after that.
        """

    def encode_text(self, components: Any, prompts: Sequence[str]) -> dict[str, Any]:
        """Return text embeddings of prompts, float32 tensors ``[n, ...]`` by name.

        Raises:
            InputError: a prompt has more tokens than are read; the pipeline would cut it silently.
        """

    def tokenize(self, components: Any, prompts: Sequence[str]) -> dict[str, Any]:
        """Return what ``embed_text`` takes: int64 token ids ``[n, tokens]`` by name of the tokenizer.

        Raises:
            InputError: as ``encode_text``.
        """

    def embed_text(self, components: Any, tokens: Mapping[str, Any]) -> dict[str, Any]:
        """Return the embeddings of tokens as ``encode_text`` does, with gradients where they are enabled."""

    def encode_images(self, components: Any, images: Any) -> Any:
        """Return scaled latents, float32 ``[n, c, h, w]``, of ``uint8 [n, height, width, 3]`` images."""

    def decode_latents(self, components: Any, latents: Any) -> Any:
        """Return images in [-1, 1], float32 ``[n, 3, height, width]``, unclamped, of scaled float32 latents."""

    def draw_timesteps(
        self, components: Any, count: int, shape: Shape, generator: Any, sampling: str | None = None,
        shift: float | None = None,
    ) -> Any:  # fmt: skip
        """Return ``[count]`` noise levels to train at, on the CPU, drawn from a CPU generator.

        Args:
            components: what ``load`` returned.
            count: images.
            shape: ``(channels, height, width)`` of their latents.
            generator: torch generator.
            sampling: ``timestep_sampling`` of the recipe; None: what the family does.
            shift: ``discrete_flow_shift`` of the recipe; None: what the base's scheduler says.
        """

    def predict(self, components: Any, noisy: Any, timesteps: Any, text: Mapping[str, Any], guidance: float) -> Any:
        """Return the denoiser's raw prediction, shaped like ``noisy``.

        Args:
            components: what ``load`` returned.
            noisy: latents ``[n, c, h, w]``.
            timesteps: one noise level, or one an image.
            text: embeddings, ``n`` of each.
            guidance: only read by a family that takes its guidance as an input.
        """

    def loss(
        self, components: Any, *, latents: Any, text: Mapping[str, Any], noise: Any, timesteps: Any,
        gamma: float | None, weight: Any | None = None,
    ) -> Any:  # fmt: skip
        """Return the training loss of each image, float32 ``[n]``.

        ``gamma`` is that of min-SNR, None for none; a family that does not weigh by SNR reads none. ``weight``, float32
        ``[n, 1, h, w]``, multiplies the squared error of each latent cell before the mean over cells; None: 1.
        """

    def latent_shape(self, components: Any, width: int, height: int) -> tuple[int, int, int]:
        """Return ``(channels, height, width)`` of the latents of an image.

        Raises:
            InputError: the size is no multiple of what the base divides it by.
        """

    def classifier_free(self, components: Any) -> bool:
        """Return whether guidance above 1 means a second prediction for the empty prompt."""

    def make_scheduler(self, components: Any, sampler: str) -> Any:
        """Return a fresh diffusers scheduler for one of ``samplers``."""

    def start(self, scheduler: Any, noise: Any, steps: int) -> Any:
        """Set the scheduler's steps for latents shaped like ``noise`` and return them at the first noise level."""

    def model_input(self, scheduler: Any, latents: Any, timestep: Any) -> Any:
        """Return latents as the denoiser takes them at a noise level."""


def get_family(name: str) -> Family:
    """Return a family by name.

    Raises:
        InputError: no such family.
    """
    if name == "tiny_base":
        from lifeos.lora.families.tiny_base import TinyBase

        return TinyBase()
    if name == "sd15":
        from lifeos.lora.families.sd15 import StableDiffusion15

        return StableDiffusion15()
    if name == "sdxl":
        from lifeos.lora.families.sdxl import StableDiffusionXL

        return StableDiffusionXL()
    if name == "sd3":
        from lifeos.lora.families.sd3 import StableDiffusion3

        return StableDiffusion3()
    if name == "flux":
        from lifeos.lora.families.flux import Flux

        return Flux()
    raise InputError(f"family: accepted {', '.join(FAMILIES)}, got {name!r}; next: correct family in the recipe")


def base_hash(base: Path) -> str:
    """Return one SHA-256 over a base: ``model_index.json`` and every file of its components that may be loaded.

    Where the folder lies does not enter, nor does what is not read: licences, build scripts, weights in a second format
    or precision, a safety checker.

    Raises:
        InputError: the base is no folder, or not whole.
    """
    from lifeos.lora.families.component_files import loaded_components, require_whole
    from lifeos.lora.families.weight_files import holds_weights, is_weight_file, weight_files

    base = Path(base)
    require_whole(base)
    files = [base / "model_index.json"]
    for component in loaded_components(base):
        folder = base / component
        chosen = weight_files(folder) if holds_weights(component) else None
        read = () if chosen is None else (*chosen.files, chosen.index)
        files += [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")
                  and ((path.name in read and path.parent == folder) or not is_weight_file(path.name))]
    named_files = sorted((path.relative_to(base).as_posix(), path) for path in files)
    return hash_json([[name, hash_file(path)] for name, path in named_files])
