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


def test_subfolders_that_training_reads_count_as_the_folders_own(tmp_path):
    for name in ("10_close", "2_far", "forgotten"):
        (tmp_path / name).mkdir()
        for file in ("a.png", "a.txt", "b.heic"):
            (tmp_path / name / file).write_bytes(b"x")
    folder = read_folder(tmp_path, {"10_close": 10, "2_far": 2})
    assert [path.relative_to(tmp_path).as_posix() for path in folder.images] == ["10_close/a.png", "2_far/a.png"]
    assert [path.parent.name for path in folder.captions] == ["10_close", "2_far"]
    assert [(finding.rule, finding.file.name) for finding in folder_findings(folder)] == [
        ("image_ignored", "b.heic"), ("image_ignored", "b.heic"), ("folder_ignored", "forgotten"),
    ]  # fmt: skip
