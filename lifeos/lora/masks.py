"""Where in a picture the loss counts in full: a mask that was drawn, or the detected face with a margin."""

from typing import TYPE_CHECKING, Any

from lifeos.errors import InputError
from lifeos.lora.augmentation import mirrored
from lifeos.lora.buckets import Size
from lifeos.lora.dataset import Example, fit_picture, read_picture

if TYPE_CHECKING:
    from evals.faces import FaceBackend
    from lifeos.lora.recipe import MaskSettings


def open_detector(settings: "MaskSettings | None") -> "FaceBackend | None":
    """Return what finds faces for a recipe that names no folder of masks; None where none is needed.

    Raises:
        InputError: the face models are absent or not the pinned ones.
    """
    if settings is None or settings.folder is not None:
        return None
    from evals.faces import open_backend

    return open_backend("yunet_sface", settings.detector_folder)


def mask_of(example: Example, settings: "MaskSettings", detector: "FaceBackend | None") -> Any | None:
    """Return the mask of a picture, a PIL image in ``L`` of its size, white where it counts; None: all of it counts.

    Args:
        example: the picture; one of the class counts throughout.
        settings: of the recipe.
        detector: of ``open_detector``.

    Raises:
        InputError: the mask cannot be read or has another size than the picture, or no face is found.
    """
    if example.prior:
        return None
    return _drawn(example) if detector is None else _detected(example, settings.margin, detector)


def loss_weights(mask: Any | None, size: Size, cells: Size, settings: "MaskSettings", mirror: bool = False) -> Any:
    """Return the weight of the loss for each latent cell of a picture, float32 ``[1, height, width]``.

    1 inside the mask, ``outside_weight`` outside, the mean of both where a cell is cut.

    Args:
        mask: of ``mask_of``.
        size: (width, height) in pixels the picture is trained at.
        cells: (width, height) of its latents.
        settings: of the recipe.
        mirror: whether the picture is trained mirrored.
    """
    import numpy as np
    from PIL import Image

    if mask is None:
        return np.ones((1, cells[1], cells[0]), np.float32)
    pixels = np.asarray(fit_picture(mask, *size))
    if mirror:
        pixels = mirrored(pixels[..., None])[..., 0]
    shrunk = np.asarray(Image.fromarray(pixels).resize(cells, Image.Resampling.BOX), np.float32) / 255.0
    weights = settings.outside_weight + (1.0 - settings.outside_weight) * shrunk
    return weights[None].astype(np.float32)


def _drawn(example: Example) -> Any:
    assert example.mask is not None  # read_examples gives every picture of the persona one
    mask, picture = read_picture(example.mask).convert("L"), read_picture(example.image)
    if mask.size != picture.size:
        raise InputError(f"{example.mask}: accepted a mask of {picture.width}x{picture.height}, as large as "
                         f"{example.image.name}, got {mask.width}x{mask.height}; next: draw it at that size")
    return mask


def _detected(example: Example, margin: float, detector: "FaceBackend") -> Any:
    import numpy as np
    from PIL import Image, ImageDraw

    picture = read_picture(example.image)
    faces = detector.detect(np.asarray(picture, dtype=np.uint8))
    if not faces:
        raise InputError(f"{example.image}: accepted a picture with a face to weigh the loss by, got none; next: draw "
                         "masks and name mask.folder, or take the picture out")
    left, top, right, bottom = (float(edge) for edge in faces[0].box)
    widened = margin * max(right - left, bottom - top)
    mask = Image.new("L", picture.size, 0)
    ImageDraw.Draw(mask).rectangle((left - widened, top - widened, right + widened, bottom + widened), fill=255)
    return mask
