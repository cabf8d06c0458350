"""Who may draw an image, and where one that is no part of this process is reached."""

from dataclasses import dataclass

DIFFUSERS, COMFYUI, A1111 = "diffusers", "comfyui", "a1111"
BACKENDS = (DIFFUSERS, COMFYUI, A1111)
"""Who may draw: this process, ComfyUI's HTTP API, or the HTTP API of stable-diffusion-webui."""


@dataclass(frozen=True)
class ImageServer:
    """Where images are drawn, and what it is told of the models; no image depends on any of it.

    Args:
        address: ``http`` or ``https`` URL; empty where the settings name none.
        checkpoint: what the server calls the base; None: found by hash or file name.
        timeout_seconds: how long one image may take.
        known_answer: draw images here too and compare, however large the base is.
    """

    address: str
    checkpoint: str | None = None
    timeout_seconds: float = 600.0
    known_answer: bool = False
