"""Detector and embedder behind one small protocol; the public surface of the room.

A backend is opened once and asked often::

    backend = open_backend("yunet_sface", Path("models/faces"))
    measurement = measure_face(backend, read_image(path))
"""

from pathlib import Path

from evals.errors import InputError
from evals.faces.align import ALIGNED_SIDE, align_face, inter_ocular_distance, similarity_transform
from evals.faces.measure import FaceMeasurement, find_faces, measure_face
from evals.faces.protocol import BackendIdentity, Embedding, Face, FaceBackend, Points

__all__ = [
    "ALIGNED_SIDE",
    "BACKENDS",
    "BackendIdentity",
    "Embedding",
    "Face",
    "FaceBackend",
    "FaceMeasurement",
    "Points",
    "align_face",
    "find_faces",
    "inter_ocular_distance",
    "measure_face",
    "open_backend",
    "similarity_transform",
]

BACKENDS = ("yunet_sface", "insightface")


def open_backend(name: str, folder: Path, provider: str = "cpu", *, threads: int = 1) -> FaceBackend:
    """Open a face backend with verified weights.

    Args:
        name: ``"yunet_sface"`` (weights in the repository) or ``"insightface"`` (a pack the user has, e.g. buffalo_l).
        folder: where its weights lie.
        provider: ``"cpu"``; ``"cuda"``: that or an error; ``"auto"``: CUDA where its provider truly loads.
        threads: threads inside one operator; no value depends on it.

    Raises:
        InputError: unknown backend, weights missing or not the pinned ones, a package missing, or CUDA not loadable.
    """
    if name == "yunet_sface":
        from evals.faces.yunet_sface import YunetSface

        return YunetSface(Path(folder), provider, threads)
    if name == "insightface":
        from evals.faces.insightface_backend import InsightfaceBackend

        return InsightfaceBackend(Path(folder), provider, threads)
    raise InputError(f"face backend: accepted one of {', '.join(BACKENDS)}, got {name!r}; next: edit persona.toml")
