"""YuNet finds the face, SFace embeds it: two small networks whose licences (MIT, Apache-2.0) allow any use.

Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20, 2023.
Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition", IEEE TIP 30, 2021.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.errors import InputError
from evals.faces.align import ALIGNED_SIDE, align_face
from evals.faces.folding import fold_int8
from evals.faces.pinned_models import PinnedModel, read_pinned, read_pins
from evals.faces.protocol import BackendIdentity, Embedding, Face, Points
from evals.faces.sessions import open_session, session_provider
from evals.images import RgbImage

DETECTOR_SIZE = 640
# An image of at most this many pixels a side is searched at this size. On 144 renders of 128 pixels, 24 identities:
# 256, 320, 384 and 512 gave an area under the same-against-different curve of .994, .998, .999, .999 at 3.6, 4.1, 5.5
# and 8.0 ms an image, because the points, not the faces, get better.
SMALL_DETECTOR_SIZE = 384
MAXIMUM_MAGNIFICATION = 3.0
SCORE_THRESHOLD = 0.6
OVERLAP_THRESHOLD = 0.3
_STRIDES = (8, 16, 32)


class YunetSface:
    """The default backend. Sessions are opened on construction and are not shared between processes."""

    def __init__(self, folder: Path, provider: str = "cpu", threads: int = 1) -> None:
        """Load and verify both networks.

        Args:
            folder: holds ``face_models.toml`` and the two files it names.
            provider: as ``open_session``.
            threads: as ``open_session``.

        Raises:
            InputError: a file is missing, of another hash, or cannot be opened on that provider.
        """
        pins = read_pins(folder)
        detector, embedder = pins["detector"], pins["embedder"]
        self._detector = _open(folder, detector, {"input": (0, 2, 3)}, provider, threads)
        self._embedder = _open(folder, embedder, {"data": (0,)}, provider, threads)
        self._head_names = [output.name for output in self._detector.get_outputs()]
        self._identity = BackendIdentity(
            name="yunet_sface",
            weights={detector.file: detector.sha256, embedder.file: embedder.sha256},
            licence=f"YuNet: {detector.licence}; SFace: {embedder.licence}",
            detector_size=DETECTOR_SIZE,
            settings={
                "small_detector_size": SMALL_DETECTOR_SIZE,
                "maximum_magnification": MAXIMUM_MAGNIFICATION,
                "score_threshold": SCORE_THRESHOLD,
                "overlap_threshold": OVERLAP_THRESHOLD,
            },
        )

    @property
    def identity(self) -> BackendIdentity:
        """Name, weights' hashes, licences and pinned settings."""
        return self._identity

    @property
    def provider(self) -> str:
        """``"cuda"`` when both networks run there, else ``"cpu"``."""
        return "cuda" if {session_provider(self._detector), session_provider(self._embedder)} == {"cuda"} else "cpu"

    def detect(self, image: RgbImage) -> list[Face]:
        """Find faces in a uint8 RGB image ``[h, w, 3]``, biggest box first.

        Raises:
            ValueError: the image is not uint8 ``[h, w, 3]``.
        """
        _check_rgb(image)
        picture, scale = _fit(image)
        tensor = picture[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32)
        outputs = self._detector.run(None, {"input": tensor})
        heads = {name: output[0] for name, output in zip(self._head_names, outputs, strict=True)}
        boxes, points, scores = _decode(heads, picture.shape[0], picture.shape[1])
        faces = [
            Face(box=boxes[index] / scale, points=points[index] / scale, score=float(scores[index]))
            for index in _suppress_overlaps(boxes, scores)
        ]
        return sorted(faces, key=lambda face: (-face.area, -face.score, *face.box.tolist()))

    def align(self, image: RgbImage, points: Points) -> RgbImage:
        """Cut the face with these five points out as uint8 RGB ``[112, 112, 3]``; raises as ``align_face``."""
        return align_face(image, points)

    def embed(self, aligned: RgbImage) -> Embedding:
        """Turn an aligned uint8 RGB crop ``[112, 112, 3]`` into a float32 vector ``[128]`` of length 1.

        Raises:
            ValueError: the crop is of another shape or dtype.
        """
        _check_rgb(aligned)
        if aligned.shape != (ALIGNED_SIDE, ALIGNED_SIDE, 3):
            raise ValueError(f"aligned must be of shape (112, 112, 3), but got {aligned.shape}")
        # SFace takes RGB in 0..255 and scales inside the graph.
        tensor = aligned.transpose(2, 0, 1)[None].astype(np.float32)
        vector = np.asarray(self._embedder.run(None, {"data": tensor})[0][0], dtype=np.float32)
        return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)

    def embed_many(self, aligned: Sequence[RgbImage]) -> NDArray[np.float32]:
        """Return float32 ``[n, 128]``, one row a crop.

        One run a crop: on a CPU, batches of 8 and 16 took longer an image (38 and 42 ms against 33) and would tie a
        value to its neighbours.
        """
        if not aligned:
            return np.zeros((0, 128), dtype=np.float32)
        return np.stack([self.embed(crop) for crop in aligned])


def _open(folder: Path, model: PinnedModel, free: dict[str, tuple[int, ...]], provider: str, threads: int) -> Any:
    name = str(Path(folder) / model.file)
    session = open_session(fold_int8(read_pinned(folder, model), name, free), name, provider, threads)
    if "data" in free and session.get_outputs()[0].shape[-1] != 128:
        raise InputError(
            f"{name}: accepted an embedder of 128 values, got {session.get_outputs()[0].shape}; next: fetch"
        )
    return session


def _check_rgb(image: RgbImage) -> None:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image must be uint8 of shape (height, width, 3), but got {image.dtype} of {image.shape}")


def _fit(image: RgbImage) -> tuple[RgbImage, float]:
    """Scale to the pinned size and fill up with black at the right and bottom to multiples of the largest stride."""
    import cv2

    height, width = image.shape[:2]
    longest = max(height, width)
    size = SMALL_DETECTOR_SIZE if longest <= SMALL_DETECTOR_SIZE else DETECTOR_SIZE
    scale = min(size / longest, MAXIMUM_MAGNIFICATION)
    scaled_width, scaled_height = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(image, (scaled_width, scaled_height), interpolation=method)
    step = _STRIDES[-1]
    picture = np.zeros((-(-scaled_height // step) * step, -(-scaled_width // step) * step, 3), dtype=np.uint8)
    picture[:scaled_height, :scaled_width] = resized
    return picture, scale


def _decode(
    heads: dict[str, NDArray[np.float32]], height: int, width: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Heads of the three strides to boxes ``[n, 4]``, points ``[n, 5, 2]`` and scores ``[n]`` in detector pixels."""
    boxes, points, scores = [], [], []
    for stride in _STRIDES:
        certainty = np.sqrt(np.clip(heads[f"cls_{stride}"][:, 0], 0, 1) * np.clip(heads[f"obj_{stride}"][:, 0], 0, 1))
        chosen = np.flatnonzero(certainty > SCORE_THRESHOLD)
        columns = width // stride
        if len(certainty) != columns * (height // stride):
            raise ValueError(f"detector gave {len(certainty)} cells for {width} x {height} at stride {stride}")
        cell = np.stack([chosen % columns, chosen // columns], axis=1).astype(np.float32)
        box = heads[f"bbox_{stride}"][chosen]
        centre, extent = (box[:, :2] + cell) * stride, np.exp(box[:, 2:]) * stride
        boxes.append(np.concatenate([centre - extent / 2, centre + extent / 2], axis=1))
        points.append((heads[f"kps_{stride}"][chosen].reshape(-1, 5, 2) + cell[:, None]) * stride)
        scores.append(certainty[chosen])
    return (
        np.concatenate(boxes).astype(np.float32),
        np.concatenate(points).astype(np.float32),
        np.concatenate(scores).astype(np.float32),
    )


def _suppress_overlaps(boxes: NDArray[np.float32], scores: NDArray[np.float32]) -> list[int]:
    """Greedy non-maximum suppression: indices of the boxes that stay, best score first, ties by position."""
    left, top, right, bottom = boxes.T
    areas = (right - left) * (bottom - top)
    waiting = np.lexsort((np.arange(len(scores)), -scores))
    kept: list[int] = []
    while len(waiting):
        best, rest = int(waiting[0]), waiting[1:]
        kept.append(best)
        across = np.minimum(right[best], right[rest]) - np.maximum(left[best], left[rest])
        down = np.minimum(bottom[best], bottom[rest]) - np.maximum(top[best], top[rest])
        shared = np.clip(across, 0, None) * np.clip(down, 0, None)
        waiting = rest[shared / (areas[best] + areas[rest] - shared) <= OVERLAP_THRESHOLD]
    return kept
