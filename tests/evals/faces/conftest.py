"""The real face models, one public-domain photograph, and an insightface pack made from the same weights."""

from pathlib import Path

import pytest

from benchmarks.insightface_pack import write_pack
from evals.faces import FaceBackend, open_backend
from evals.images import RgbImage, read_image

REPOSITORY = Path(__file__).resolve().parents[3]
FACE_MODELS = REPOSITORY / "models" / "faces"


@pytest.fixture(scope="session")
def face_models() -> Path:
    return FACE_MODELS


@pytest.fixture(scope="session")
def backend() -> FaceBackend:
    return open_backend("yunet_sface", FACE_MODELS)


@pytest.fixture(scope="session")
def astronaut() -> RgbImage:
    """Eileen Collins, NASA, public domain; uint8 RGB [512, 512, 3]."""
    import skimage

    return read_image(Path(skimage.__file__).parent / "data" / "astronaut.png")


@pytest.fixture(scope="session")
def insightface_pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pack(FACE_MODELS, tmp_path_factory.mktemp("packs") / "same_weights")
