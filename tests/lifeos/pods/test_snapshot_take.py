"""Which files of an index enter the snapshot; the index is a page in memory."""

import io
import json

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from lifeos.pods import snapshot_take
from lifeos.pods.snapshot import load_snapshot
from lifeos.pods.snapshot_take import Index, Seeds, load_seeds, required, shipped_pins, take, wanted_versions
from lifeos.settings import project_root

SEEDS = Seeds(("3.11", "3.12"), 28, frozenset(), {})


class Answer(io.BytesIO):
    url = "https://index.example/simple/"


@pytest.fixture
def index(monkeypatch):
    """An index of these wheels, by package; METADATA stands beside each."""
    monkeypatch.setattr(snapshot_take, "pip_settings", lambda: {"index-url": "https://index.example/simple"})

    def build(wheels, metadata=(), seeds=SEEDS, **more):
        def opened(request):
            if request.full_url.endswith(".metadata"):
                return Answer(dict(metadata)[request.full_url.rsplit("/", 1)[1].removesuffix(".metadata")].encode())
            name = request.full_url.rstrip("/").rsplit("/", 1)[1]
            rows = [
                {"filename": file, "url": f"../files/{file}", "size": 1, "hashes": {"sha256": "0" * 64},
                 "core-metadata": True, **more.get(file, {})}
                for file in wheels[name]
            ]  # fmt: skip
            return Answer(json.dumps({"files": rows}).encode())

        monkeypatch.setattr(snapshot_take, "_opened", opened)
        return Index(seeds)

    return build


@pytest.mark.parametrize(
    ("tags", "is_taken"),
    [
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("py2-none-any", False),
        ("cp311-cp311-manylinux_2_28_x86_64", True),
        ("cp312-cp312-manylinux_2_18_x86_64", True),
        ("cp311-cp311-manylinux_2_12_x86_64.manylinux2010_x86_64", True),
        ("cp39-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64", True),
        ("py3-none-manylinux2014_x86_64", True),
        ("py3-none-linux_x86_64", True),
        ("cp311-cp311-manylinux_2_31_x86_64", False),
        ("cp313-cp313-manylinux_2_28_x86_64", False),
        ("cp313-abi3-manylinux_2_28_x86_64", False),
        ("cp312-cp312t-manylinux_2_28_x86_64", False),
        ("cp311-cp311-manylinux_2_28_aarch64", False),
        ("cp311-cp311-musllinux_1_2_x86_64", False),
        ("cp311-cp311-win_amd64", False),
        ("cp311-cp311-macosx_11_0_arm64", False),
    ],
)
def test_a_wheel_is_taken_where_a_pod_could_install_it(index, tags, is_taken):
    assert bool(index({"a": [f"a-1-{tags}.whl"]}).files("a")) is is_taken


def test_archives_and_yanked_wheels_are_left_out(index):
    found = index({"a": ["a-1.tar.gz", "a-2-py3-none-any.whl"]}, **{"a-2-py3-none-any.whl": {"yanked": "broken"}})
    assert found.files("a") == {}


def test_all_versions_from_the_floor_on_else_the_newest_that_each_python_takes(index):
    wheels = [f"a-{number}-py3-none-any.whl" for number in (1, 2, 3, "4rc1")]
    found = index({"a": wheels}, **{"a-3-py3-none-any.whl": {"requires-python": ">=3.12"}})
    assert wanted_versions(found, "a", SpecifierSet(), Version("2")) == [Version("2"), Version("3")]
    assert wanted_versions(found, "a", SpecifierSet(), None) == [Version("2"), Version("3")]
    assert wanted_versions(found, "a", SpecifierSet("<3"), None) == [Version("2")]
    assert wanted_versions(found, "a", SpecifierSet("<1"), None) == []


def test_a_snapshot_holds_floors_single_releases_and_what_they_require(index):
    wheels = {"a": ["a-1-py3-none-any.whl", "a-2-py3-none-any.whl"], "b": ["b-1-py3-none-any.whl"]}
    wheels |= {"c": ["c-1-py3-none-any.whl", "c-2-py3-none-any.whl"]}
    metadata = {
        "a-2-py3-none-any.whl": 'Name: a\nRequires-Dist: c; sys_platform == "linux"\nRequires-Dist: d; extra == "x"\n',
        "b-1-py3-none-any.whl": "Name: b\nRequires-Dist: c<2\n",
        "c-1-py3-none-any.whl": "Name: c\n",
        "c-2-py3-none-any.whl": "Name: c\nRequires-Python: >=3.10\n",
    }
    seeds = Seeds(SEEDS.pythons, 28, frozenset({("b", Version("1"))}), {"a": Version("2")})
    lines = take(index(wheels, metadata, seeds), set())
    assert [(line["name"], line["version"]) for line in lines] == [("a", "2"), ("b", "1"), ("c", "1"), ("c", "2")]
    assert lines[3]["python"] == ">=3.10"
    assert lines[0]["wheels"] == [["a-2-py3-none-any.whl", 1, None, "0" * 64]]


def test_extras_are_followed_for_cuda_alone():
    line = {"name": "a", "extras": ["x"], "requires": ['b; extra == "x"', "c"]}
    assert [one.name for one in required(line, ["3.11"])] == ["c"]
    assert [one.name for one in required({**line, "name": "onnxruntime-gpu"}, ["3.11"])] == ["b", "c"]


def test_the_committed_snapshot_holds_what_is_shipped_and_what_is_named():
    versions = load_snapshot().versions
    seeds = load_seeds()
    pins = shipped_pins(project_root() / "requirements-pod.txt", seeds.pythons)
    assert not [pin for pin in pins | seeds.also if pin[1] not in versions.get(pin[0], {})]
    assert not [name for name in seeds.floors if name not in versions]
