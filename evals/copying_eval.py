"""Copying: is a sample a training photo again, or a face that follows one photo more than the person?

A near-duplicate is found by the correlation of small thumbnails, searched over crops and shifts of some percent and
over the mirror image: an exact paste, a recompressed, noisy, brightened or slightly cropped copy lies at a distance
near 0, another picture of the same person does not. Where the limit lies is calibrated on held-out references.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evals.face_similarity_eval import likeness, likenesses
from evals.images import RgbImage

HIGHER_IS_BETTER = True  # a larger distance to the training images is better

SIDE = 20
SIGNATURE_LENGTH = 3 * SIDE * SIDE
# Only the inner part is compared, so that a moved or zoomed thumbnail never reads beyond its border.
_MARGIN = 2
_INNER = SIDE - 2 * _MARGIN
# A crop of 2 % at every side magnifies by 4 %, one at two sides moves the middle by .2 of a thumbnail pixel.
_ZOOMS = (0.96, 0.98, 1.0, 1.02, 1.04)
_SHIFTS = (-0.5, -0.25, 0.0, 0.25, 0.5)
# Without it the thumbnail is aliased, and reading it between its pixels costs more (.030 for a crop of 2 %) than
# another picture of the same person may differ by (.023).
_BLUR = 1.0
_LEAST_SPREAD = 1e-6


def image_signature(image: RgbImage) -> NDArray[np.float32]:
    """Return what identifies a picture: a blurred 20 x 20 RGB thumbnail, each channel of mean 0, together of length 1.

    Colour stays in because it tells a person's other pictures apart better than luma alone does: the nearest of 144
    renders lay at .035 with colour and at .010 without, while the copies moved by less than that.

    Args:
        image: uint8 RGB ``[h, w, 3]``; other shapes than square are squeezed to square.

    Returns:
        float32 ``[1200]``: channels, rows, columns. An image of one colour gives zeros, which are far from everything.

    Raises:
        ValueError: the image is not uint8 ``[h, w, 3]``.
    """
    import cv2

    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image must be uint8 of shape (height, width, 3), but got {image.dtype} of {image.shape}")
    twice = cv2.resize(image.astype(np.float32), (2 * SIDE, 2 * SIDE), interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(twice, (0, 0), 2 * _BLUR)
    thumbnail = np.asarray(cv2.resize(smooth, (SIDE, SIDE), interpolation=cv2.INTER_AREA), dtype=np.float64)
    return np.asarray(_normalised(thumbnail.transpose(2, 0, 1)[None])[0], dtype=np.float32)


def nearest(signature: ArrayLike, training_signatures: ArrayLike) -> float:
    """Distance of a picture to the most similar training picture.

    Args:
        signature: ``[1200]`` from ``image_signature``.
        training_signatures: ``[n, 1200]`` or a list of n such vectors, n >= 1.

    Returns:
        0..2: one minus the best correlation over training pictures, crops, shifts and the mirror image. 0 is a copy up
        to brightness and contrast; 1 is unrelated.

    Raises:
        ValueError: another shape, no training picture, or values that are not finite.
    """
    return float(distances(signature, training_signatures).min())


def nearest_index(signature: ArrayLike, training_signatures: ArrayLike) -> int:
    """Row of the training picture that ``nearest`` measures to; the first of equals. Raises what that raises."""
    return int(distances(signature, training_signatures).argmin())


def nearest_face(embedding: ArrayLike, training_embeddings: ArrayLike) -> int:
    """Row of the training face that a face is nearest to; the first of equals.

    One photo that is nearest to many samples draws them in like a black hole: the LoRA has learnt that photo.

    Args:
        embedding: ``[d]``, length 1.
        training_embeddings: ``[n, d]``, rows of length 1, n >= 1.

    Raises:
        ValueError: as ``copy_face``.
    """
    return int(np.argmax(_likenesses(embedding, training_embeddings)))


def copy_face(embedding: ArrayLike, training_embeddings: ArrayLike, centroid: ArrayLike) -> float:
    """How much nearer a face lies to one training photo than to the person: ``cos(e, nearest) - cos(e, centroid)``.

    Args:
        embedding: ``[d]``, length 1.
        training_embeddings: ``[n, d]``, rows of length 1, n >= 1: the faces of the training images.
        centroid: ``[d]``, length 1: of the held-out references.

    Returns:
        -2..2, lower is better.

    Raises:
        ValueError: shapes differ, no training face, or a row not finite or not of length 1.
    """
    return max(_likenesses(embedding, training_embeddings)) - likeness(embedding, centroid)


def _likenesses(embedding: ArrayLike, training_embeddings: ArrayLike) -> list[float]:
    rows = np.atleast_2d(np.asarray(training_embeddings, dtype=np.float64))
    if rows.size == 0:
        raise ValueError("training_embeddings must hold at least 1 row, but got none")
    return likenesses(embedding, rows)


def distances(signature: ArrayLike, training_signatures: ArrayLike) -> NDArray[np.float64]:
    """Distance to each training picture, float64 ``[n]``; ``nearest`` is the smallest of them. Raises what that raises.

    Only the first picture is shifted and zoomed, so the distance back may differ a little.
    """
    one = np.asarray(signature, dtype=np.float64)
    many = np.atleast_2d(np.asarray(training_signatures, dtype=np.float64))
    if one.shape != (SIGNATURE_LENGTH,) or many.ndim != 2 or many.shape[1] != SIGNATURE_LENGTH or not len(many):
        raise ValueError(
            f"signatures must be of shapes ({SIGNATURE_LENGTH},) and (n >= 1, {SIGNATURE_LENGTH}), "
            f"but got {one.shape} and {many.shape}"
        )
    if not (np.isfinite(one).all() and np.isfinite(many).all()):
        raise ValueError("signatures must be finite")
    inner = slice(_MARGIN, SIDE - _MARGIN)
    targets = _normalised(many.reshape(-1, 3, SIDE, SIDE)[:, :, inner, inner])
    planes = one.reshape(3, SIDE, SIDE)
    variants = np.concatenate([_variants(planes), _variants(planes[:, :, ::-1])])
    correlations = _normalised(variants) @ targets.T
    return np.asarray(np.clip(1.0 - correlations.max(axis=0), 0.0, 2.0), dtype=np.float64)


def _variants(planes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inner part of a thumbnail under every zoom and pair of shifts: ``[zooms * shifts^2, 3, inner, inner]``."""
    moved = []
    for zoom in _ZOOMS:
        readers = np.stack([_reader(zoom, shift) for shift in _SHIFTS])
        rows = readers[:, None] @ planes[None]
        both = rows[:, None] @ readers.transpose(0, 2, 1)[None, :, None]
        moved.append(both.reshape(-1, 3, _INNER, _INNER))
    return np.concatenate(moved)


@cache
def _reader(zoom: float, shift: float) -> NDArray[np.float64]:
    """Linear interpolation along one axis as a matrix ``[inner, side]``: row i reads where pixel i came from."""
    middle = (SIDE - 1) / 2
    places = middle + (np.arange(_MARGIN, SIDE - _MARGIN) - middle) * zoom + shift
    return np.asarray(np.clip(1.0 - np.abs(places[:, None] - np.arange(SIDE)[None, :]), 0.0, None), dtype=np.float64)


def _normalised(pictures: NDArray[np.float64]) -> NDArray[np.float64]:
    """``[n, channels, h, w]`` to rows of all values: each channel of mean 0, each row of length 1 (or 0)."""
    rows = (pictures - pictures.mean(axis=(2, 3), keepdims=True)).reshape(len(pictures), -1)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(lengths > _LEAST_SPREAD, rows / np.maximum(lengths, _LEAST_SPREAD), 0.0)


def held_out_distances(references: Sequence[RgbImage], training: Sequence[RgbImage]) -> list[float]:
    """Distance of each held-out reference to its nearest training image: what calibrates the limit.

    Args:
        references: uint8 RGB images of the person that were not trained on.
        training: uint8 RGB images that were, at least one.

    Raises:
        ValueError: as ``image_signature`` and ``nearest``.
    """
    signatures = [image_signature(image) for image in training]
    return [nearest(image_signature(image), signatures) for image in references]
