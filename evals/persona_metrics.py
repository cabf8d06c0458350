"""What an image is worth to one persona: its record (what can be known of it without any persona) against the
calibration and the training images.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evals.calibration import Calibration
from evals.copying_eval import copy_face, nearest, nearest_face
from evals.face_similarity_eval import largest_is_likest, likeness
from evals.metric_families import Measured
from evals.skin_realism_eval import skin_z

SEVERAL_FACES = "several faces: the likest is not the largest"


class PersonaMetrics:
    """The persona's side of every comparison, made once."""

    def __init__(self, calibration: Calibration, training: Sequence[Mapping[str, Any]]) -> None:
        """Keep what images are compared with.

        Args:
            calibration: of the persona.
            training: a record for each training image; keys ``embedding`` (``[d]`` of length 1, or None) and
                ``signature`` (``[1200]``).
        """
        self._calibration = calibration
        self._centroid = calibration.centroid
        # Arrays once, not once an image: turning 62 lists of 1200 numbers into one took longer than comparing them.
        faces = [record["embedding"] for record in training if record["embedding"] is not None]
        self._faces = np.asarray(faces, dtype=np.float64)
        self._signatures = np.asarray([record["signature"] for record in training], dtype=np.float64)

    def of(self, record: Mapping[str, Any], second: Mapping[str, Any] | None = None) -> Measured:
        """Return the persona's metrics of one image; what cannot be compared at all is left out of the names.

        Args:
            second: record of the same image by the second face backend (``embedding``, ``reason``); None without one.
            record: of the image; keys ``embedding`` (``[d]`` of length 1, or None) and ``reason``, ``others`` (further
                faces ``[k, d]``), ``skin`` (features, or None) and ``skin_reason``, ``signature`` (``[1200]``).

        Raises:
            ValueError: an embedding is not of length 1, or a signature is of another length.
        """
        values: dict[str, float | None] = {}
        reasons: dict[str, str] = {}
        self._face(record, values, reasons)
        if second is not None:
            self._second(second, values, reasons)
        if self._calibration.skin_bands:
            z = None if record["skin"] is None else skin_z(record["skin"], self._calibration.skin_bands)
            values["skin_z"] = z
            if z is None:
                reasons["skin_z"] = str(record["skin_reason"] or "skin unscorable: too few features in common")
        limit = self._calibration.threshold("copy_image_distance")
        if limit is not None and len(self._signatures):
            values["copy_image"] = float(nearest(record["signature"], self._signatures) <= limit)
        return Measured(values, reasons)

    def _face(self, record: Mapping[str, Any], values: dict[str, float | None], reasons: dict[str, str]) -> None:
        embedding, reason = record["embedding"], str(record["reason"])
        names = ["likeness", *(["copy_face", "nearest_photo"] if len(self._faces) else [])]
        if len(self._faces):
            values["training_photos"] = float(len(self._faces))
        if embedding is not None and len(embedding) != len(self._centroid):
            return
        if embedding is not None and not largest_is_likest(embedding, record["others"], self._centroid):
            embedding, reason = None, SEVERAL_FACES
        if embedding is None:
            values.update(dict.fromkeys(names))
            reasons.update(dict.fromkeys(names, reason))
            return
        values["likeness"] = likeness(embedding, self._centroid)
        if len(self._faces):
            values["copy_face"] = copy_face(embedding, self._faces, self._centroid)
            values["nearest_photo"] = float(nearest_face(embedding, self._faces))

    def _second(self, second: Mapping[str, Any], values: dict[str, float | None], reasons: dict[str, str]) -> None:
        known, tau = self._calibration.second, self._calibration.threshold("tau")
        if known is None or tau is None or "likeness" not in values:
            return
        embedding, own = second["embedding"], values["likeness"]
        if embedding is not None and len(embedding) != len(known["centroid"]):
            return
        other = None if embedding is None else likeness(embedding, known["centroid"])
        values["likeness_second"] = other
        if other is None:
            reasons["likeness_second"] = f"second backend, {second['reason']}"
        # No face is below any threshold: two that find none agree.
        accepted = own is not None and own >= tau, other is not None and other >= float(known["tau"])
        values["second_disagrees"] = float(accepted[0] != accepted[1])
