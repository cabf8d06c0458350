"""The insightface package's ``FaceAnalysis`` on a pack of weights that the user names.

The package is MIT; its published packs (buffalo_l, antelopev2 and the others) are for non-commercial research only, and
``identity.licence`` says so, because it ends up in the scorecard.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.content_hash import hash_file
from evals.errors import InputError
from evals.faces.align import ALIGNED_SIDE, align_face
from evals.faces.protocol import BackendIdentity, Embedding, Face, Points
from evals.faces.sessions import PROVIDERS, load_cuda_libraries
from evals.images import RgbImage

DEFAULT_PACK = "buffalo_l"
DETECTOR_SIZE = 640
SCORE_THRESHOLD = 0.5
OVERLAP_THRESHOLD = 0.4
LICENCE = (
    "pack {pack!r} as the user provides it; the packs that insightface publishes (buffalo_l, antelopev2, ...) are "
    "licensed for non-commercial research only"
)
_ROLES = {"detection": "a detector with five points", "recognition": "an embedder of 112-pixel crops"}


class InsightfaceBackend:
    """``FaceAnalysis`` with detection and recognition only, behind the project's protocol."""

    def __init__(self, folder: Path, provider: str = "cpu", threads: int = 1) -> None:
        """Load a pack.

        Args:
            folder: the pack: its ``*.onnx`` files lie directly in it.
            provider: as ``open_session``.
            threads: threads inside one operator.

        Raises:
            InputError: the folder is no pack (found out before insightface is imported, because insightface would try
                to download one), the package is missing, a role is missing, or CUDA was asked for and did not load.
        """
        self._check(folder, provider)
        self._app = _open_app(folder, provider, threads)
        detector, embedder = self._app.models["detection"], self._app.models["recognition"]
        self._provider = _true_provider(detector, embedder)
        if provider == "cuda" and self._provider != "cuda":
            raise InputError(
                f"provider cuda: accepted a loaded CUDAExecutionProvider, got {detector.session.get_providers()}; "
                "next: install onnxruntime-gpu in place of onnxruntime, or use provider cpu"
            )
        files = [Path(model.model_file) for model in (detector, embedder)]
        self._embedder = embedder
        self._identity = BackendIdentity(
            name="insightface",
            weights={file.name: hash_file(file) for file in files},
            licence=LICENCE.format(pack=Path(folder).resolve().name),
            detector_size=DETECTOR_SIZE,
            settings={"score_threshold": SCORE_THRESHOLD, "overlap_threshold": OVERLAP_THRESHOLD},
        )

    @property
    def identity(self) -> BackendIdentity:
        """Name, weights' hashes, the note on the licence, pinned settings."""
        return self._identity

    @property
    def provider(self) -> str:
        """``"cuda"`` when both networks run there, else ``"cpu"``."""
        return self._provider

    def detect(self, image: RgbImage) -> list[Face]:
        """Find faces in a uint8 RGB image ``[h, w, 3]``, biggest box first."""
        # insightface takes BGR.
        boxes, points = self._app.det_model.detect(np.ascontiguousarray(image[:, :, ::-1]), metric="default")
        faces = [
            Face(
                box=np.asarray(box[:4], dtype=np.float32),
                points=np.asarray(five, dtype=np.float32),
                score=float(box[4]),
            )
            for box, five in zip(boxes, points, strict=True)
        ]
        return sorted(faces, key=lambda face: (-face.area, -face.score, *face.box.tolist()))

    def align(self, image: RgbImage, points: Points) -> RgbImage:
        """Cut the face with these five points out as uint8 RGB ``[112, 112, 3]``; raises as ``align_face``."""
        return align_face(image, points)

    def embed(self, aligned: RgbImage) -> Embedding:
        """Turn an aligned uint8 RGB crop ``[112, 112, 3]`` into a float32 vector ``[d]`` of length 1.

        Raises:
            ValueError: the crop is of another shape.
        """
        if aligned.shape != (ALIGNED_SIDE, ALIGNED_SIDE, 3):
            raise ValueError(f"aligned must be of shape (112, 112, 3), but got {aligned.shape}")
        feature = self._embedder.get_feat(np.ascontiguousarray(aligned[:, :, ::-1]))
        vector = np.asarray(feature, dtype=np.float32).ravel()
        return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)

    def embed_many(self, aligned: Sequence[RgbImage]) -> NDArray[np.float32]:
        """Return float32 ``[n, d]``, one row a crop, each embedded by itself."""
        if not aligned:
            return np.zeros((0, int(self._embedder.output_shape[-1])), dtype=np.float32)
        return np.stack([self.embed(crop) for crop in aligned])

    @staticmethod
    def _check(folder: Path, provider: str) -> None:
        folder = Path(folder)
        if provider not in PROVIDERS:
            raise InputError(f"provider: accepted one of {', '.join(PROVIDERS)}, got {provider!r}; next: choose one")
        if not folder.is_dir():
            raise InputError(
                f"insightface pack: accepted a folder with *.onnx such as {DEFAULT_PACK}, got {folder}, which is not "
                "there; next: unpack the pack and name its folder in persona.toml under [face] folder"
            )
        if not any(folder.glob("*.onnx")):
            nested = sorted({file.parent.name for file in folder.glob("*/*.onnx")})
            hint = f"its files lie one folder deeper, in {nested[0]}" if nested else "no *.onnx in it"
            raise InputError(
                f"insightface pack {folder}: accepted *.onnx directly in the folder, got {hint}; next: name the folder "
                "that holds them in persona.toml under [face] folder"
            )


def _open_app(folder: Path, provider: str, threads: int) -> Any:
    try:
        import onnxruntime
        from insightface.app import FaceAnalysis
    except ImportError as error:
        raise InputError(
            f"face backend insightface: accepted the installed package, got {error}; next: pip install insightface"
        ) from error
    use_cuda = provider != "cpu" and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"] if use_cuda else ["CPUExecutionProvider"]
    if use_cuda:
        load_cuda_libraries()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        app = FaceAnalysis(
            name=str(Path(folder).resolve()),
            allowed_modules=list(_ROLES),
            providers=providers,
            sess_options=options,
        )
    # Broken packs end in AssertionError, protobuf's and onnxruntime's own classes: their only common base.
    except Exception as error:
        what = str(error) or type(error).__name__
        raise InputError(
            f"insightface pack {folder}: accepted a loadable pack, got {what}; next: unpack it again"
        ) from error
    for role, meaning in _ROLES.items():
        if role not in app.models:
            raise InputError(
                f"insightface pack {folder}: accepted {meaning}, got {sorted(app.models)}; next: use a whole pack "
                f"such as {DEFAULT_PACK}"
            )
    if not getattr(app.det_model, "use_kps", False):
        raise InputError(f"insightface pack {folder}: accepted a detector with five points, got one without; next: "
                         f"use a pack such as {DEFAULT_PACK}")  # fmt: skip
    app.prepare(
        ctx_id=0 if use_cuda else -1,
        det_size=(DETECTOR_SIZE, DETECTOR_SIZE),
        det_thresh=SCORE_THRESHOLD,
    )
    app.det_model.nms_thresh = OVERLAP_THRESHOLD
    return app


def _true_provider(*models: Any) -> str:
    on_cuda = ["CUDAExecutionProvider" in model.session.get_providers() for model in models]
    return "cuda" if all(on_cuda) else "cpu"
