import gzip
import zipfile
from dataclasses import replace

import pytest
from packaging.version import Version

from lifeos.errors import InputError
from lifeos.pods.snapshot import Release, Wheel, default_snapshot, load_snapshot, write_wheels
from tests.lifeos.pods.toy_snapshot import toy_snapshot


def test_every_release_becomes_a_wheel_that_holds_its_metadata_alone(tmp_path):
    snapshot = toy_snapshot(tmp_path, "a==1: b>=1", "b==2")
    folder = write_wheels(snapshot, tmp_path / "cache")
    assert sorted(path.name for path in folder.iterdir()) == ["a-1-py3-none-any.whl", "b-2-py3-none-any.whl"]
    with zipfile.ZipFile(folder / "a-1-py3-none-any.whl") as archive:
        assert archive.namelist() == ["a-1.dist-info/METADATA", "a-1.dist-info/WHEEL", "a-1.dist-info/RECORD"]
        metadata = archive.read("a-1.dist-info/METADATA").decode()
    assert "Requires-Dist: b>=1" in metadata
    assert "Requires-Python: >=3.10" in metadata
    assert write_wheels(snapshot, tmp_path / "cache") == folder
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [folder.name]


def test_another_snapshot_has_another_folder(tmp_path):
    first = write_wheels(toy_snapshot(tmp_path, "a==1"), tmp_path / "cache")
    second = write_wheels(toy_snapshot(tmp_path, "a==2"), tmp_path / "cache")
    assert first != second


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="a folder to write in"):
        write_wheels(toy_snapshot(tmp_path, "a==1"), tmp_path / "file")


@pytest.mark.parametrize(
    "text", ["", "{}\n", "no json\n", '{"taken": "x"}\n', '{"taken": "x", "pythons": []}\n{"name": "a"}\n']
)
def test_a_broken_snapshot_is_one_line(tmp_path, text):
    path = tmp_path / "snapshot.jsonl.gz"
    for data in (text.encode(), gzip.compress(text.encode()), gzip.compress(text.encode())[:-9]):
        path.write_bytes(data)
        with pytest.raises(InputError, match="accepted a snapshot"):
            load_snapshot(path)
    with pytest.raises(InputError, match="No such file"):
        load_snapshot(tmp_path / "nowhere.jsonl.gz")


@pytest.mark.parametrize(
    ("tag", "pythons"),
    [
        ("py3-none-any", {"3.9", "3.11", "3.12"}),
        ("py2.py3-none-any", {"3.9", "3.11", "3.12"}),
        ("py2-none-any", set()),
        ("py310-none-any", {"3.11", "3.12"}),
        ("cp311-cp311-manylinux_2_28_x86_64", {"3.11"}),
        ("cp312-cp312t-manylinux_2_28_x86_64", set()),
        ("cp310-abi3-manylinux_2_28_x86_64", {"3.11", "3.12"}),
        ("cp312-abi3-manylinux_2_28_x86_64", {"3.12"}),
        ("pp311-pypy311_pp73-manylinux_2_28_x86_64", set()),
    ],
)
def test_which_python_a_wheel_is_for(tag, pythons):
    release = Release("a", "1", "", (), (), (Wheel(f"a-1-{tag}.whl", 1, None, "0" * 64),))
    assert {python for python in ("3.9", "3.11", "3.12") if release.serves(python)} == pythons
    assert not replace(release, requires_python=">=3.13").serves("3.12")


def test_the_committed_snapshot():
    snapshot = load_snapshot()
    assert snapshot.pythons == ("3.11", "3.12")
    assert all(any(map(release.serves, snapshot.pythons)) for release in snapshot.releases)
    assert default_snapshot().stat().st_size < 2**20
    assert len(snapshot.releases) > 500
    assert Version("2.10.0") in snapshot.versions["torch"]
    names = [wheel.file for release in snapshot.releases for wheel in release.wheels]
    assert len(names) == len(set(names))
    assert all(len(wheel.sha256) == 64 and wheel.size > 0 for wheel in snapshot.wheels.values())
    assert all(release.wheels for release in snapshot.releases)
    assert "://" not in gzip.decompress(default_snapshot().read_bytes()).decode("utf-8")
