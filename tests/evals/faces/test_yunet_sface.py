import json
from pathlib import Path

import numpy as np
import pytest

from evals.errors import InputError
from evals.faces import align_face, inter_ocular_distance, measure_face, open_backend, yunet_sface

GOLDEN = json.loads((Path(__file__).parent / "golden_embeddings.json").read_text(encoding="utf-8"))
TOLERANCE = 0.999


def golden_cosine(embedding: np.ndarray) -> float:
    return float(np.array(GOLDEN["embedding"]) @ embedding)


def test_golden_embedding(backend, astronaut):
    found = measure_face(backend, astronaut)
    assert found.reason is None
    assert len(found.faces) == 1
    assert found.faces[0].points == pytest.approx(np.array(GOLDEN["points"]), abs=0.1)
    assert golden_cosine(found.embedding) > TOLERANCE
    assert backend.identity.to_json() == GOLDEN["identity"]


def test_a_channel_swap_falls_outside_the_tolerance(backend, astronaut):
    crop = backend.align(astronaut, np.array(GOLDEN["points"], dtype=np.float32))
    assert golden_cosine(backend.embed(crop)) > TOLERANCE
    swapped_for_the_embedder = golden_cosine(backend.embed(np.ascontiguousarray(crop[:, :, ::-1])))
    swapped_throughout = golden_cosine(measure_face(backend, np.ascontiguousarray(astronaut[:, :, ::-1])).embedding)
    # Far above any likeness threshold: only this test sees a swap.
    assert 0.85 < swapped_for_the_embedder < 0.98
    assert 0.85 < swapped_throughout < 0.98


def test_another_alignment_falls_outside_the_tolerance(backend, astronaut):
    points = np.array(GOLDEN["points"], dtype=np.float32)
    pixel = inter_ocular_distance(points) / 35.2
    shifted = golden_cosine(backend.embed(align_face(astronaut, points + pixel)))
    without_roll = points.copy()
    without_roll[[0, 1, 3, 4], 1] += 3 * pixel
    box = measure_face(backend, astronaut).faces[0].box.astype(int)
    import cv2

    plain_crop = np.asarray(cv2.resize(astronaut[box[1] : box[3], box[0] : box[2]], (112, 112)), dtype=np.uint8)
    assert shifted < 0.99
    assert golden_cosine(backend.embed(align_face(astronaut, without_roll))) < 0.99
    assert golden_cosine(backend.embed(plain_crop)) < 0.95


@pytest.mark.parametrize("size", [320, 512, 800])
def test_another_detector_size_falls_outside_the_tolerance(backend, astronaut, size, monkeypatch):
    monkeypatch.setattr(yunet_sface, "DETECTOR_SIZE", size)
    assert golden_cosine(measure_face(backend, astronaut).embedding) < 0.99


def test_opencv_finds_the_same_box_points_and_embedding(backend, astronaut, face_models, tmp_path):
    """FaceDetectorYN and FaceRecognizerSF: independent decoding, alignment and inference of the same networks."""
    import cv2

    from evals.faces.folding import fold_int8

    for role, name in (("detector", "face_detection_yunet_2023mar"), ("embedder", "face_recognition_sface_2021dec")):
        data = (face_models / f"{name}_int8bq.onnx").read_bytes()
        (tmp_path / f"{role}.onnx").write_bytes(fold_int8(data, name, {}))
    picture = np.ascontiguousarray(cv2.resize(astronaut, (640, 640))[:, :, ::-1])
    detector = cv2.FaceDetectorYN.create(str(tmp_path / "detector.onnx"), "", (640, 640), 0.6, 0.3, 100)
    embedder = cv2.FaceRecognizerSF.create(str(tmp_path / "embedder.onnx"), "")
    (theirs,) = detector.detect(picture)[1]
    theirs[:14] *= 512 / 640
    crop = embedder.alignCrop(np.ascontiguousarray(astronaut[:, :, ::-1]), theirs)
    feature = embedder.feature(crop)[0]
    ours = measure_face(backend, astronaut)
    face = ours.faces[0]
    assert theirs[:2] == pytest.approx(face.box[:2], abs=0.01)
    assert theirs[2:4] == pytest.approx(face.box[2:] - face.box[:2], abs=0.01)
    assert theirs[4:14].reshape(5, 2) == pytest.approx(face.points, abs=0.01)
    assert float(feature / np.linalg.norm(feature) @ ours.embedding) > 0.9999


def test_threads_do_not_move_a_value(backend, astronaut, face_models):
    two = open_backend("yunet_sface", face_models, threads=2)
    assert np.array_equal(measure_face(two, astronaut).embedding, measure_face(backend, astronaut).embedding)


def test_rows_of_embed_many_do_not_depend_on_their_neighbours(backend, astronaut):
    crops = [astronaut[y : y + 112, 150:262] for y in (0, 40, 80)]
    rows = backend.embed_many(crops)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    for crop, row in zip(crops, rows, strict=True):
        assert np.array_equal(backend.embed(crop), row)
    assert backend.embed_many([]).shape == (0, 128)


def test_several_faces_come_biggest_first(backend, astronaut):
    import cv2

    head = astronaut[30:230, 120:320]
    scene = np.full((256, 512, 3), 120, dtype=np.uint8)
    scene[20:140, 360:480] = cv2.resize(head, (120, 120), interpolation=cv2.INTER_AREA)
    scene[20:220, 40:240] = head
    faces = backend.detect(scene)
    assert len(faces) == 2
    assert faces[0].area > faces[1].area
    assert faces[0].points[:, 0].max() < 256 < faces[1].points[:, 0].min()
    assert all(0.6 < face.score <= 1 for face in faces)


@pytest.mark.parametrize("shape", [(64, 48), (48, 200), (301, 303), (1000, 700), (16, 16)])
def test_any_size_is_searched(backend, shape):
    assert backend.detect(np.full((*shape, 3), 128, dtype=np.uint8)) == []


@pytest.mark.parametrize("image", [np.zeros((64, 64)), np.zeros((64, 64, 4), np.uint8), np.zeros((64, 64, 3))])
def test_other_arrays_are_refused(backend, image):
    with pytest.raises(ValueError, match="uint8"):
        backend.detect(image)


def test_a_crop_of_another_size_is_refused(backend):
    with pytest.raises(ValueError, match="112"):
        backend.embed(np.zeros((96, 96, 3), np.uint8))


def test_identity_names_licences_and_hashes(backend):
    identity = backend.identity
    assert identity.licence == "YuNet: MIT; SFace: Apache-2.0"
    assert all(len(digest) == 64 for digest in identity.weights.values())
    assert backend.provider == "cpu"


def test_unknown_backends_are_refused(face_models):
    with pytest.raises(InputError, match=r"yunet_sface, insightface, got 'dlib'"):
        open_backend("dlib", face_models)
