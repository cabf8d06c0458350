"""What a server has to show before its first image is kept: the same twice, a LoRA that acts, and answers known here.

Each finds some lies and not others: ``docs/sampling-backends.md`` says which.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from lifeos.errors import InputError
from lifeos.lora.backends import Backend, Served, ServerRequest
from lifeos.lora.backends.provenance import Evidence

Pixels = npt.NDArray[np.uint8]
Locally = Callable[[float], Pixels]
"""Draws the probed prompt and seed in this process at a strength of the LoRA; 0 is the base alone."""

ROUNDING = 2
"""Most that one channel of one pixel may differ where nothing but the order of sums does: ``image_key``."""
ANSWER_TOLERANCE = 4.0
"""Most that channels may differ in the mean, of 255, between a server's image and the same one drawn here.

On random tiny bases (32 px, 4 and 20 steps, guidance 1 and 3) the denoiser in bfloat16 was up to .62 away, in float16
.07, in float32 0 (1 of 255 at most); another LoRA of equal size from 12.0, another base from 40.1.
"""
EFFECT_SHARE = 0.25
"""And of what the LoRA changes in that image, at most this share: a LoRA of half the strength is further away."""
LEAST_EFFECT = 4.0
"""What a LoRA must change for that share to be above .62, the farthest that rounding alone was."""


def probe(backend: Backend, request: ServerRequest, address: str) -> tuple[Served, Pixels]:
    """Draw the first image of a run, and see that the server repeats itself and that the LoRA acts.

    Args:
        backend: the server.
        request: the first image.
        address: names the server.

    Returns:
        That image, and the same without a LoRA.

    Raises:
        InputError: a request drawn twice gives two images; strength 0 is not the base alone; strength 1 is.
    """
    served = backend.draw(request)
    if not np.array_equal(backend.draw(request).pixels, served.pixels):
        _refuse(address, "the same image for the same request", "another one", "turn off what makes the server's "
                "kernels vary (xformers, sdp without mem), then the same command again")  # fmt: skip
    if request.strength is None:
        return served, served.pixels
    bare, off, on = (served.pixels if strength == request.strength
                     else backend.draw(ServerRequest(request.text, request.seed, strength)).pixels
                     for strength in (None, 0.0, 1.0))  # fmt: skip
    if largest_difference(bare, off) > ROUNDING:
        _refuse(address, "the base's own image at strength 0", "another one", "look for LoRAs that the server adds")
    if largest_difference(bare, on) <= ROUNDING:
        _refuse(address, "another image with the LoRA than without", "the same one",
                "lifeos gate predeploy --lora FILE, and look in the server's log for keys that it could not place")
    return served, bare


def compare_answers(
    served: Pixels, bare: Pixels, strength: float | None, locally: Locally, address: str
) -> Evidence:
    """Compare a server's images with the same ones drawn here.

    Args:
        served: the first image of a run, ``uint8 [height, width, 3]``.
        bare: the same without a LoRA.
        strength: of the LoRA in ``served``; None for the base alone.
        locally: draws the same here.
        address: names the server.

    Returns:
        What they show; no LoRA that changes less than ``LEAST_EFFECT``.

    Raises:
        InputError: they are too far apart.
    """
    own = locally(0.0)
    distance = mean_difference(bare, own)
    if distance > ANSWER_TOLERANCE:
        _refuse(address, f"the base's image within {ANSWER_TOLERANCE:g} of 255 of the one drawn here",
                f"{distance:.2f}", "check the checkpoint and its VAE on the server")  # fmt: skip
    if strength is None:
        return Evidence(True, True)
    own_with = locally(strength)
    effect, distance = mean_difference(own_with, own), mean_difference(served, own_with)
    if effect < LEAST_EFFECT:
        return Evidence(True, False)
    allowed = min(ANSWER_TOLERANCE, EFFECT_SHARE * effect)
    if distance > allowed:
        _refuse(address, f"the LoRA's image within {allowed:.2f} of 255 of the one drawn here", f"{distance:.2f}",
                "copy the LoRA to the server again, under a name that it has not seen")  # fmt: skip
    return Evidence(True, True)


def require_shown(hashes: Evidence, answers: Evidence | None, base: Path, lora: Path | None, address: str) -> None:
    """Refuse base or LoRA that neither a hash nor a known answer showed: not evaluated is no pass.

    Raises:
        InputError: either was not.
    """
    known = answers or Evidence(False, lora is None)
    if not (hashes.base or known.base):
        _refuse(address, f"{base.name} shown to be the server's checkpoint, by hash or by a known answer",
                "neither: not evaluated", "sampling_known_answer = \"always\" in lifeos.toml; or, where the server "
                "tells hashes, name a single file as base (lifeos base convert FILE --like BASE)")  # fmt: skip
    if not (hashes.lora or known.lora):
        _refuse(address, f"{lora} shown to be the server's LoRA, by hash or by a known answer",
                "neither: not evaluated", "sampling_known_answer = \"always\" in lifeos.toml")  # fmt: skip


def require_unchanged(again: Served, shown: Pixels, address: str) -> None:
    """Refuse a server whose image is no longer the one that it showed its models with.

    Raises:
        InputError: a pixel differs.
    """
    if not np.array_equal(again.pixels, shown):
        _refuse(address, "the image that it showed its models with, for the same request", "another one",
                "leave its models and settings alone during a run, then the same command again")  # fmt: skip


def mean_difference(one: Pixels, other: Pixels) -> float:
    """Return the mean absolute difference of all channels of two images of one size, of 255."""
    return float(np.abs(one.astype(np.int16) - other.astype(np.int16)).mean())


def largest_difference(one: Pixels, other: Pixels) -> int:
    """Return the largest absolute difference of any channel of two images of one size, of 255."""
    return int(np.abs(one.astype(np.int16) - other.astype(np.int16)).max())


def _refuse(address: str, accepted: str, got: str, command: str) -> NoReturn:
    raise InputError(f"image server {address}: accepted {accepted}, got {got}; next: {command}")
