"""One photograph as a phone, a camera or a scanner leaves it, read into upright, opaque 8-bit sRGB pixels."""

import io
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifeos.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    from evals.images import RgbImage

SUFFIXES = (
    ".jpg", ".jpeg", ".jfif", ".png", ".webp", ".heic", ".heif", ".hif", ".avif", ".tif", ".tiff", ".bmp", ".gif",
)  # fmt: skip
RAW_SUFFIXES = (".dng", ".raw", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw")
# Decoders for what cameras write; others (EPS runs a program, PSD holds layers) are never tried on a stranger's bytes.
_FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF", "BMP", "GIF")
# Further pictures in these are depth, gain maps and thumbnails; the first is the photograph.
_ONE_PHOTOGRAPH = ("MPO", "HEIF")
_ORIENTATION, _EXIF, _TAKEN, _TAKEN_FRACTION, _DNG_VERSION = 0x0112, 0x8769, 0x9003, 0x9291, 50706


class UnfitPhotographError(InputError):
    """A file that gives no photograph; the message says what it is instead, without the file's name."""


@dataclass(frozen=True, eq=False)
class Photograph:
    """One photograph.

    Args:
        digest: SHA-256 of the file.
        pixels: uint8 ``[height, width, 3]``, sRGB, upright.
        taken: when it was taken, in seconds of the camera's own clock; None where it does not say.
        changes: what was done to the pixels: ``turned`` and the words of ``lifeos.lora.srgb.opaque_srgb``.
    """

    digest: str
    pixels: "RgbImage"
    taken: float | None
    changes: frozenset[str]


def read_photograph(path: Path) -> Photograph:
    """Read a photograph; what kind it is says its content, not its name.

    EXIF orientation and colour profile are applied. Nothing of the metadata is in what is returned but the time.

    Raises:
        UnfitPhotographError: no file that can be read, more than 128 MiB, more than 64 million pixels (by the header,
            before anything is unpacked), an animation or several pages, a raw file, damaged, truncated, or no picture.
    """
    from evals.content_hash import hash_bytes
    from evals.images import MAXIMUM_BYTES

    if path.suffix.lower() in RAW_SUFFIXES:
        raise UnfitPhotographError("a raw file, which every program develops otherwise: export it as JPEG")
    try:
        size = path.stat().st_size
        if size > MAXIMUM_BYTES:
            raise UnfitPhotographError(f"{size} bytes, more than {MAXIMUM_BYTES}")
        data = path.read_bytes()
    except OSError as error:
        raise UnfitPhotographError(error.strerror or "a file that cannot be read") from error
    if not data:
        raise UnfitPhotographError("an empty file")
    _know_heif(data)
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                _refuse(image)
                pixels, changes = _upright_srgb(image)
                return Photograph(hash_bytes(data), pixels, _taken(image), changes)
    except UnfitPhotographError:
        raise
    except UnidentifiedImageError as error:
        raise UnfitPhotographError("damaged, or no picture of a known kind") from error
    except Image.DecompressionBombError as error:
        raise UnfitPhotographError("more pixels than any camera makes, by its header") from error
    except MemoryError as error:
        raise UnfitPhotographError("it needs more memory than there is") from error
    # Whatever a decoder says of hostile bytes, it is said of this one file.
    except Exception as error:
        raise UnfitPhotographError(f"damaged: {error or type(error).__name__}") from error


def _know_heif(data: bytes) -> None:
    """Teach Pillow HEIC where the bytes are of that kind; its library is opened for nothing else."""
    if data[4:8] != b"ftyp" or data[8:12] in (b"avif", b"avis"):
        return
    try:
        import pillow_heif
    except ImportError as error:
        raise UnfitPhotographError("a HEIC file, and pillow-heif is not installed: pip install pillow-heif") from error
    # Depth maps and thumbnails are not looked at, so they are not decoded either.
    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def _refuse(image: "Image.Image") -> None:
    from evals.images import MAXIMUM_PIXELS

    width, height = image.size
    if width * height > MAXIMUM_PIXELS:
        raise UnfitPhotographError(f"{width} x {height}, more than {MAXIMUM_PIXELS} pixels")
    frames = int(getattr(image, "n_frames", 1))
    if frames > 1 and image.format not in _ONE_PHOTOGRAPH:
        raise UnfitPhotographError(f"{frames} {'pages' if image.format == 'TIFF' else 'frames'}: export one of them")
    if image.format == "TIFF" and _DNG_VERSION in getattr(image, "tag_v2", {}):
        raise UnfitPhotographError("a raw file, which every program develops otherwise: export it as JPEG")


def _upright_srgb(image: "Image.Image") -> "tuple[RgbImage, frozenset[str]]":
    import numpy as np
    from PIL import ImageOps

    from lifeos.lora.srgb import opaque_srgb

    # A HEIC decoder turns the pixels by itself and keeps the tag of the camera apart.
    orientation = image.info.get("original_orientation") or image.getexif().get(_ORIENTATION, 1)
    image.load()
    flat, changes = opaque_srgb(ImageOps.exif_transpose(image))
    turned = isinstance(orientation, int) and 2 <= orientation <= 8
    return np.asarray(flat, dtype=np.uint8), changes | {"turned"} if turned else changes


def _taken(image: "Image.Image") -> float | None:
    """Seconds of the camera's clock; compared with each other only, so its time zone does not matter."""
    try:
        tags: Any = image.getexif().get_ifd(_EXIF)
        text, fraction = str(tags.get(_TAKEN, "")).strip("\0 "), str(tags.get(_TAKEN_FRACTION, "")).strip("\0 ")
        moment = datetime.strptime(text, "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
        return moment + (float(f"0.{fraction}") if fraction.isdecimal() and fraction.isascii() else 0.0)
    # EXIF is written by thousands of programs; without a time two shots are told apart by their pixels alone.
    except Exception:
        return None
