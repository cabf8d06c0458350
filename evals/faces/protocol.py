"""What a face backend is: finds faces with five points, turns an aligned crop into a unit vector, says who it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evals.images import RgbImage

Points = NDArray[np.float32]
Embedding = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Face:
    """One face found in an image.

    Attributes:
        box: float32 ``[4]``: left, top, right, bottom in pixels of the image; may reach beyond its border.
        points: float32 ``[5, 2]``: x, y in pixels of the eye on the image's left, the eye on its right, the tip of the
            nose, the mouth corner on the left, the one on the right.
        score: the detector's confidence, 0..1.
    """

    box: NDArray[np.float32]
    points: Points
    score: float

    @property
    def area(self) -> float:
        """Area of the box in square pixels."""
        return float((self.box[2] - self.box[0]) * (self.box[3] - self.box[1]))


@dataclass(frozen=True)
class BackendIdentity:
    """Everything that moves a similarity value: a calibration holds for one such identity and no other.

    Attributes:
        name: the backend, as ``open_backend`` takes it.
        weights: file name to SHA-256 (64 hexadecimal digits) of each weights file that judges.
        licence: under which licence those weights may be used; shown in the scorecard.
        detector_size: longest side in pixels of what the detector sees. It moves embeddings (cosine .978 between two
            sizes), hence pinned here.
        settings: the remaining numbers of the way from pixels to points (thresholds, scales, padding).
    """

    name: str
    weights: Mapping[str, str]
    licence: str
    detector_size: int
    settings: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data; equal identities give equal data."""
        return {
            "name": self.name,
            "weights": dict(sorted(self.weights.items())),
            "licence": self.licence,
            "detector_size": self.detector_size,
            "settings": dict(sorted(self.settings.items())),
        }


class FaceBackend(Protocol):
    """A detector and an embedder that belong together."""

    @property
    def identity(self) -> BackendIdentity:
        """Name, weights' hashes, licence and pinned settings."""
        ...

    @property
    def provider(self) -> str:
        """Where it truly runs: ``"cpu"`` or ``"cuda"`` (read from the session, not from what was asked for)."""
        ...

    def detect(self, image: RgbImage) -> list[Face]:
        """Find faces in a uint8 RGB image ``[h, w, 3]``, biggest box first."""
        ...

    def align(self, image: RgbImage, points: Points) -> RgbImage:
        """Cut the face with these five points out as uint8 RGB ``[112, 112, 3]``."""
        ...

    def embed(self, aligned: RgbImage) -> Embedding:
        """Turn an aligned uint8 RGB crop ``[112, 112, 3]`` into a float32 vector ``[d]`` of length 1."""
        ...

    def embed_many(self, aligned: Sequence[RgbImage]) -> NDArray[np.float32]:
        """Return float32 ``[n, d]``: row i is exactly ``embed(aligned[i])``, whatever stands beside it."""
        ...
