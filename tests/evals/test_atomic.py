import json
import os

import pytest

from evals import atomic


def test_content_is_written_and_replaced_and_folders_are_made(tmp_path):
    path = tmp_path / "sub" / "a.json"
    atomic.write_json(path, {"b": 1, "a": [1.5]})
    assert json.loads(path.read_text()) == {"a": [1.5], "b": 1}
    atomic.write_text(path, "ä\n")
    assert path.read_bytes() == "ä\n".encode()
    assert [file.name for file in path.parent.iterdir()] == ["a.json"]


def test_a_failed_replace_leaves_the_old_content_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    atomic.write_text(path, "old")

    def refuse(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        atomic.write_text(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_content_is_synced_before_the_name_points_to_it(tmp_path, monkeypatch):
    order = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("sync"), sync(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("replace"), replace(a, b))[1])
    atomic.write_bytes(tmp_path / "a", b"x")
    assert order[:2] == ["sync", "replace"]


def test_of_many_files_each_is_synced_before_a_name_and_each_folder_once_behind_the_last(tmp_path, monkeypatch):
    order, paths = [], [tmp_path / f"{number % 3}" / f"{number}" for number in range(70)]
    synced, replace, sync_folder = os.fsync, os.replace, atomic.sync_folder
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append(os.stat(fd).st_ino), synced(fd))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append(("name", os.stat(a).st_ino)), replace(a, b))[1])
    monkeypatch.setattr(atomic, "sync_folder", lambda path: (order.append(path.name), sync_folder(path))[1])
    atomic.write_all({path: path.name.encode() for path in paths})
    assert [path.read_bytes() for path in paths] == [path.name.encode() for path in paths]
    for path in paths:
        inode = path.stat().st_ino
        named = order.index(("name", inode))
        assert order.index(inode) < named
        assert path.parent.name in order[named:]
    # 64 files are open at once, so the folders come twice.
    assert sorted(name for name in order if isinstance(name, str)) == ["0", "0", "1", "1", "2", "2"]


def test_not_a_number_is_refused_before_the_file_is_touched(tmp_path):
    with pytest.raises(ValueError):
        atomic.write_json(tmp_path / "a.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes of this kind")
def test_files_are_readable_by_others(tmp_path):
    atomic.write_bytes(tmp_path / "a", b"")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_a_cache_record_is_whole_but_not_synced(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", None)
    atomic.write_json(tmp_path / "sub" / "a.json", {"a": 1}, durable=False)
    assert json.loads((tmp_path / "sub" / "a.json").read_text()) == {"a": 1}
    assert [file.name for file in (tmp_path / "sub").iterdir()] == ["a.json"]
