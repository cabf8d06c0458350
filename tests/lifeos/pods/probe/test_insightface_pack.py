"""A pack's files against the published ones, and the pack at work."""

import hashlib

import numpy as np
import pytest

from evals import faces
from evals.verdict import Outcome
from lifeos.pods.probe.insightface_pack import file_findings, pack_verdict, probe
from tests.lifeos.pods.probe.simulated_pod import SOUND

CONTENT = b"a network"


@pytest.fixture
def pins(tmp_path):
    path = tmp_path / "pins.toml"
    digest = hashlib.sha256(CONTENT).hexdigest()
    path.write_text(f'[[file]]\nname = "det.onnx"\nbytes = {len(CONTENT)}\nsha256 = "{digest}"\n', encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "content", "finding"),
    [
        ("det.onnx", CONTENT, None),
        ("det.onnx", CONTENT[:-1], "8 of 9 bytes"),
        ("det.onnx", b"A network", "another SHA-256"),
        ("det.onnx", b"", "is empty"),
        ("own.onnx", b"anything", None),
        ("own.onnx", b"", "is empty"),
        ("readme.txt", b"x", "holds no"),
    ],
)
def test_the_files_of_a_pack(tmp_path, pins, name, content, finding):
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / name).write_bytes(content)
    found = file_findings(folder, pins)
    assert len(found) == (finding is not None)
    assert finding is None or finding in found[0]
    assert "not there" in file_findings(tmp_path / "none", pins)[0]


class Backend:
    identity = faces.BackendIdentity("insightface", {"own.onnx": "0" * 64}, "none", 640)

    def detect(self, image):
        return []

    def embed(self, aligned):
        return self.vector


@pytest.mark.parametrize(
    ("vector", "outcome"),
    [([0.6, 0.8], Outcome.PASSED), ([6.0, 8.0], Outcome.FAILED), ([float("nan"), 0.0], Outcome.FAILED)],
)
def test_the_pack_at_work(tmp_path, monkeypatch, vector, outcome):
    (tmp_path / "own.onnx").write_bytes(b"x")
    backend = Backend()
    backend.vector = np.array(vector, dtype=np.float32)
    monkeypatch.setattr(faces, "open_backend", lambda *arguments: backend)
    stages = []
    assert pack_verdict(probe({"folder": str(tmp_path)}, stages.append)).outcome is outcome
    assert stages[-1] == "recognition"


def test_a_broken_file_is_found_before_anything_is_opened(tmp_path):
    (tmp_path / "det_10g.onnx").write_bytes(b"cut off")
    body = probe({"folder": str(tmp_path)}, lambda what: None)
    assert body["findings"] == ["det_10g.onnx has 7 of 16923827 bytes"]
    assert pack_verdict(body).outcome is Outcome.FAILED
    assert pack_verdict(SOUND["insightface"]).outcome is Outcome.PASSED
