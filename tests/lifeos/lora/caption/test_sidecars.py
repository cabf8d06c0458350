import os
import sys

import pytest

from lifeos.errors import InputError
from lifeos.lora.caption.sidecars import Sidecar, plan_sidecars, write_sidecar


def of(folder, force=False):
    return {one.image.name: (one.status, one.reason) for one in plan_sidecars(folder, force=force)}


def test_what_is_there_is_kept(tmp_path):
    for name in ("a.png", "b.png", "b.txt", "c.jpg", "c.txt", "notes.md"):
        (tmp_path / name).write_bytes(b"")
    assert of(tmp_path) == {"a.png": ("to write", ""), "b.png": ("kept", ""), "c.jpg": ("kept", "")}
    assert {status for status, _ in of(tmp_path, force=True).values()} == {"to write"}


def test_no_folder_and_no_picture(tmp_path):
    with pytest.raises(InputError, match="got none there"):
        plan_sidecars(tmp_path / "nowhere", force=False)
    with pytest.raises(InputError, match=r"accepted images \(\.png.*got none"):
        plan_sidecars(tmp_path, force=False)


def test_two_pictures_of_one_caption(tmp_path):
    for name in ("a.png", "a.jpg"):
        (tmp_path / name).write_bytes(b"")
    assert of(tmp_path) == {
        "a.jpg": ("refused", "it shares a.txt with a.png"), "a.png": ("refused", "it shares a.txt with a.jpg"),
    }  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="links take rights there")
def test_links_out_of_the_folder_are_not_followed(tmp_path):
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    for place in (outside, folder):
        place.mkdir()
        (place / "a.png").write_bytes(b"x")
    (outside / "secret.txt").write_text("kept")
    os.symlink(outside / "a.png", folder / "b.png")
    os.symlink(folder / "a.png", folder / "c.png")
    os.symlink(folder / "nowhere.png", folder / "d.png")
    os.symlink(folder / "e.png", folder / "e.png")
    os.symlink(outside / "secret.txt", folder / "a.txt")
    assert of(folder, force=True) == {
        "a.png": ("refused", "a.txt is a link"),
        "b.png": ("refused", "a link that leads out of the folder"),
        "c.png": ("to write", ""),
        "d.png": ("refused", "no regular file"),
        "e.png": ("refused", "a link that leads nowhere"),
    }


def test_folders_where_files_belong(tmp_path):
    (tmp_path / "a.png").mkdir()
    (tmp_path / "b.png").write_bytes(b"")
    (tmp_path / "b.txt").mkdir()
    assert of(tmp_path, force=True) == {
        "a.png": ("refused", "no regular file"), "b.png": ("refused", "b.txt is no regular file"),
    }  # fmt: skip


def test_a_caption_that_came_meanwhile_is_kept(tmp_path):
    sidecar = Sidecar(tmp_path / "a.png", tmp_path / "a.txt", "to write")
    sidecar.path.write_text("mine")
    assert write_sidecar(sidecar, "theirs", force=False)[0] == "kept"
    assert sidecar.path.read_text() == "mine"
    assert write_sidecar(sidecar, "theirs ä", force=True) == ("written", "")
    assert sidecar.path.read_bytes() == "theirs ä\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_what_cannot_be_written_is_said(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("evals.atomic.write_text", full)
    sidecar = Sidecar(tmp_path / "a.png", tmp_path / "a.txt", "to write")
    assert write_sidecar(sidecar, "x", force=False) == ("refused", "a.txt cannot be written: No space left on device")
