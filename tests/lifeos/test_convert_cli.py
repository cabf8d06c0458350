"""``lifeos convert-lora`` from its words to its exit status."""

import json

import numpy as np
import pytest

from evals import history
from evals.content_hash import hash_file
from evals.scorecard import HASHES, build_scorecard, gate_row
from evals.verdict import failed
from lifeos.cli import main
from lifeos.lora.families import get_family
from lifeos.lora.families.random_base import write_random_base
from lifeos.lora.safetensors_file import encode, read_header

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_random_base("sd15", tmp_path_factory.mktemp("base") / "sd15")


@pytest.fixture
def lora(base, tmp_path):
    tensors = {}
    for module, shape in get_family("sd15").expected_modules(base, "attention").items():
        tensors[f"{module}.lora_A.weight"] = ("F16", np.ones((2, *shape[1:])))
        tensors[f"{module}.lora_B.weight"] = ("F16", np.ones((shape[0], 2)))
    path = tmp_path / "judged.safetensors"
    path.write_bytes(encode(tensors, {"lifeos.family": "sd15"}))
    return path


def run(capsys, *words):
    status = main(["convert-lora", *(str(word) for word in words)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_family_comes_from_the_file_and_what_nobody_judged_is_said_so(capsys, lora, base, tmp_path):
    out, log = tmp_path / "k.safetensors", tmp_path / "none.jsonl"
    status, shown, _ = run(capsys, lora, "-o", out, "--to", "kohya", "--base", base, "--history", log)
    assert status == 0
    assert "diffusers to kohya, rank 2, alpha 2, F16" in shown
    assert shown.splitlines()[1] == "judged: no release in the history judged this file"
    assert any(name.startswith("lora_unet_down_blocks_1_attentions_0_") for name in read_header(out).entries)


def test_a_rejected_lora_is_converted_and_says_rejected(capsys, lora, base, tmp_path):
    log = tmp_path / "history.jsonl"
    row = history.append(log, build_scorecard(
        time="2026-11-23T20:29:00Z", phase="release", run_id="run-1", persona="one", git_commit="a" * 40,
        git_dirty=False, git_changed=[], hashes={**dict.fromkeys(HASHES, "c" * 64), "lora": hash_file(lora)},
        gates=[gate_row("likeness", "hard", failed("r"))], metrics={}, champion=None, face_backend=None,
        environment={"source": "lora"}, durations={}, cost=None, reused=False,
    ))  # fmt: skip
    first, second = tmp_path / "k.safetensors", tmp_path / "d.safetensors"
    words = ("--base", base, "--history", log, "--json")
    status, shown, _ = run(capsys, lora, "-o", first, "--to", "kohya", *words)
    answer = json.loads(shown)
    assert (status, answer["row"], answer["verdict"]) == (0, row["id"], "rejected")
    assert answer["source_sha256"] == read_header(first).metadata["lifeos.judged_sha256"] == hash_file(lora)
    assert answer["sha256"] == hash_file(first) != hash_file(lora)
    # A copy of the copy was made from bytes that nobody judged.
    status, shown, _ = run(capsys, first, "-o", second, "--to", "diffusers", *words)
    assert (status, json.loads(shown)["verdict"]) == (0, None)
    assert "lifeos.verdict" not in read_header(second).metadata
    status, _, error = run(capsys, first, "-o", second, "--to", "diffusers", "--force", "--row", row["id"], *words)
    assert (status, "accepted a release of this file" in error) == (2, True)


def test_nothing_is_replaced_unasked(capsys, lora, base, tmp_path):
    words = ("--to", "peft", "--base", base, "--history", tmp_path / "none.jsonl")
    before = lora.read_bytes()
    assert run(capsys, lora, "-o", lora, *words, "--force")[0] == 2
    assert lora.read_bytes() == before
    (tmp_path / "adapter_config.json").write_text("mine", encoding="utf-8")
    out = tmp_path / "p.safetensors"
    status, _, error = run(capsys, lora, "-o", out, *words)
    assert (status, "adapter_config.json: accepted a file that is not there yet" in error) == (2, True)
    assert not out.exists()
    assert run(capsys, lora, "-o", out, *words, "--force")[0] == 0
    assert json.loads((tmp_path / "adapter_config.json").read_text(encoding="utf-8"))["r"] == 2
    status, _, error = run(capsys, lora, "-o", out, *words)
    assert (status, "next: --force" in error) == (2, True)


@pytest.mark.parametrize(("words", "text"), [
    (("--to", "onnx"), "--to: accepted diffusers, peft, kohya, got 'onnx'"),
    (("--to", "kohya", "--persona", "x", "--base", "y"), "accepted one of --base and --persona"),
    (("--to", "kohya"), "as the file says, got persona pistachio with tiny_base; next: pass --base FOLDER"),
    (("--to", "kohya", "--base", "BASE", "--family", "sd2"), "got 'sd2'"),
    (("--to", "kohya", "--base", "BASE", "--row", "2099"), "--row 2099: accepted a row of"),
])  # fmt: skip
def test_wrong_words_are_one_line_and_status_2(capsys, lora, base, tmp_path, words, text):
    words = [str(base) if word == "BASE" else word for word in words]
    log = tmp_path / "none.jsonl"
    status, _, error = run(capsys, lora, "-o", tmp_path / "out.safetensors", "--history", log, *words)
    assert status == 2
    assert text in error
    assert len(error.strip().splitlines()) == 1


def test_a_file_that_names_no_family_needs_one_with_base(capsys, lora, base, tmp_path):
    lora.write_bytes(encode({n: ("F16", a) for n, a in read_header(lora).read().items()}, {}))
    words = ("-o", tmp_path / "k.safetensors", "--to", "kohya", "--base", base, "--history", tmp_path / "none.jsonl")
    status, _, error = run(capsys, lora, *words)
    assert (status, "next: pass --family NAME" in error) == (2, True)
    assert run(capsys, lora, *words, "--family", "sd15")[0] == 0
