"""Where to cut a picture so that it has a given shape and its face lies inside: boxes first, pixels last."""

from evals.faces.align import inter_ocular_distance
from evals.faces.protocol import Points
from evals.images import RgbImage

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in whole pixels; right and bottom are outside."""
Size = tuple[int, int]
"""Width, height in pixels."""

# Skin asks for eyes .18 of the shorter side apart (lifeos.measure); at .25 a face fills a portrait.
PORTRAIT_EYE_SHARE = 0.25


def face_middle(points: Points) -> tuple[float, float]:
    """Return x, y of the middle of the five points ``[5, 2]``."""
    x, y = points.mean(axis=0)
    return float(x), float(y)


def largest_box(image: Size, shape: Size, middle: tuple[float, float] | None = None) -> Box:
    """Return the largest box of a shape in an image, its middle as near as can be to a point.

    Args:
        image: width, height.
        shape: width to height of the box; only their ratio counts.
        middle: x, y in pixels; None is the middle of the image.
    """
    scale = min(image[0] / shape[0], image[1] / shape[1])
    return _box(image, shape, scale, middle or (image[0] / 2, image[1] / 2))


def portrait_box(image: Size, shape: Size, points: Points, eye_share: float = PORTRAIT_EYE_SHARE) -> Box:
    """Return the box of a shape around a face in which its eyes lie ``eye_share`` of the shorter side apart.

    It is never smaller than ``shape`` in pixels (a cut that is enlarged afterwards has no fine detail) and never larger
    than the image holds.

    Args:
        image: width, height.
        shape: width, height that the cut is scaled to.
        points: float32 ``[5, 2]`` as in ``Face.points``.
        eye_share: distance between the eyes as a share of the box's shorter side, in (0, 1).

    Raises:
        ValueError: the points coincide or are not finite.
    """
    largest = min(image[0] / shape[0], image[1] / shape[1])
    wanted = inter_ocular_distance(points) / eye_share / min(shape)
    return _box(image, shape, min(max(wanted, 1.0), largest), face_middle(points))


def cut(image: RgbImage, box: Box, size: Size) -> RgbImage:
    """Cut a box out of an image and scale it (Lanczos, as training scales its pictures).

    Args:
        image: uint8 RGB ``[h, w, 3]``.
        box: inside the image.
        size: width, height of the result; equal to the box's own: nothing is resampled.

    Returns:
        uint8 RGB ``[height, width, 3]``.
    """
    import numpy as np
    from PIL import Image

    left, top, right, bottom = box
    part = image[top:bottom, left:right]
    if (right - left, bottom - top) == size:
        return part.copy()
    return np.asarray(Image.fromarray(part).resize(size, Image.Resampling.LANCZOS), dtype=np.uint8)


def _box(image: Size, shape: Size, scale: float, middle: tuple[float, float]) -> Box:
    width = min(max(round(shape[0] * scale), 1), image[0])
    height = min(max(round(shape[1] * scale), 1), image[1])
    left = min(max(round(middle[0] - width / 2), 0), image[0] - width)
    top = min(max(round(middle[1] - height / 2), 0), image[1] - height)
    return left, top, left + width, top + height
