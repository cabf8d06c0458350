"""The re-check of the rule tables against wheels made here: it sees a row that no longer says what a wheel holds."""

import io
import json
import struct
import zipfile

import pytest
from packaging.version import Version

from lifeos.pods.rule_tables import Companion, Driver, MissingWheel, Overwrite, Proof, Rules, Wheel, _Tables
from lifeos.pods.rules import recheck
from lifeos.pods.snapshot_take import Seeds

SOURCE = "made for this test"


def archive(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as written:
        for name, data in files.items():
            written.writestr(name.replace("__", "/"), data)
    return zipfile.ZipFile(buffer)


def wheel(package, **facts):
    return Wheel(package=package, versions=">=1", checked=["1"], source=SOURCE, **facts)


def test_a_text_that_came_or_went_is_seen():
    proof = Proof(package="a", file="a/b.py", text="import c", present=["1"], absent=["2"])

    def found(**texts):
        return recheck.proof_complaints(proof, lambda _, version: archive(**{"a__b.py": texts[f"v{version}"]}))

    assert found(v1="import c", v2="import d") == []
    assert found(v1="import d", v2="import d") == ["a 1: a/b.py lacks 'import c'"]
    assert found(v1="import c", v2="import c") == ["a 2: a/b.py holds 'import c'"]
    assert found(v2="") == ["a 1: no longer on the index"]


@pytest.mark.parametrize(
    ("row", "files", "wrong"),
    [
        (wheel("torch", cuda="12.8"), {"torch__version.py": "cuda: Optional[str] = '12.8'\n"}, None),
        (wheel("torch", cuda="12.8"), {"torch__version.py": "cuda: Optional[str] = '13.0'\n"}, "cuda"),
        (
            wheel("onnxruntime-gpu", cuda="12.8"),
            {"onnxruntime__capi__build_and_package_info.py": "cuda_version = '13.0'\n"},
            "cuda",
        ),
        (wheel("onnxruntime-gpu", cuda="12.8"), {}, None),
        (wheel("bitsandbytes", cudas=["12.8"]), {"bitsandbytes__libbitsandbytes_cuda128.so": ""}, None),
        (wheel("bitsandbytes", cudas=["12.8", "13.0"]), {"bitsandbytes__libbitsandbytes_cuda128.so": ""}, "cudas"),
        (wheel("nosuch"), {}, "how to read"),
    ],
)
def test_what_a_wheel_is_built_for(row, files, wrong):
    found = recheck.wheel_complaints(row, "1", archive(**files))
    assert (found == []) if wrong is None else (len(found) == 1 and wrong in found[0])


@pytest.mark.parametrize(("torch", "wrong"), [("2.10.0+cu128", []), ("2.11.0+cu130", ["torch"])])
def test_what_xformers_is_built_against(torch, wrong):
    built = {"version": {"cuda": "1208", "torch": torch}, "env": {"TORCH_CUDA_ARCH_LIST": "7.5 8.0+PTX 9.0a"}}
    row = wheel("xformers", cuda="12.8", torch=">=2.10,<2.11", archs=["7.5", "8.0", "9.0a"])
    found = recheck.wheel_complaints(row, "1", archive(**{"xformers__cpp_lib.json": json.dumps(built)}))
    assert [text.split(": ")[1].split(" ")[0] for text in found] == wrong


def test_packages_that_no_longer_write_the_same_files():
    row = Overwrite(id="x", packages=["a", "b"], keep="b", reason="both write one file", source=SOURCE)
    files = {"a": ["m/x.py", "a.dist-info/RECORD"], "b": ["m/x.py"]}
    assert recheck.overwrite_complaints(row, files.__getitem__) == []
    files["b"] = ["n/x.py", "a.dist-info/RECORD"]
    assert recheck.overwrite_complaints(row, files.__getitem__) == ["a writes no file that b writes"]


def test_libraries_that_a_package_brings_by_now_or_no_longer():
    row = Companion(
        id="x", package="a", versions=">=1", one_of=[["b"], ["c", "d"]], extras=["cuda"], source=SOURCE,
        reason="loads both at run time",
    )  # fmt: skip
    texts = {
        "a": 'Requires-Dist: b; extra == "cuda"\nRequires-Dist: e; extra == "cuda"\n',
        "b": "",
        "e": "Requires-Dist: d\n",
    }

    def found():
        return recheck.companion_complaints(row, "1", lambda name, version: texts[name])

    assert found() == []
    texts["e"] = ""
    assert found() == ["a 1: [cuda] brings no c or d"]
    texts["a"] = 'Requires-Dist: b\nRequires-Dist: d; extra == "cuda"\n'
    texts["d"] = ""
    assert found() == ["a 1 requires b itself"]


def test_a_wheel_that_there_is_by_now():
    row = MissingWheel(id="x", package="a", versions="<1", reason="a source archive alone", source=SOURCE)
    assert recheck.missing_wheel_complaints(row, [Version("1")]) == []
    assert recheck.missing_wheel_complaints(row, [Version("0.9"), Version("1")]) == ["a 0.9 has a wheel"]


def test_machine_code_is_read_from_the_headers_of_fat_binaries():
    def entry(kind, arch, size=64):
        return struct.pack("<HHIQ", kind, 0, 32, size) + b"\0" * 12 + struct.pack("<I", arch) + b"\0" * size

    def container(*entries):
        body = b"".join(entries)
        return b"\x50\xed\x55\xba" + struct.pack("<HHQ", 1, 16, len(body)) + body

    often = container(entry(2, 80), entry(2, 90), entry(1, 90))
    seldom = container(entry(2, 100))
    assert recheck.machine_code(io.BytesIO(b"junk" + often * 5 + b"\0" * 7 + seldom)) == ["8.0", "9.0"]
    assert recheck.machine_code(io.BytesIO(b"")) == []


class Index:
    """An index that holds torch 1 and 2 and tells what is in them."""

    seeds = Seeds(("3.11",), 28, frozenset(), {"torch": Version("1")})

    def files(self, name):
        return {Version(number): [{"url": f"{name} {number}"}] for number in ("1", "2", "3rc1")}


@pytest.fixture
def run(monkeypatch):
    """Run the command over one row of torch whose wheels say these versions of CUDA."""

    def start(versions, *cudas):
        row = Wheel(package="torch", versions=versions, cuda="12.8", checked=["1"], source=SOURCE)
        driver = Driver(cuda_major=12, minimum="525", source=SOURCE)
        texts = dict(zip(("torch 1", "torch 2"), cudas, strict=False))
        monkeypatch.setattr(recheck, "load_rules", lambda: Rules(_Tables(wheel=[row], driver=[driver])))
        monkeypatch.setattr(recheck, "Index", lambda seeds: Index())
        monkeypatch.setattr(
            recheck, "open_wheel", lambda url: archive(**{"torch__version.py": f"cuda = '{texts[url]}'\n"})
        )
        return recheck.main([])

    return start


def test_every_version_that_a_row_covers_is_opened(run, capsys):
    assert run(">=1", "12.8", "12.8") == 0
    assert capsys.readouterr().out == "holds torch >=1\n"
    assert run(">=1", "12.8", "13.0") == 1
    wrong = "  torch 2: cuda is 13.0 in the wheel and 12.8 in the row"
    assert capsys.readouterr().out.splitlines() == ["WRONG torch >=1", wrong]
    assert run("<2", "12.8") == 0
    assert capsys.readouterr().out.splitlines() == ["holds torch <2", "no row: torch 2"]


def test_no_index_is_one_line(run, monkeypatch, capsys):
    def nobody(self, name):
        raise TimeoutError

    monkeypatch.setattr(Index, "files", nobody)
    assert run(">=1") == 2
    assert capsys.readouterr().err == "lifeos: index: accepted an answer, got TimeoutError; next: try again\n"
