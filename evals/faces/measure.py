"""One image to its faces and the embedding of the face that counts, or to the reason why there is none."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.faces.align import inter_ocular_distance
from evals.faces.protocol import Embedding, Face, FaceBackend
from evals.images import RgbImage

PADDING_SHARE = 0.4
MINIMUM_INTER_OCULAR = 12.0
# A crowd behind the person costs 33 ms a face; who is liker than the largest face stands among the next largest.
MOST_OTHERS = 4


@dataclass(frozen=True, eq=False)
class FaceMeasurement:
    """What was found in one image.

    Attributes:
        faces: the scorable faces, biggest first; their number is the image's ``face_count``.
        embedding: float32 ``[d]`` of length 1 of the biggest face; None without a scorable face.
        reason: why there is no embedding (``unscorable`` stands in it where faces are only too small); None when there
            is one.
        others: float32 ``[k, d]``, rows of length 1: the next biggest scorable faces, at most ``MOST_OTHERS``.
    """

    faces: tuple[Face, ...]
    embedding: Embedding | None
    reason: str | None
    others: NDArray[np.float32]


def find_faces(backend: FaceBackend, image: RgbImage) -> list[Face]:
    """Detect; where nothing is found, detect again with 40 % of black around: detectors miss faces that fill the frame.

    Args:
        backend: any face backend.
        image: uint8 RGB ``[h, w, 3]``.

    Returns:
        Faces in pixels of ``image``, biggest first.
    """
    faces = backend.detect(image)
    if faces:
        return faces
    height, width = image.shape[:2]
    down, across = round(height * PADDING_SHARE), round(width * PADDING_SHARE)
    padded = np.pad(image, ((down, down), (across, across), (0, 0)))
    shift = np.array([across, down], dtype=np.float32)
    return [
        Face(box=face.box - np.tile(shift, 2), points=face.points - shift, score=face.score)
        for face in backend.detect(padded)
    ]


def measure_face(
    backend: FaceBackend, image: RgbImage, *, minimum_inter_ocular: float = MINIMUM_INTER_OCULAR
) -> FaceMeasurement:
    """Find the faces of an image and embed the biggest.

    Args:
        backend: any face backend.
        image: uint8 RGB ``[h, w, 3]``.
        minimum_inter_ocular: pixels between the eyes (as seen from the front) below which a face is unscorable and not
            counted.

    Raises:
        ValueError: the image is not uint8 ``[h, w, 3]``.
    """
    found = find_faces(backend, image)
    nobody = np.zeros((0, 0), dtype=np.float32)
    if not found:
        return FaceMeasurement((), None, "no face found", nobody)
    distances = [_distance(face) for face in found]
    scorable = tuple(face for face, distance in zip(found, distances, strict=True) if distance >= minimum_inter_ocular)
    if not scorable:
        got = f"{max(distances):.1f} of {minimum_inter_ocular:.1f} pixels between the eyes"
        return FaceMeasurement((), None, f"face too small, unscorable: {got}", nobody)
    first, *rest = [backend.align(image, face.points) for face in scorable[: 1 + MOST_OTHERS]]
    others = np.stack([backend.embed(crop) for crop in rest]) if rest else nobody
    return FaceMeasurement(scorable, backend.embed(first), None, others)


def _distance(face: Face) -> float:
    try:
        return inter_ocular_distance(face.points)
    except ValueError:
        # Five points in one place are no face that anyone can score.
        return 0.0
