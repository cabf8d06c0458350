import pytest

from lifeos.errors import InputError
from lifeos.lora.dataset import image_files
from lifeos.lora.dataset_lint.folder import folder_findings, read_folder


def test_what_lies_in_a_folder(tmp_path):
    for name in ("b.PNG", "a ü.jpg", "a ü.txt", "x.HEIC", ".DS_Store", "._b.png", "notes.md"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "10_pstch").mkdir()
    (tmp_path / "10_pstch" / "a.png").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.png").mkdir()
    folder = read_folder(tmp_path)
    # Exactly what training would try to read.
    assert list(folder.images) == image_files(tmp_path)
    assert "._b.png" in {path.name for path in folder.images}
    assert [path.name for path in folder.captions] == ["a ü.txt"]
    assert [(finding.rule, finding.file.name) for finding in folder_findings(folder)] == [
        ("image_ignored", "x.HEIC"), ("folder_ignored", "10_pstch"),
    ]  # fmt: skip


def test_an_absent_folder_is_empty(tmp_path):
    assert read_folder(tmp_path / "nowhere").images == ()


def test_a_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "iterdir", refuse)
    with pytest.raises(InputError, match="Permission denied"):
        read_folder(tmp_path)
