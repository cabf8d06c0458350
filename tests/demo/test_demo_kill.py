"""A release on the real base, killed while it trains, samples and appends, ends as if nothing had been."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evals import history

ROOT = Path(__file__).resolve().parents[2]
PERSONA = ROOT / "personas" / "pistachio"

pytestmark = pytest.mark.timeout(1500, func_only=False)

STEPS, PROMPTS, SEEDS = 12, 4, 2


@pytest.fixture
def small(tmp_path):
    """The persona with a 12-step recipe, a checkpoint every other step, 4 prompts and 2 seeds."""
    folder = tmp_path / "a persona" / "pistachio"
    shutil.copytree(PERSONA, folder)
    blocks = re.findall(r"\[\[b\]\]\n.*?(?=\n\[\[|\Z)", (PERSONA / "prompts.toml").read_text("utf-8"), flags=re.DOTALL)
    (folder / "prompts.toml").write_text("\n\n".join(blocks[:PROMPTS]) + "\n", encoding="utf-8")
    changes = {
        "persona.toml": {"b": str(list(range(100, 100 + SEEDS))),
                         "base": json.dumps((ROOT / "models/tiny-base").as_posix()),
                         "folder": json.dumps((ROOT / "models/faces").as_posix())},
        "recipe.toml": {"steps": str(STEPS), "batch_size": "2", "checkpoint_every": "2",
                        "base": json.dumps((ROOT / "models/tiny-base").as_posix())},
    }  # fmt: skip
    for name, values in changes.items():
        text = (folder / name).read_text(encoding="utf-8")
        for key, value in values.items():
            text, count = re.subn(rf"(?m)^{key} = .*$", lambda _, k=key, v=value: f"{k} = {v}", text)
            assert count == 1, (name, key)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def command(persona, tmp_path):
    return [sys.executable, "-m", "lifeos", "gate", "release", "--json", "--persona", str(persona),
            "--history", str(tmp_path / "history.jsonl"), "--artifacts", str(tmp_path / "artifacts")]  # fmt: skip


def kill_once(persona, tmp_path, when):
    """Start the command and SIGKILL it as soon as ``when()`` holds."""
    with (tmp_path / "killed.log").open("ab") as log:
        process = subprocess.Popen(command(persona, tmp_path), cwd=ROOT, stdout=log, stderr=log)
        end = time.monotonic() + 600
        while not when() and process.poll() is None:
            assert time.monotonic() < end, "what the kill waited for never came"
            time.sleep(0.01)
        assert process.poll() is None, "it ended before it could be killed"
        process.kill()
        process.wait()


def files(folder, pattern):
    """What lies there, with when it was written: a file made again has another time."""
    return {path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.rglob(pattern)}


def trained(artifacts):
    """What the training of this data folder says of itself."""
    (result,) = (
        result
        for path in (artifacts / "runs").glob("*/result.json")
        if "resumed_from" in (result := json.loads(path.read_text(encoding="utf-8")))
    )
    return result


def test_killed_three_times_ends_with_one_row_and_nothing_twice(small, tmp_path):
    artifacts, log = tmp_path / "artifacts", tmp_path / "history.jsonl"
    kill_once(small, tmp_path, lambda: any(artifacts.rglob("checkpoints/*.safetensors")))
    assert not log.exists()
    kill_once(small, tmp_path, lambda: len(files(artifacts, "*.png")) >= 2)
    assert not log.exists()
    drawn = files(artifacts / "samples", "*.png")
    assert 2 <= len(drawn) < PROMPTS * SEEDS
    kill_once(small, tmp_path, lambda: log.exists() and log.stat().st_size)
    done = subprocess.run(command(small, tmp_path), cwd=ROOT, capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    # Four prompts are fewer than the policy asks for: no verdict, and the row says so.
    assert (done.returncode, answer["verdict"]) in ((2, "not_evaluated"), (1, "rejected"))
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert rows[-1]["id"] == answer["row"]
    # The third kill falls between the row and the end of the process. Where the run had already been closed by then,
    # the fourth command is a run of its own, which made nothing.
    assert [row["reused"] for row in rows] in ([False], [False, True])
    assert len({row["run_id"] for row in rows}) == len(rows)
    assert history.verify(log).problems == ()
    kept = files(artifacts / "samples", "*.png")
    assert len(kept) >= PROMPTS * SEEDS
    assert drawn.items() <= kept.items(), "an image was made twice"
    result = trained(artifacts)
    assert 0 < result["resumed_from"] < STEPS == result["steps"]
