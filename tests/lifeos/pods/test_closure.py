from packaging.version import Version

from lifeos.pods.closure import without_orphans
from lifeos.pods.uv_resolver import Pinned
from tests.lifeos.pods.toy_snapshot import toy_snapshot


def packages(*lines):
    pairs = [line.split("==") for line in lines]
    return {name: Pinned(name, Version(version), "", None) for name, version in pairs}


def kept(tmp_path, before, after, *releases):
    snapshot = toy_snapshot(tmp_path, *releases)
    return set(without_orphans(packages(*before), packages(*after), snapshot, "3.11"))


RELEASES = (
    "torch==1: old-library",
    "torch==2",
    "old-library==1: deep",
    "deep==1",
    "mine==1",
)


def test_what_was_there_for_another_goes_with_it(tmp_path):
    before = ["torch==1", "old-library==1", "deep==1", "mine==1"]
    assert kept(tmp_path, before, ["torch==2", *before[1:]], *RELEASES) == {"torch", "mine"}


def test_what_is_still_required_stays(tmp_path):
    before = ["torch==1", "old-library==1", "deep==1", "mine==1"]
    assert kept(tmp_path, before, before[:3], *RELEASES) == {"torch", "old-library", "deep"}


def test_extras_are_followed(tmp_path):
    releases = ("torch==1: tools[x]", "torch==2: tools", "tools==1: part, extra == 'x'", "part==1")
    before = ["torch==1", "tools==1", "part==1"]
    assert kept(tmp_path, before, before, *releases) == {"torch", "tools", "part"}
    assert kept(tmp_path, before, ["torch==2", *before[1:]], *releases) == {"torch", "tools"}


def test_an_unknown_release_removes_nothing(tmp_path):
    before = ["torch==1", "old-library==1", "deep==1"]
    assert kept(tmp_path, before, ["torch==3", *before[1:]], *RELEASES) == {"torch", "old-library", "deep"}
