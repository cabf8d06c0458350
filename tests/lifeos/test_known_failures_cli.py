"""``lifeos known-failures``: exact JSON, and five tracebacks as people pasted them."""

import io
import json
from types import SimpleNamespace

import pytest

from evals.known_failures import read_entries
from lifeos.cli import main
from lifeos.known_failures import liveness as module
from lifeos.known_failures.liveness import Liveness

PASTED = {
    "hf-hub-cached-download": """Traceback (most recent call last):
  File "/opt/conda/lib/python3.10/site-packages/diffusers/utils/dynamic_modules_utils.py", line 28, in <module>
    from huggingface_hub import cached_download, hf_hub_download, model_info
ImportError: cannot import name 'cached_download' from 'huggingface_hub' (/opt/conda/site-packages/x)
""",
    "torchvision-nms": """  File "/venv/lib/python3.11/site-packages/torch/library.py", line 795, in register
    use_lib._register_fake(op_name, func, _stacklevel=stacklevel + 1)
RuntimeError: operator torchvision::nms does not exist
""",
    "numpy2-abi-1x-wheel": """
A module that was compiled using NumPy 1.x cannot be run in
NumPy 2.0.0 as it may crash. To support both 1.x and 2.x
versions of NumPy, modules must be compiled with NumPy 2.0.
""",
    "torch-no-sm120-kernel": """
NVIDIA GeForce RTX 5090 with CUDA capability sm_120 is not compatible with the current PyTorch installation.
RuntimeError: CUDA error: no kernel image is available for execution on the device
""",
    "xformers-no-operator": """
NotImplementedError: No operator found for `memory_efficient_attention_forward` with inputs:
     query       : shape=(1, 4096, 8, 40) (torch.float32)
""",
}


@pytest.fixture
def seen(monkeypatch):
    monkeypatch.setattr(
        module, "liveness", lambda entry, artifacts: Liveness(entry.id != "torchvision-nms", "as made up")
    )
    monkeypatch.setattr(module, "_everything_read", lambda: "0" * 64)


def test_the_list_is_one_object_with_every_entry(capsys, tmp_path, seen):
    for arguments in (["known-failures", "list", "--json"], ["known-failures", "--json", "list"]):
        assert main([*arguments, "--artifacts", str(tmp_path)]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert list(answer) == ["entries"]
        rows = {row["id"]: row for row in answer["entries"]}
        assert set(rows) == {entry.id for entry in read_entries()}
        assert all(list(row)[:4] == ["id", "phase", "severity", "live"] for row in rows.values())
        assert rows["torchvision-nms"]["live"] is False
        assert rows["torchvision-nms"]["why_not_live"] == "as made up"
    assert main(["known-failures", "list", "--artifacts", str(tmp_path)]) == 0
    assert f"{len(rows) - 1} of {len(rows)} live" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(PASTED))
@pytest.mark.parametrize("way", ["text", "file", "stdin"])
def test_a_pasted_traceback_is_explained(name, way, capsys, tmp_path, monkeypatch):
    path = tmp_path / "error.log"
    path.write_text(PASTED[name], encoding="utf-8")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(PASTED[name].encode())))
    given = {"text": PASTED[name], "file": str(path), "stdin": "-"}[way]
    assert main(["known-failures", "explain", given, "--json"]) == 0
    (match,) = json.loads(capsys.readouterr().out)["matches"]
    assert match["id"] == name
    assert match["fix"]
    assert main(["known-failures", "explain", str(path)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{name}: ")
    assert f"fix: {match['fix']}" in said


def test_what_nobody_knows_is_said(capsys):
    assert main(["known-failures", "explain", "all is well"]) == 1
    assert "known-failures new" in capsys.readouterr().out


def test_an_entry_is_shown_with_the_difference_of_its_twins(capsys, tmp_path):
    assert main(["known-failures", "show", "loss-nan-run-completes", "--artifacts", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "loss: 'nan' is broken, '0.0812' is healthy" in said
    assert "live:      yes: train.log" in said
    assert main(["known-failures", "show", "loss-nan-run-completes", "--json", "--artifacts", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["live"] is True
    assert main(["known-failures", "show", "nonsense"]) == 2
    assert "accepted an id of the registry" in capsys.readouterr().err


def test_capture_asks_for_a_run(capsys, tmp_path):
    history = tmp_path / "history.jsonl"
    assert main(["known-failures", "capture", "nowhere", "--history", str(history)]) == 2
    assert "next:" in capsys.readouterr().err
