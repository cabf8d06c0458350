"""A PNG file of unknown origin, read into pixels and what it says of itself."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lifeos.errors import InputError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """``uint8 [height, width, 3]`` pixels, and the text chunks of the file by keyword."""

    pixels: npt.NDArray[np.uint8]
    text: dict[str, str]


def read_png(data: bytes, width: int, height: int) -> Picture:
    """Decode a PNG of a known size.

    Args:
        data: bytes of a file.
        width, height: pixels that were asked for; checked in the header, before anything is unpacked.

    Raises:
        InputError: no PNG, one of another size, not 8-bit RGB, animated, or damaged.
    """
    from PIL import Image

    if not data.startswith(_SIGNATURE):
        raise InputError(f"image: accepted a PNG file, got {data[:8]!r}; next: let the server save PNG")
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            opened: Any = image
            if opened.size != (width, height):
                _refuse(f"{width}x{height} pixels", f"{opened.size[0]}x{opened.size[1]}")
            if opened.mode != "RGB" or getattr(opened, "n_frames", 1) != 1:
                _refuse("one picture of 8-bit RGB", f"{getattr(opened, 'n_frames', 1)} of {opened.mode}")
            opened.load()
            text = {str(name): str(value) for name, value in opened.text.items()}
            return Picture(np.asarray(opened, dtype=np.uint8), text)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"image: accepted a whole PNG file, got {' '.join(str(error).split())[:120]}; "
                         "next: look at the server") from error  # fmt: skip


def _refuse(accepted: str, got: str) -> None:
    raise InputError(f"image: accepted {accepted}, got {got}; next: look for extensions of the server that change size")
