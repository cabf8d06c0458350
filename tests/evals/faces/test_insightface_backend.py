"""The production class, FaceAnalysis of the installed package, driven with real weights."""

import shutil
import socket
from pathlib import Path

import numpy as np
import pytest

from evals.content_hash import hash_file
from evals.errors import InputError
from evals.faces import FaceBackend, measure_face, open_backend

pytest.importorskip("insightface")


@pytest.fixture(scope="module")
def insightface(insightface_pack: Path) -> FaceBackend:
    return open_backend("insightface", insightface_pack)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("insightface tried to reach the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_same_weights_give_the_same_face_and_embedding(insightface, backend, astronaut):
    ours, theirs = measure_face(backend, astronaut), measure_face(insightface, astronaut)
    assert len(ours.faces) == len(theirs.faces) == 1
    assert np.abs(ours.faces[0].box - theirs.faces[0].box).max() < 2
    assert np.abs(ours.faces[0].points - theirs.faces[0].points).max() < 2
    assert theirs.faces[0].score == pytest.approx(ours.faces[0].score, abs=0.02)
    assert float(ours.embedding @ theirs.embedding) > 0.99


def test_embedding_of_one_crop_equals_the_default_backend(insightface, backend, astronaut):
    """Detection aside, both feed the same network: a channel swap on the way to insightface would give .95."""
    crop = backend.align(astronaut, backend.detect(astronaut)[0].points)
    assert float(insightface.embed(crop) @ backend.embed(crop)) > 0.9999
    assert float(insightface.embed(crop[:, :, ::-1]) @ backend.embed(crop)) < 0.98


def test_rows_of_embed_many_are_single_embeddings(insightface, astronaut):
    crops = [astronaut[y : y + 112, 150:262] for y in (40, 60)]
    rows = insightface.embed_many(crops)
    assert rows.shape == (2, 128)
    assert rows.dtype == np.float32
    assert np.array_equal(rows[1], insightface.embed(crops[1]))
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert insightface.embed_many([]).shape == (0, 128)


def test_identity_names_files_hashes_and_the_non_commercial_packs(insightface, insightface_pack):
    identity = insightface.identity
    assert identity.name == "insightface"
    assert identity.weights == {
        name: hash_file(insightface_pack / name) for name in ("det_yunet.onnx", "rec_sface.onnx")
    }
    assert "non-commercial" in identity.licence
    assert "same_weights" in identity.licence
    assert insightface.provider == "cpu"


def test_no_face_gives_an_empty_list(insightface):
    assert insightface.detect(np.full((200, 200, 3), 90, dtype=np.uint8)) == []


@pytest.mark.usefixtures("no_network")
def test_a_missing_pack_is_refused_before_anything_is_downloaded(tmp_path):
    with pytest.raises(InputError, match="buffalo_l") as caught:
        open_backend("insightface", tmp_path / "buffalo_l")
    assert "next:" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_network")
def test_a_nested_pack_is_named(tmp_path, insightface_pack):
    shutil.copytree(insightface_pack, tmp_path / "antelopev2" / "antelopev2")
    with pytest.raises(InputError, match="one folder deeper, in antelopev2"):
        open_backend("insightface", tmp_path / "antelopev2")


@pytest.mark.usefixtures("no_network")
def test_incomplete_broken_and_raw_packs_are_refused(tmp_path, insightface_pack, face_models):
    only_embedder = tmp_path / "only_embedder"
    only_embedder.mkdir()
    shutil.copy(insightface_pack / "rec_sface.onnx", only_embedder)
    broken = tmp_path / "broken"
    shutil.copytree(insightface_pack, broken)
    (broken / "det_yunet.onnx").write_bytes(b"not a network")
    only_detector = tmp_path / "only_detector"
    only_detector.mkdir()
    shutil.copy(insightface_pack / "det_yunet.onnx", only_detector)
    for folder in (only_embedder, only_detector, broken):
        with pytest.raises(InputError, match=folder.name):
            open_backend("insightface", folder)


@pytest.mark.usefixtures("no_network")
def test_a_detector_of_unknown_heads_is_refused(tmp_path, insightface_pack, face_models):
    """Raw YuNet has twelve outputs: insightface takes it for a detector by their number and would decode nonsense."""
    from evals.faces.folding import fold_int8

    data = (face_models / "face_detection_yunet_2023mar_int8bq.onnx").read_bytes()
    (tmp_path / "det_raw.onnx").write_bytes(fold_int8(data, "raw", {}))
    shutil.copy(insightface_pack / "rec_sface.onnx", tmp_path)
    with pytest.raises(InputError, match="five points"):
        open_backend("insightface", tmp_path)


def test_cuda_asked_for_but_absent_is_refused(insightface_pack):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime offers CUDA")
    with pytest.raises(InputError, match="provider cuda"):
        open_backend("insightface", insightface_pack, provider="cuda")
