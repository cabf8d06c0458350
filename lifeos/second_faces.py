"""A second face backend: does it see the same person? It judges nothing alone; it agrees with the first or does not."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from evals.content_hash import hash_folder, hash_json
from lifeos.errors import InputError
from lifeos.measure import Measurements

if TYPE_CHECKING:
    from evals.images import RgbImage
    from lifeos.persona import Persona

_FEWEST_NULLS = 2


class FaceMeasurements(Measurements):
    """Records that hold faces alone: ``embedding`` of the largest or None, and ``reason``."""

    def _measure(self, path: Path) -> dict[str, Any]:
        from evals.faces import measure_face
        from evals.images import read_image

        found = measure_face(self.backend, read_image(path))
        embedding = None if found.embedding is None else [float(x) for x in found.embedding]
        return {"faces": len(found.faces), "embedding": embedding, "reason": found.reason}


def second_hash(persona: "Persona") -> str | None:
    """Return what stands for the second face models; None where the persona has none."""
    if persona.second_backend is None or persona.second_folder is None:
        return None
    return hash_json(["second", persona.second_backend, hash_folder(persona.second_folder, "**/*.onnx")])


def second_faces(persona: "Persona", artifacts: Path, engine: ModuleType | None = None) -> FaceMeasurements | None:
    """Return the measurements by the second face models; None where the persona has none.

    Args:
        persona: loaded persona folder.
        artifacts: data folder.
        engine: module that opens face models; None for the real one.
    """
    identity, backend, folder = second_hash(persona), persona.second_backend, persona.second_folder
    if identity is None or backend is None or folder is None:
        return None
    from lifeos import engine as real

    return FaceMeasurements(artifacts, lambda: (engine or real).open_faces(backend, folder), identity)


def calibrate_second(
    measurements: FaceMeasurements, references: "Sequence[RgbImage]", nulls: Sequence[Path], far: float
) -> dict[str, Any]:
    """Return what ``Calibration.second`` holds: the centroid of the references, and tau from faces of others.

    ``tau`` is the ``1 - far`` quantile of similarity over the nulls, an order statistic: their largest where there are
    fewer than 1 / far. It decides nothing but whether two backends call one image the same.

    Args:
        measurements: by the second face models.
        references: u8[h,w,3] as the base could draw them.
        nulls: image files of others: the base without a LoRA, and other people where there are any.
        far: false accept rate in (0, 1).

    Raises:
        InputError: the second backend finds no face in a reference, or hardly any in the nulls.
    """
    import numpy as np

    from evals.face_similarity_eval import centroid
    from evals.faces import measure_face
    from evals.inference import upper_quantile

    found = [measure_face(measurements.backend, image) for image in references]
    rows = [face.embedding for face in found if face.embedding is not None]
    if len(rows) < len(found) or not rows:
        raise InputError(
            f"second face backend: accepted a face in every reference, got {len(rows)} of {len(found)}; next: replace "
            "the pictures it cannot read, or take [face.second] out of persona.toml"
        )
    centre = centroid(np.stack(rows))
    records = [measurements.of(path) for path in nulls]
    others = np.array([record["embedding"] for record in records if record["embedding"] is not None])
    if len(others) < _FEWEST_NULLS:
        raise InputError(
            f"second face backend: accepted faces of {_FEWEST_NULLS} others or more, got {len(others)} in {len(nulls)} "
            "images; next: take [face.second] out of persona.toml"
        )
    return {
        "backend": measurements.backend_identity(),
        "centroid": [float(x) for x in centre],
        "tau": upper_quantile(others @ centre, 1.0 - far),
        "nulls": len(others),
    }
