"""Published measurements repeated on fake tensors: each row of ``published.toml`` predicted by the code it judges."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lifeos.pods.vram.architecture import published
from lifeos.pods.vram.fake import CUBLAS, GPU, watched
from lifeos.pods.vram.published import Row
from lifeos.pods.vram.replay import replay
from lifeos.pods.vram.scratch import CUBLAS_BYTES
from lifeos.pods.vram.tracer import WEIGHTS

GIB = 2**30


def predicted_gib(row: Row) -> float:
    """Return what the model says of a row, GiB, on a GPU from before Hopper."""
    trace = watched(lambda watch: RUNS[row.run](watch, **row.arguments))
    # Qwen-Image's autoencoder is convolutions and attention: nothing there asks cuBLAS for its workspace.
    sizes = {CUBLAS: 1 if row.run == "qwen" else CUBLAS_BYTES}
    usage = replay(trace, sizes)
    if row.quantity == "allocated":
        return usage.peak_bytes / GIB
    loaded = replay(replace(trace, events=trace.events[: trace.phases[0][1]], phases=[]), sizes)
    return (usage.reserved_bytes - loaded.reserved_bytes) / GIB


def _forward(watch: Any, base: str) -> None:
    """Run the denoiser of a published base once, bfloat16, batch 1, 1024 x 1024, after a first call."""
    import torch

    from lifeos.lora.families import get_family

    architecture = published(base)
    family = get_family(architecture.family)
    name = family.lora_components[0]
    with architecture.folder() as folder:
        components = family.load(folder)
        model = getattr(components, name).to(torch.bfloat16)
        channels, height, width = family.latent_shape(components, 1024, 1024)
        text = {key: value.to(torch.bfloat16) for key, value in family.encode_text(components, ["a"]).items()}
    noisy = torch.zeros((1, channels, height, width), dtype=torch.bfloat16)
    _twice(watch, model, lambda: family.predict(components, noisy, torch.zeros(1), text, 3.5))


def _video(watch: Any, model: str) -> None:
    """Run the denoiser of a video base once, bfloat16, batch 1."""
    import diffusers
    import torch

    def zeros(*shape: int) -> Any:
        return torch.zeros(shape, dtype=torch.bfloat16)

    if model == "ltx":
        kind, config = diffusers.LTXVideoTransformer3DModel, {
            "num_attention_heads": 32, "attention_head_dim": 128, "cross_attention_dim": 4096, "num_layers": 48,
            "in_channels": 128, "out_channels": 128, "caption_channels": 4096}  # fmt: skip
        inputs = {"hidden_states": zeros(1, 7392, 128), "encoder_hidden_states": zeros(1, 256, 4096),
                  "encoder_attention_mask": zeros(1, 256), "timestep": zeros(1), "video_coords": zeros(1, 3, 7392)}
    else:
        kind, config = diffusers.WanTransformer3DModel, {
            "num_attention_heads": 40, "attention_head_dim": 128, "in_channels": 16, "out_channels": 16,
            "text_dim": 4096, "freq_dim": 256, "ffn_dim": 13824, "num_layers": 40, "cross_attn_norm": True,
            "qk_norm": "rms_norm_across_heads"}  # fmt: skip
        inputs = {"hidden_states": zeros(1, 16, 21, 60, 104), "encoder_hidden_states": zeros(1, 512, 4096),
                  "timestep": zeros(1)}  # fmt: skip
    built = _built(kind, config, torch.bfloat16)
    _twice(watch, built, lambda: built(**inputs, return_dict=False))


def _sdxl_images(watch: Any, dtype: str, decoded_at_once: int) -> None:
    """Denoise four images of SDXL under guidance and decode them, everything resident, the autoencoder in float32."""
    import torch

    from lifeos.lora.families import get_family

    kind, family, architecture = getattr(torch, dtype), get_family("sdxl"), published("sdxl")
    with architecture.folder() as folder:
        components = family.load(folder)
        text = {key: value.repeat_interleave(8, 0).to(kind)
                for key, value in family.encode_text(components, ["a"]).items()}  # fmt: skip
    models = [components.text_encoder.to(kind), components.text_encoder_2.to(kind), components.unet.to(kind),
              components.vae]  # fmt: skip
    noisy, latents = torch.zeros((8, 4, 128, 128), dtype=kind), torch.zeros((decoded_at_once, 4, 128, 128))
    with watch.watching(), torch.no_grad(), watch.labelled(WEIGHTS):
        for model in models:
            model.to(GPU)
        watch.begin("run")
        family.predict(components, noisy, torch.zeros(8), text, 1.0)
        family.decode_latents(components, latents)


def _qwen(watch: Any, width: int, height: int, direction: str) -> None:
    """Encode or decode one picture with Qwen-Image's autoencoder, float16."""
    import diffusers
    import torch

    model = _built(diffusers.AutoencoderKLQwenImage, {}, torch.float16)
    with watch.watching(), torch.no_grad():
        model.to(GPU)
        watch.begin("run")
        if direction == "decode":
            model.decode(torch.zeros((1, 16, 1, height // 8, width // 8), dtype=torch.float16), return_dict=False)
        else:
            model.encode(torch.zeros((1, 3, 1, height, width), dtype=torch.float16), return_dict=False)


RUNS: dict[str, Callable[..., None]] = {
    "forward": _forward, "video": _video, "sdxl_images": _sdxl_images, "qwen": _qwen,
}  # fmt: skip
"""Name in the table -> what repeats it."""


def _built(kind: Any, config: dict[str, Any], dtype: Any) -> Any:
    from pathlib import Path

    from lifeos.pods.vram.builders import ConfigBuilder

    return ConfigBuilder().model(kind, config, dtype, Path(kind.__name__)).eval().requires_grad_(False)


def _twice(watch: Any, model: Any, call: Callable[[], Any]) -> None:
    import torch

    with watch.watching(), torch.no_grad():
        model.to(GPU)
        # The published figure is of a call after others, the last one's result still held.
        held = call()
        watch.begin("run")
        held = call()
        del held
