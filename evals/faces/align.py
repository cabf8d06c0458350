"""From five points to the 112-pixel crop that ArcFace-style embedders were trained on."""

import numpy as np
from numpy.typing import NDArray

from evals.faces.protocol import Points
from evals.images import RgbImage

ALIGNED_SIDE = 112

# The template of InsightFace (Guo et al., "ArcFace", CVPR 2019; face_align.py), also used by SFace's authors.
TEMPLATE: NDArray[np.float64] = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
_TEMPLATE_EYE_DISTANCE = float(np.hypot(*(TEMPLATE[1] - TEMPLATE[0])))


def similarity_transform(points: Points, template: NDArray[np.float64] = TEMPLATE) -> NDArray[np.float64]:
    """Least-squares rotation, scale and shift that carry ``points`` onto ``template`` (Umeyama, PAMI 13(4), 1991).

    Args:
        points: ``[n, 2]`` x, y in pixels, n >= 2.
        template: ``[n, 2]`` where they should come to lie.

    Returns:
        float64 ``[2, 3]``: ``template ~ matrix[:, :2] @ point + matrix[:, 2]``. Never a mirror image.

    Raises:
        ValueError: shapes differ, a value is not finite, or all points coincide (no scale exists).
    """
    source = np.asarray(points, dtype=np.float64)
    target = np.asarray(template, dtype=np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 2:
        raise ValueError(f"points must be of shape {target.shape}, but got {source.shape}")
    if not np.isfinite(source).all():
        raise ValueError("points must be finite")
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    centred, aimed = source - source_mean, target - target_mean
    spread = float((centred**2).sum())
    if spread < 1e-9:
        raise ValueError("points must not coincide")
    left, singular, right = np.linalg.svd(aimed.T @ centred)
    signs = np.array([1.0, np.sign(np.linalg.det(left @ right)) or 1.0])
    rotation = (left * signs) @ right
    scale = float((singular * signs).sum()) / spread
    return np.hstack([scale * rotation, (target_mean - scale * rotation @ source_mean)[:, None]])


def inter_ocular_distance(points: Points) -> float:
    """Distance between the eyes in pixels *as if the face looked at the camera*.

    It is read off the scale of the whole five-point fit, because the plain distance between the eyes shrinks with the
    cosine of the turn of the head and would call turned faces small.

    Raises:
        ValueError: as ``similarity_transform``.
    """
    matrix = similarity_transform(points)
    return _TEMPLATE_EYE_DISTANCE / float(np.hypot(matrix[0, 0], matrix[1, 0]))


def align_face(image: RgbImage, points: Points) -> RgbImage:
    """Cut a face out upright and centred.

    Args:
        image: uint8 RGB ``[h, w, 3]``.
        points: float32 ``[5, 2]`` as in ``Face.points``.

    Returns:
        uint8 RGB ``[112, 112, 3]``, bilinear, black where the image ends (what the embedders saw in training).

    Raises:
        ValueError: the points coincide, are not finite or not five.
    """
    import cv2

    matrix = similarity_transform(points)
    return np.asarray(cv2.warpAffine(image, matrix, (ALIGNED_SIDE, ALIGNED_SIDE), borderValue=0), dtype=np.uint8)
