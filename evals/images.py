"""Pictures in, pixels out: PNG and JPEG read as RGB uint8, upright, and nothing that a decoder should not touch."""

import io
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evals.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

RgbImage = NDArray[np.uint8]

MAXIMUM_PIXELS = 64_000_000
MAXIMUM_BYTES = 128 * 1024 * 1024
MINIMUM_SIDE = 16
_FORMATS = ("PNG", "JPEG")
_COLOUR_MODES = ("RGB", "L", "P", "1")
_ALPHA_MODES = ("RGBA", "LA", "PA")
_ORIENTATION = 0x0112
# Below two grey levels of spread nothing is depicted: black frames, one colour, a VAE that returned NaN.
_FLAT_SPREAD = 2.0


def read_image(path: Path) -> RgbImage:
    """Read a PNG or JPEG file.

    Returns:
        uint8 ``[height, width, 3]``, RGB, 0..255, with the EXIF orientation applied. Colour profiles are not applied:
        the pixels are taken as sRGB.

    Raises:
        InputError: as ``decode_image``, or the file cannot be read or is larger than 128 MiB.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MAXIMUM_BYTES:
            raise InputError(f"{path}: accepted an image of up to {MAXIMUM_BYTES} bytes, got {size}; next: shrink it")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: accepted a readable image, got {error.strerror}; next: check the path") from error
    return decode_image(data, str(path))


def decode_image(data: bytes, name: str) -> RgbImage:
    """Decode the bytes of a PNG or JPEG; ``name`` is what an error calls it.

    Returns:
        uint8 ``[height, width, 3]``, RGB, 0..255, upright.

    Raises:
        InputError: not a PNG or JPEG, damaged or truncated, more than 64 million pixels (said by the header, before
            anything is unpacked), a side below 16 pixels, transparent pixels, or more than 8 bits a channel.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            return _pixels(image, name)
    except InputError:
        raise
    # What Pillow raises on hostile bytes, found by flipping them: the list is wide on purpose, a decoder's
    # surprise must not end as a traceback.
    except (
        OSError, ValueError, SyntaxError, KeyError, IndexError, TypeError, EOFError, OverflowError, MemoryError,
        struct.error, ZeroDivisionError, Image.DecompressionBombError, Image.DecompressionBombWarning,
    ) as error:  # fmt: skip
        what = type(error).__name__ if not str(error) else str(error)
        raise InputError(f"{name}: accepted a whole PNG or JPEG, got {what}; next: export the image again") from error


def is_flat(image: RgbImage) -> bool:
    """Whether an image depicts nothing: every channel spreads (standard deviation) less than 2 of 255 levels."""
    return bool(image.reshape(-1, 3).std(axis=0).max() < _FLAT_SPREAD)


def _pixels(image: "Image.Image", name: str) -> RgbImage:
    from PIL import ImageOps

    width, height = image.size
    if width * height > MAXIMUM_PIXELS:
        raise InputError(
            f"{name}: accepted up to {MAXIMUM_PIXELS} pixels, got {width} x {height}; next: scale the image down"
        )
    if min(width, height) < MINIMUM_SIDE:
        raise InputError(
            f"{name}: accepted sides of at least {MINIMUM_SIDE} pixels, got {width} x {height}; next: use a larger one"
        )
    if image.mode not in _COLOUR_MODES + _ALPHA_MODES:
        raise InputError(f"{name}: accepted 8-bit RGB or grey, got mode {image.mode}; next: convert it to 8-bit RGB")
    image.load()
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        opaque = image.convert("RGBA").getchannel("A").getextrema()[0] == 255
        if not opaque:
            raise InputError(f"{name}: accepted an opaque image, got transparent pixels; next: flatten it")
    upright = ImageOps.exif_transpose(image) if image.getexif().get(_ORIENTATION, 1) != 1 else image
    return np.asarray(upright.convert("RGB"), dtype=np.uint8).copy()
