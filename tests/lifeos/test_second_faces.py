"""The shipped models stand for a second backend: what is tested is the way, which is the same for any."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from evals.images import read_image
from lifeos import engine
from lifeos.errors import InputError
from lifeos.second_faces import calibrate_second, second_faces, second_hash

ROOT = Path(__file__).resolve().parents[2]
PISTACHIO = ROOT / "personas" / "pistachio"
FACES = ROOT / "models" / "faces"


@dataclass
class Persona:
    second_backend: str | None = "yunet_sface"
    second_folder: Path | None = FACES


@pytest.fixture(scope="module")
def references():
    return sorted((PISTACHIO / "references").glob("*.png"))[:6]


@pytest.fixture
def measurements(tmp_path):
    return second_faces(Persona(), tmp_path)


def test_a_persona_without_a_second_backend_has_none(tmp_path):
    for persona in (Persona(None), Persona(second_folder=None)):
        assert second_hash(persona) is None
        assert second_faces(persona, tmp_path) is None


def test_the_hash_is_of_the_backend_and_its_weights(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"one")
    one = second_hash(Persona(second_folder=tmp_path))
    assert second_hash(Persona("insightface", tmp_path)) != one
    (tmp_path / "a.onnx").write_bytes(b"two")
    assert second_hash(Persona(second_folder=tmp_path)) != one


def test_records_hold_the_embedding_of_the_face_and_are_measured_once(measurements, references):
    from evals.faces import measure_face

    record = measurements.of(references[0])
    found = measure_face(measurements.backend, read_image(references[0]))
    assert record["embedding"] == pytest.approx([float(x) for x in found.embedding], abs=1e-6)
    assert record["faces"] == 1
    assert measurements.of(references[0]) == record


def test_without_a_face_the_record_says_why(measurements, tmp_path):
    from PIL import Image

    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "black.png")
    record = measurements.of(tmp_path / "black.png")
    assert record["embedding"] is None
    assert "no face" in record["reason"]


def test_tau_is_an_order_statistic_of_similarity_to_the_centroid(measurements, references):
    images = [read_image(path) for path in references]
    others = sorted((PISTACHIO / "dataset").glob("*.png"))[:4]
    found = calibrate_second(measurements, images, others, 0.25)
    assert found["nulls"] == 4
    assert np.linalg.norm(found["centroid"]) == pytest.approx(1.0)
    embeddings = np.array([measurements.of(path)["embedding"] for path in others])
    cosines = embeddings @ np.array(found["centroid"])
    assert found["tau"] == pytest.approx(np.quantile(cosines, 0.75, method="higher"))
    assert found["tau"] != pytest.approx(np.quantile(cosines, 0.25, method="higher"))
    assert found["backend"] == measurements.backend_identity()


def test_a_reference_it_cannot_read_and_too_few_others_are_refused(measurements, references):
    images = [read_image(path) for path in references[:2]]
    with pytest.raises(InputError, match="2 of 3"):
        calibrate_second(measurements, [*images, np.zeros((64, 64, 3), np.uint8)], references, 0.01)
    with pytest.raises(InputError, match="others or more, got 1"):
        calibrate_second(measurements, images, references[:1], 0.01)


def test_the_engine_that_is_given_opens_the_models(tmp_path):
    opened = []

    class Engine:
        @staticmethod
        def open_faces(backend, folder):
            opened.append((backend, folder))
            return engine.open_faces(backend, folder)

    found = second_faces(Persona(), tmp_path, Engine)
    assert opened == []
    assert found.backend_identity()["name"] == "yunet_sface"
    assert opened == [("yunet_sface", FACES)]
