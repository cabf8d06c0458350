"""Likeness: how near a face's embedding lies to the centre of the person's held-out references."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

HIGHER_IS_BETTER = True
_UNIT_TOLERANCE = 1e-3


def likeness(embedding: ArrayLike, centroid: ArrayLike) -> float:
    """Cosine between one embedding and the references' centroid.

    The centroid, never the best single reference: the maximum over 10 references lifts .55 to .66.

    Args:
        embedding: ``[d]``, length 1.
        centroid: ``[d]``, length 1, from ``centroid``.

    Returns:
        -1..1, higher is more alike. Values of different backends or domains cannot be compared.

    Raises:
        ValueError: shapes differ, a value is not finite, or a length is not 1.
    """
    centre = np.atleast_2d(np.asarray(centroid, dtype=np.float64))
    if len(centre) != 1:
        raise ValueError(f"centroid must be a single vector, but got shape {centre.shape}")
    return likenesses(embedding, centre)[0]


def likenesses(embedding: ArrayLike, rows: ArrayLike) -> list[float]:
    """Cosine between one embedding and each of several: ``[likeness(embedding, row) for row in rows]``, checked once.

    Args:
        embedding: ``[d]``, length 1.
        rows: ``[n, d]``, rows of length 1, n >= 1.

    Raises:
        ValueError: as ``likeness``.
    """
    one = _unit_rows(np.atleast_2d(np.asarray(embedding, dtype=np.float64)), "embedding")
    others = _unit_rows(np.asarray(rows, dtype=np.float64), "rows")
    if len(one) != 1 or one.shape[1] != others.shape[1]:
        raise ValueError(f"embedding and rows must be vectors of one size, but got {one.shape}, {others.shape}")
    # Row by row and not as one product, which would round otherwise: a calibration holds numbers read this way.
    return [min(max(float(one[0] @ row), -1.0), 1.0) for row in others]


def largest_is_likest(largest: ArrayLike, others: ArrayLike, centroid: ArrayLike) -> bool:
    """Whether no other face of an image is liker to the person than its largest one, which is what likeness measures.

    Where another is liker, the person may stand in the background or a bystander in front: neither number is the
    image's likeness.

    Args:
        largest: ``[d]``, length 1.
        others: ``[k, d]``, rows of length 1; k may be 0.
        centroid: ``[d]``, length 1.

    Raises:
        ValueError: as ``likeness``.
    """
    rows = np.asarray(others, dtype=np.float64)
    own = likeness(largest, centroid)
    return rows.size == 0 or all(likeness(row, centroid) <= own for row in np.atleast_2d(rows))


def centroid(embeddings: ArrayLike) -> NDArray[np.float64]:
    """Mean of unit embeddings, scaled back to length 1.

    Args:
        embeddings: ``[n, d]``, rows of length 1, n >= 1.

    Returns:
        float64 ``[d]`` of length 1.

    Raises:
        ValueError: no rows, a row not finite or not of length 1, or rows that cancel out (no direction exists).
    """
    rows = _unit_rows(np.asarray(embeddings, dtype=np.float64), "embeddings")
    mean = rows.mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length < 1e-6:
        raise ValueError("embeddings must have a common direction, but got rows that cancel out")
    return np.asarray(mean / length)


def leave_one_out(embeddings: ArrayLike) -> NDArray[np.float64]:
    """Likeness of each reference to the centroid of the others: what a real photo of the person reaches.

    Args:
        embeddings: ``[n, d]``, rows of length 1, n >= 2.

    Returns:
        float64 ``[n]``, -1..1.

    Raises:
        ValueError: fewer than two rows, or as ``centroid``.
    """
    rows = _unit_rows(np.asarray(embeddings, dtype=np.float64), "embeddings")
    if len(rows) < 2:
        raise ValueError(f"embeddings must hold at least 2 rows to leave one out, but got {len(rows)}")
    return np.array([likeness(rows[i], centroid(np.delete(rows, i, axis=0))) for i in range(len(rows))])


def _unit_rows(rows: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    if rows.ndim != 2 or 0 in rows.shape:
        raise ValueError(f"{name} must be of shape (n, d) with n, d >= 1, but got {rows.shape}")
    lengths = np.linalg.norm(rows, axis=1)
    if not np.isfinite(rows).all() or (np.abs(lengths - 1.0) > _UNIT_TOLERANCE).any():
        raise ValueError(
            f"{name} must hold finite rows of length 1, but got lengths {lengths.min():g}..{lengths.max():g}"
        )
    return np.asarray(rows / lengths[:, None])
