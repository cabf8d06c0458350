"""One picture made fit: upright, opaque, 8-bit RGB, PNG or JPEG. The command that findings name."""

import io
from pathlib import Path
from typing import TYPE_CHECKING

from lifeos.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

_QUALITY = 95
_BACKGROUND = (255, 255, 255)
_SIXTEEN_BITS = 257.0


def rewrite_image(path: Path) -> Path:
    """Rewrite a picture in place: EXIF orientation applied and dropped, transparency laid on white, 8-bit RGB.

    CMYK is converted through the profile in the file where one fits. A JPEG stays one (quality 95, colour in full
    resolution); everything else becomes a PNG, under the name ``.png`` where it had another. The first frame of an
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
            return flattened(ImageOps.exif_transpose(image)), as_jpeg
    except MemoryError:
        raise
    # Whatever a decoder says of hostile bytes, the file is left as it is.
    except Exception as error:
        raise InputError(
            f"--rewrite {path}: accepted a picture that can be decoded, got {error}; next: export it again"
        ) from error


def flattened(image: "Image.Image") -> "Image.Image":
    """Return a decoded picture of any mode as 8-bit RGB; transparent pixels come out white."""
    import numpy as np
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=np.float64)
        # 16-bit greys come as I;16 or I; anything above their range is scaled by its own maximum.
        scale = _SIXTEEN_BITS if image.mode != "F" and values.max(initial=0) <= 65535 else max(values.max(), 1.0) / 255
        return Image.fromarray(np.clip(values / scale, 0, 255).round().astype(np.uint8)).convert("RGB")
    if image.mode == "CMYK" and (converted := _through_profile(image)) is not None:
        return converted
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        clear = image.convert("RGBA")
        flat = Image.new("RGB", clear.size, _BACKGROUND)
        flat.paste(clear, mask=clear.getchannel("A"))
        return flat
    plain = image.convert("RGB")
    plain.info.clear()
    return plain


def _through_profile(image: "Image.Image") -> "Image.Image | None":
    """Return CMYK pixels as the profile in the file means them; None without one that fits."""
    from PIL import ImageCms

    if not image.info.get("icc_profile"):
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (OSError, ImageCms.PyCMSError):
        return None
    if converted is not None:
        converted.info.clear()
    return converted
