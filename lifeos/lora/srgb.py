"""A decoded picture of any mode as opaque 8-bit sRGB: what training and judging take every file for."""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

BACKGROUND = (255, 255, 255)
"""What transparent pixels are laid on."""
_SIXTEEN_BITS = 257.0
_WITH_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")
# The colour space that a profile must describe to fit pixels of a mode; ICC.1:2022, table 19.
_PROFILE_SPACES = {"RGB": "RGB", "CMYK": "CMYK", "L": "GRAY"}


def opaque_srgb(image: "Image.Image") -> "tuple[Image.Image, frozenset[str]]":
    """Return a decoded picture as 8-bit RGB in sRGB, and what had to be done for that.

    An embedded colour profile is applied (relative colorimetric with black point compensation); one that does not fit
    the pixels, or cannot be read, is left out and the pixels are taken as sRGB. 16-bit and floating-point grey is
    scaled; transparent pixels are laid on white.

    Args:
        image: loaded, of any mode, upright.

    Returns:
        The picture in mode RGB without metadata, and words for the changes that touched its pixels: ``"16 bits"``,
        ``"colour profile"``, ``"CMYK"``, ``"transparency"``.

    Raises:
        ValueError: Pillow knows no way from this mode to RGB.
    """
    from PIL import Image

    changes = set()
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bits(image)
        changes.add("16 bits")
    alpha = None
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        clear = image.convert("RGBA")
        alpha = clear.getchannel("A")
        image = clear.convert("RGB")
    elif image.mode not in _PROFILE_SPACES:
        image = image.convert("RGB")
    converted = _through_profile(image, profile) if profile else None
    if converted is not None:
        changes.add("colour profile")
    if image.mode == "CMYK":
        changes.add("CMYK")
    plain = (converted or image).convert("RGB")
    if alpha is not None and alpha.getextrema()[0] != 255:
        flat = Image.new("RGB", plain.size, BACKGROUND)
        flat.paste(plain, mask=alpha)
        plain = flat
        changes.add("transparency")
    plain.info.clear()
    return plain, frozenset(changes)


def _eight_bits(image: "Image.Image") -> "Image.Image":
    import numpy as np
    from PIL import Image

    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)
    # 16-bit greys come as I;16 or I; anything above their range is scaled by its own maximum.
    scale = _SIXTEEN_BITS if image.mode != "F" and values.max(initial=0) <= 65535 else max(values.max(), 1.0) / 255
    return Image.fromarray(np.clip(values / scale, 0, 255).round().astype(np.uint8))


def _through_profile(image: "Image.Image", data: bytes) -> "Image.Image | None":
    """Return pixels as their profile means them; None where it changes nothing or does not fit."""
    from PIL import ImageCms

    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        if profile.profile.xcolor_space.strip() != _PROFILE_SPACES[image.mode]:
            return None
        # Through its own profile sRGB would move by a level here and there, for nothing.
        if ImageCms.getProfileDescription(profile).strip().startswith("sRGB"):
            return None
        return ImageCms.profileToProfile(
            image,
            profile,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (OSError, ValueError, ImageCms.PyCMSError):
        return None
