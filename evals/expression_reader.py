"""Reads the expression of a face as one of a few words: ridge regression on histograms of oriented gradients.

A reader belongs to one kind of picture: the shipped one was fitted on the renders that tiny-base learnt from and says
nothing about photographs, so a base without a reader of its own is not read.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from evals.content_hash import hash_bytes
from evals.errors import InputError
from evals.faces.align import align_face
from evals.faces.protocol import Points
from evals.images import RgbImage

FEATURES = 1568
WORDS_KEY = "words"


def face_gradients(image: RgbImage, points: Points) -> NDArray[np.float64]:
    """Return histograms of oriented gradients of a face, cut out upright (Dalal and Triggs, CVPR 2005).

    Eight unsigned orientations, cells of 14 pixels, overlapping blocks of 2 x 2 cells, L2-Hys; 1.7 ms a face.

    Args:
        image: uint8 RGB ``[h, w, 3]``.
        points: float32 ``[5, 2]`` as in ``Face.points``.

    Returns:
        float64 ``[1568]``, 0..1.

    Raises:
        ValueError: as ``align_face``.
    """
    from skimage.color import rgb2gray
    from skimage.feature import hog

    return np.asarray(hog(rgb2gray(align_face(image, points)), 8, (14, 14), (2, 2)), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class ExpressionReader:
    """A fitted reader.

    Args:
        words: k different words, in the order of the columns.
        weights: float ``[1568, k]``.
        offset: float ``[k]``.
        sha256: of the file it was read from; None for one that was fitted here.
    """

    words: tuple[str, ...]
    weights: NDArray[np.float64]
    offset: NDArray[np.float64]
    sha256: str | None = None

    def read(self, gradients: NDArray[np.floating]) -> str:
        """Return the likeliest word of one face.

        Args:
            gradients: float ``[1568]`` from ``face_gradients``.
        """
        return self.words[int(np.argmax(np.asarray(gradients, dtype=np.float64) @ self.weights + self.offset))]

    @classmethod
    def fit(cls, gradients: NDArray[np.floating], words: list[str], ridge: float) -> Self:
        """Fit by ridge regression on one-hot words, every word weighing the same however often it stands.

        Args:
            gradients: float ``[n, 1568]``.
            words: one a row; at least two different ones.
            ridge: added to the diagonal of the Gram matrix, > 0.

        Raises:
            ValueError: lengths differ, a value is not finite, or there are fewer than two words.
        """
        rows = np.asarray(gradients, dtype=np.float64)
        names = sorted(set(words))
        if rows.shape != (len(words), FEATURES) or not np.isfinite(rows).all() or len(names) < 2 or ridge <= 0:
            raise ValueError(
                f"accepted finite gradients of shape (n, {FEATURES}), n words of two kinds or more, a ridge above 0, "
                f"but got {rows.shape}, {len(words)} words of {len(names)} kinds, {ridge}"
            )
        targets = np.array([[word == name for name in names] for word in words], dtype=np.float64)
        weight = (targets / targets.sum(axis=0)).sum(axis=1)[:, None] * len(words) / len(names)
        mean, target = (rows * weight).sum(axis=0) / len(words), (targets * weight).sum(axis=0) / len(words)
        centred = rows - mean
        gram = (centred * weight).T @ centred + ridge * np.eye(FEATURES)
        weights = np.linalg.solve(gram, (centred * weight).T @ (targets - target))
        return cls(tuple(names), weights, target - mean @ weights)

    def save(self) -> bytes:
        """Return the reader as a safetensors file: ``weights`` and ``offset`` in float32, the words in its metadata."""
        from safetensors.numpy import save

        tensors = {"weights": self.weights.astype(np.float32), "offset": self.offset.astype(np.float32)}
        return bytes(save(tensors, metadata={WORDS_KEY: " ".join(self.words)}))


def read_reader(path: Path, sha256: str | None = None) -> ExpressionReader:
    """Read what ``ExpressionReader.save`` gave.

    Args:
        path: the file.
        sha256: what it must hash to; None: anything.

    Raises:
        InputError: the file is missing, of another hash, no safetensors, or not such a reader.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.numpy import load

    restore = f"next: git checkout {Path(path).name}"
    try:
        data = Path(path).read_bytes()
        with safe_open(str(path), "numpy") as file:
            words = tuple(str((file.metadata() or {}).get(WORDS_KEY, "")).split())
        tensors = load(data)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: accepted an expression reader, got {error}; {restore}") from error
    found = hash_bytes(data)
    if sha256 is not None and found != sha256:
        raise InputError(f"{path}: accepted SHA-256 {sha256}, got {found}; {restore}")
    weights, offset = tensors.get("weights"), tensors.get("offset")
    shapes = [None if tensor is None else tensor.shape for tensor in (weights, offset)]
    if shapes != [(FEATURES, len(words)), (len(words),)] or len(set(words)) < 2:
        raise InputError(f"{path}: accepted weights and offset of two words or more, got {shapes}, {words}; {restore}")
    assert weights is not None
    assert offset is not None
    if not (np.isfinite(weights).all() and np.isfinite(offset).all()):
        raise InputError(f"{path}: accepted finite weights, got NaN or infinity; {restore}")
    return ExpressionReader(words, weights.astype(np.float64), offset.astype(np.float64), found)
