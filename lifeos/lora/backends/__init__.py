"""Image servers that draw a sample plan: what each of them is asked, and what it has to show before it is believed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    # Every command reads a persona, and so this: with numpy `lifeos preflight` took .48 s of processor, without .33 s.
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class ServerRequest:
    """One image to ask for: text, noise seed, and the LoRA's strength; None for a request that names no LoRA."""

    text: str
    seed: int
    strength: float | None


@dataclass(frozen=True)
class Served:
    """One image as a server gave it.

    Args:
        pixels: ``uint8 [height, width, 3]`` of the size that was asked for.
        base_sha256: what the server says the SHA-256 of the checkpoint is; None where it does not say.
        lora_hash: the first 10 or more hexadecimal digits of what it says the LoRA's hash is; None likewise.
    """

    pixels: "npt.NDArray[np.uint8]"
    base_sha256: str | None = None
    lora_hash: str | None = None


class Backend(Protocol):
    """An image server that was found to have the base and the LoRA, by name at least."""

    name: str
    """As in ``BACKENDS``."""
    version: str
    """What the server calls its version; ``unknown`` where it does not say."""

    def refuse(self, text: str) -> None:
        """Refuse a prompt that the server would take for more than text.

        Raises:
            InputError: it would.
        """

    def draw(self, request: ServerRequest) -> Served:
        """Let the server draw one image anew; no result that it remembers is taken.

        Raises:
            InputError: the server is not reached, says no, runs past the limit, or gives something else than what was
                asked for.
        """
