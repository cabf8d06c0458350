"""One picture made fit: upright, opaque, 8-bit RGB, PNG or JPEG. The command that findings name."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from lifeos.errors import InputError
from lifeos.lora.srgb import opaque_srgb

if TYPE_CHECKING:
    from PIL import Image

_QUALITY = 95


def rewrite_image(path: Path) -> Path:
    """Rewrite a picture in place: EXIF orientation applied and dropped, transparency laid on white, 8-bit RGB.

    Colours are brought to sRGB through the profile in the file where one fits. A JPEG stays one (quality 95, colour in
    full resolution); everything else becomes a PNG, under the name ``.png`` where it had another. The first frame of an
    animation is kept. EXIF data, the place a photo was taken among them, does not survive.

    Returns:
        The file that now holds the picture.

    Raises:
        InputError: no file, no picture that can be decoded, more than 64 million pixels, or the PNG's name is taken.
    """
    from evals.atomic import write_bytes

    path = Path(path)
    if not path.is_file():
        raise InputError(f"--rewrite {path}: accepted an image file, got none there; next: check the path")
    picture, as_jpeg = _decoded(path)
    target = path if as_jpeg or path.suffix.lower() == ".png" else path.with_suffix(".png")
    if target != path and target.exists():
        raise InputError(f"--rewrite {path}: accepted a free name {target.name}, got a file there; next: move it away")
    encoded = io.BytesIO()
    if as_jpeg:
        picture.save(encoded, "JPEG", quality=_QUALITY, subsampling=0)
    else:
        picture.save(encoded, "PNG")
    write_bytes(target, encoded.getvalue())
    if target != path:
        path.unlink()
    return target


def _decoded(path: Path) -> "tuple[Image.Image, bool]":
    from PIL import Image, ImageOps

    from evals.images import MAXIMUM_PIXELS

    try:
        with Image.open(path) as image:
            if image.width * image.height > MAXIMUM_PIXELS:
                raise ValueError(f"{image.width} x {image.height} pixels")
            as_jpeg = image.format == "JPEG" and path.suffix.lower() in (".jpg", ".jpeg")
            image.load()
            return opaque_srgb(ImageOps.exif_transpose(image))[0], as_jpeg
    except MemoryError:
        raise
    # Whatever a decoder says of hostile bytes, the file is left as it is.
    except Exception as error:
        raise InputError(
            f"--rewrite {path}: accepted a picture that can be decoded, got {error}; next: export it again"
        ) from error
