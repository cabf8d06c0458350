"""Diversity: do the faces of a set differ from each other as pictures of one person do, or is one face drawn again?"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

HIGHER_IS_BETTER = False  # the more alike, the less diverse

_UNIT_SLACK = 1e-3


def self_similarity(embeddings: Sequence[ArrayLike | None]) -> list[float | None]:
    """Return, for each face of a set, its mean cosine to the other faces of the set.

    The mean over the set is the mean pairwise cosine; one minus it is the dispersion. It is held against the persona's
    references and not against the base, whose faces are different people: nulls of the demo's base have a mean pairwise
    cosine of .34, the references of its persona .73, so .7 of the base's dispersion would refuse the references.

    Args:
        embeddings: ``[d]`` of length 1 for each image, None where there is no face.

    Returns:
        -1..1 for each image; None without a face, or where no other image has one.

    Raises:
        ValueError: sizes differ, or a row is not finite or not of length 1.
    """
    present = [np.asarray(row, dtype=np.float64) for row in embeddings if row is not None]
    if len(present) < 2:
        return [None] * len(embeddings)
    rows = _unit_rows(present)
    others = (rows @ rows.sum(axis=0) - (rows**2).sum(axis=1)) / (len(rows) - 1)
    values = iter(np.clip(others, -1.0, 1.0))
    return [None if row is None else float(next(values)) for row in embeddings]


def mean_pairwise(embeddings: ArrayLike) -> float:
    """Return the mean cosine over all pairs of different rows.

    Args:
        embeddings: ``[n, d]``, rows of length 1, n >= 2.

    Raises:
        ValueError: fewer than two rows, or one is not finite or not of length 1.
    """
    rows = np.asarray(embeddings, dtype=np.float64)
    if rows.ndim != 2 or len(rows) < 2:
        raise ValueError(f"embeddings must be of shape (n >= 2, d), but got {rows.shape}")
    return float(np.mean([value for value in self_similarity(list(rows)) if value is not None]))


def _unit_rows(rows: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    if len({row.shape for row in rows}) != 1 or rows[0].ndim != 1:
        raise ValueError(f"embeddings must be vectors of one size, but got {sorted({row.shape for row in rows})}")
    array = np.stack(rows)
    if not np.isfinite(array).all() or (np.abs(np.linalg.norm(array, axis=1) - 1.0) > _UNIT_SLACK).any():
        raise ValueError("embeddings must be finite and of length 1")
    return array
