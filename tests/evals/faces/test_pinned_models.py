import shutil

import pytest

from evals.content_hash import hash_file
from evals.errors import InputError
from evals.faces import open_backend
from evals.faces.pinned_models import read_pinned, read_pins


@pytest.fixture
def copy(face_models, tmp_path):
    return shutil.copytree(face_models, tmp_path / "faces")


def test_shipped_files_are_the_pinned_ones(face_models):
    pins = read_pins(face_models)
    assert {role: pin.licence for role, pin in pins.items()} == {"detector": "MIT", "embedder": "Apache-2.0"}
    for pin in pins.values():
        assert hash_file(face_models / pin.file) == pin.sha256
        assert (face_models / pin.file).stat().st_size < 15_000_000


def test_every_shipped_licence_is_there(face_models):
    texts = {path.name: path.read_text(encoding="utf-8") for path in (face_models / "LICENSES").iterdir()}
    assert "Permission is hereby granted" in texts["YuNet-MIT.txt"]
    assert "Version 2.0, January 2004" in texts["SFace-Apache-2.0.txt"]
    for pin in read_pins(face_models).values():
        assert pin.file in texts["NOTICE.md"]


@pytest.mark.parametrize("role", ["detector", "embedder"])
def test_one_changed_byte_is_refused(copy, role):
    path = copy / read_pins(copy)[role].file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"accepted SHA-256 .* next: python models/faces/fetch_face_models.py"):
        open_backend("yunet_sface", copy)


def test_a_missing_file_is_refused(copy):
    pin = read_pins(copy)["detector"]
    (copy / pin.file).unlink()
    with pytest.raises(InputError, match="accepted the pinned weights"):
        read_pinned(copy, pin)


@pytest.mark.parametrize(
    "text",
    ["not toml [", "", "detector = 3", "[detector]\nfile = 'a'\nsha256 = 'b'\n",
     "[detector]\nfile = '../a'\nsha256 = 'b'\nlicence = 'c'\n"],
)  # fmt: skip
def test_broken_pins_are_refused(tmp_path, text):
    (tmp_path / "face_models.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"face_models\.toml"):
        read_pins(tmp_path)


def test_a_folder_without_pins_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"next: python models/faces/fetch_face_models\.py"):
        open_backend("yunet_sface", tmp_path)
