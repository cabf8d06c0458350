"""Volume mounted or not, caches on it or not, room on it or a cluster's figure."""

import os
from pathlib import Path

import pytest

from evals.verdict import Outcome
from lifeos.pods.probe.storage import (
    GIB,
    Space,
    device_of,
    disk_verdict,
    hub_cache,
    persistence_verdict,
    space_of,
    used_bytes,
)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HF_HUB_CACHE": "/v/hub", "HF_HOME": "/x"}, "/v/hub"),
        ({"HUGGINGFACE_HUB_CACHE": "/v/old"}, "/v/old"),
        ({"HF_HOME": "/v/hf"}, "/v/hf/hub"),
        ({"XDG_CACHE_HOME": "/v/cache"}, "/v/cache/huggingface/hub"),
        ({"HF_HOME": ""}, str(Path("~/.cache/huggingface/hub").expanduser())),
    ],
)
def test_where_the_hub_keeps_models(environment, expected):
    assert hub_cache(environment) == Path(expected)


@pytest.fixture
def volume(tmp_path):
    (tmp_path / "volume").mkdir()
    return tmp_path / "volume"


def device(volume):
    return lambda path: 2 if Path(path).resolve().is_relative_to(volume.resolve()) else 1


def judged(volume, place, devices=None, container=None):
    return persistence_verdict(volume, {"artifacts": place}, devices or device(volume), container or volume.parent)


def test_a_folder_on_the_volume_also_one_that_is_not_there_yet(volume):
    for place in (volume, volume / "not" / "yet"):
        assert judged(volume, place).outcome is Outcome.PASSED
    assert not list(volume.iterdir())


def test_no_volume_one_that_is_not_mounted_and_one_that_is_the_whole_disk(volume):
    assert "no volume is mounted" in judged(volume / "none", volume).reason
    assert "goes with the pod" in judged(volume, volume, devices=lambda path: 1).reason
    whole = judged(volume, volume / "x", devices=lambda path: 1, container=volume)
    assert whole.outcome is Outcome.PASSED


@pytest.mark.skipif(os.name != "posix", reason="pods run Linux; links need a privilege on Windows")
def test_a_place_beside_the_volume_behind_a_link_or_under_another_mount(volume):
    outside = volume.parent / "root"
    outside.mkdir()
    assert "not on the volume" in judged(volume, outside / "cache").reason
    (volume / "link").symlink_to(outside)
    assert "not on the volume" in judged(volume, volume / "link").reason
    (volume / "tmpfs").mkdir()
    mounted = lambda path: 3 if Path(path).name == "tmpfs" else device(volume)(path)  # noqa: E731
    assert "not on the volume" in judged(volume, volume / "tmpfs", devices=mounted).reason


def test_a_volume_that_cannot_be_written_to(volume, monkeypatch):
    def refuse(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("lifeos.pods.probe.storage.tempfile.NamedTemporaryFile", refuse)
    verdict = judged(volume, volume)
    assert verdict.outcome is Outcome.FAILED
    assert "Read-only file system" in verdict.reason


def test_room_is_the_least_of_all_places(tmp_path):
    spaces = {tmp_path / "a": Space(100 * GIB, 50 * GIB), tmp_path / "b": Space(100 * GIB, 9 * GIB)}
    for path in spaces:
        path.mkdir()
    verdict = disk_verdict({"HF_HOME": tmp_path / "a", "artifacts": tmp_path / "b"}, space=lambda path: spaces[path])
    assert verdict.outcome is Outcome.FAILED
    assert (verdict.value, verdict.threshold) == (9.0, 10.0)
    assert "artifacts" in verdict.reason
    spaces[tmp_path / "b"] = Space(100 * GIB, 11 * GIB)
    assert disk_verdict({"artifacts": tmp_path / "b"}, space=lambda path: spaces[path]).outcome is Outcome.PASSED
    assert disk_verdict({}).outcome is Outcome.NOT_EVALUATED


def test_a_network_volume_that_shows_the_whole_cluster(volume, monkeypatch):
    cluster = lambda path: Space(400_000 * GIB, 200_000 * GIB)  # noqa: E731
    (volume / "old.safetensors").write_bytes(b"x" * 1024)
    enough = disk_verdict({"artifacts": volume}, volume, 20.0, space=cluster)
    assert enough.outcome is Outcome.PASSED
    assert enough.value == pytest.approx(20.0 - 1024 / GIB)
    assert disk_verdict({"artifacts": volume}, volume, 8.0, space=cluster).outcome is Outcome.FAILED
    monkeypatch.setattr("lifeos.pods.probe.storage.used_bytes", lambda folder: None)
    uncounted = disk_verdict({"artifacts": volume}, volume, 20.0, space=cluster)
    assert uncounted.outcome is Outcome.NOT_EVALUATED
    assert "too many files" in uncounted.reason


def test_used_bytes_counts_files_not_links_and_gives_up(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_bytes(b"x" * 10)
    (tmp_path / "b").write_bytes(b"x" * 5)
    assert used_bytes(tmp_path) == 15
    assert used_bytes(tmp_path, most_files=1) is None
    assert used_bytes(tmp_path / "none") == 0


def test_this_machine_has_a_disk(tmp_path):
    assert device_of(tmp_path) == os.stat(tmp_path).st_dev
    assert 0 < space_of(tmp_path).free <= space_of(tmp_path).total
