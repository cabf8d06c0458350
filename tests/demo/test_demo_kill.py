"""A release on the real base, killed while it trains, samples and appends, ends as if nothing had been."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from evals import history
from lifeos.base_images import class_plan
from lifeos.lora.recipe import load_recipe
from lifeos.lora.sample import BATCH_SIZE, planned_images
from lifeos.lora.store import ImageStore
from lifeos.lora.train import train_lora
from lifeos.persona import load_persona
from lifeos.release_inputs import release_plan, source_hash

ROOT = Path(__file__).resolve().parents[2]
PERSONA = ROOT / "personas" / "pistachio"
STEPS, PROMPTS = 12, 4
SEEDS = 2 * BATCH_SIZE // PROMPTS  # two batches: while the second is rendered, the first lies there
SECONDS = 600.0

pytestmark = [
    pytest.mark.timeout(1500, func_only=False),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(os.name == "nt", reason="kills a process group, which Windows has not"),
]

# The command itself, but the writing of its row ends early, and with it every process of the command.
DIES_APPENDING = """
import os, signal, sys
from lifeos.cli import main

write, share = os.write, float(sys.argv[1])

def die(descriptor, data):
    if b'"lifeos.scorecard/' not in data:
        return write(descriptor, data)
    write(descriptor, data[: round(share * len(data))])
    os.killpg(0, signal.SIGKILL)

os.write = die
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture(autouse=True)
def same_code():
    """Say so when somebody edited the code meanwhile: a release of other code is another one, and goes on with none."""
    before = source_hash(ROOT)
    yield
    assert source_hash(ROOT) == before, "the code was edited while the test ran; run it again"


@pytest.fixture
def small(tmp_path):
    """The persona with a 12-step recipe, a checkpoint every other step, and 4 prompts."""
    folder, models = tmp_path / "a persona" / "pistachio", ROOT / "models"
    shutil.copytree(PERSONA, folder)
    blocks = re.findall(r"\[\[b\]\]\n.*?(?=\n\[\[|\Z)", (PERSONA / "prompts.toml").read_text("utf-8"), flags=re.DOTALL)
    (folder / "prompts.toml").write_text("\n\n".join(blocks[:PROMPTS]) + "\n", encoding="utf-8")
    base, faces = (json.dumps((models / name).as_posix()) for name in ("tiny-base", "faces"))
    # One thread: two that share a busy core wait for each other at every step.
    of_recipe = {"base": base, "steps": STEPS, "batch_size": 2, "checkpoint_every": 2, "threads": 1}
    for name, values in {"persona.toml": {"base": base, "folder": faces, "steps": 8, "b": [*range(SEEDS)]},
                         "recipe.toml": of_recipe}.items():  # fmt: skip
        text = (folder / name).read_text(encoding="utf-8")
        for key, value in values.items():
            text, count = re.subn(rf"(?m)^{key} = .*$", lambda _, k=key, v=value: f"{k} = {v}", text)
            assert count == 1, (name, key)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


class Command:
    """``lifeos gate release`` on one persona, history and data folder, run and killed."""

    def __init__(self, persona, folder):
        self.artifacts, self.history, self.log = folder / "artifacts", folder / "history.jsonl", folder / "killed.log"
        self.arguments = ["gate", "release", "--json", "--persona", str(persona), "--history", str(self.history),
                          "--artifacts", str(self.artifacts)]  # fmt: skip

    def run(self):
        """Run it to its end; returns exit status and answer."""
        command = [sys.executable, "-m", "lifeos", *self.arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.stdout.strip(), done.stderr
        return done.returncode, json.loads(done.stdout.strip().splitlines()[-1])

    @contextmanager
    def _started(self, *command):
        with self.log.open("ab") as log:
            process = subprocess.Popen([sys.executable, *command, *self.arguments], cwd=ROOT, stdout=log, stderr=log,
                                       start_new_session=True)  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def kill_once(self, holds):
        """Start it and SIGKILL all its processes as soon as ``holds()``."""
        end = time.monotonic() + SECONDS
        with self._started("-m", "lifeos") as process:
            while not holds():
                assert process.poll() is None, "it ended before it could be killed: " + self.log.read_text("utf-8")
                assert time.monotonic() < end, "what the kill waits for never came"
                time.sleep(0.01)
        assert process.returncode == -signal.SIGKILL, "it ended before it could be killed"
        self._await_child()

    def kill_appending(self, share):
        """Run it until it has written this share of its row, and SIGKILL all its processes there."""
        with self._started("-c", DIES_APPENDING, str(share)) as process:
            assert process.wait(SECONDS) == -signal.SIGKILL, self.log.read_text("utf-8")
        self._await_child()

    def _await_child(self):
        # The process that trains and samples holds this lock while it lives.
        with FileLock(str(self.artifacts / "child.lock"), timeout=60):
            pass

    def run_id(self):
        """The run that the next command goes on with."""
        (opened,) = (self.artifacts / "invocations").glob("*.json")
        return read_json(opened)["run"]


def files(folder, pattern):
    """What lies there, with inode and time: a file made again has others."""
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.rglob(pattern)}


def checkpoints(artifacts):
    """Steps that a checkpoint holds, ascending."""
    return sorted(int(path.stem.split("-")[1]) for path in artifacts.rglob("checkpoints/checkpoint-*.safetensors"))


def events(artifacts, stage):
    """Steps or images done, as the commands that were killed said, in the order of writing; one list a command."""
    paths = sorted((artifacts / "invocations").glob("*/progress.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    told = [[json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] for path in paths]
    return [[event["done"] for event in lines if event["stage"] == stage] for lines in told]


class Drawn:
    """Which images of a plan the LoRA that was trained has drawn; others in the store are of controls."""

    def __init__(self, folder, artifacts, plan_of):
        self._folder, self._artifacts, self._plan_of, self._paths = folder, artifacts, plan_of, ()

    def __call__(self):
        trained = list(files(self._artifacts, "lora.safetensors"))
        if trained and not self._paths:
            persona, store = load_persona(self._folder), ImageStore(self._artifacts / "samples")
            asked = planned_images(self._plan_of(persona), persona.base, trained[0], store)
            self._paths = [image.path for image in asked.images]
        return [path for path in self._paths if path.is_file()]


def kept_encodings(artifacts):
    return files(artifacts, "latents-*") | files(artifacts, "text-*")


def read_json(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_killed_while_training_sampling_and_appending_it_ends_with_one_row_and_nothing_made_twice(small, tmp_path):
    command = Command(small, tmp_path)
    artifacts, samples, log = command.artifacts, command.artifacts / "samples", command.history

    command.kill_once(lambda: checkpoints(artifacts))
    run_id, reached, encoded = command.run_id(), checkpoints(artifacts)[-1], kept_encodings(artifacts)
    assert 0 < reached < STEPS
    assert len(encoded) == 2
    assert not files(artifacts, "lora.safetensors")

    judged, without_trigger = Drawn(small, artifacts, release_plan), Drawn(small, artifacts, class_plan)
    command.kill_once(judged)
    first, second = events(artifacts, "training")
    assert first[0] == 0
    assert second[0] == min(second) == reached, "steps before the checkpoint were repeated"
    assert second[-1] == STEPS
    trained, drawn = files(artifacts, "lora.safetensors"), files(samples, "*.png")
    (lora,) = trained
    assert read_json(lora.with_name("result.json"))["resumed_from"] == reached
    assert kept_encodings(artifacts) == encoded
    drawn_of_plan = len(judged())
    assert 0 < drawn_of_plan < PROMPTS * SEEDS
    assert not without_trigger()
    assert not log.exists()

    command.kill_appending(share=0.5)
    torn = log.read_bytes()
    assert torn.startswith(b"{")
    assert b"\n" not in torn
    kept = files(samples, "*.png")
    assert drawn.items() <= kept.items(), "an image that lay on the disk was drawn again"
    assert len(judged()) == PROMPTS * SEEDS
    assert len(without_trigger()) == PROMPTS
    (release,) = artifacts.glob("runs/release-*/result.json")
    made = len(kept) - len(drawn)
    assert made == PROMPTS * SEEDS - drawn_of_plan + PROMPTS
    assert read_json(release)["result"]["made"] == {"trained": True, "images": made}

    command.kill_appending(share=1.0)
    (row,) = history.read(log)
    assert command.run_id() == run_id == row["run_id"]
    code, answer = command.run()
    assert history.read(log) == [row]
    assert answer["row"] == row["id"]
    assert row["reused"] is False
    # Four prompts are fewer than the policy asks for: whatever the other gates say, nothing is approved.
    assert (code, answer["verdict"]) in ((1, "rejected"), (2, "not_evaluated"))
    assert not list((artifacts / "invocations").glob("*.json"))
    assert files(samples, "*.png") == kept
    assert files(artifacts, "lora.safetensors") == trained
    verify = [sys.executable, "-m", "lifeos", "history", "verify", "--history", str(log)]
    assert subprocess.run(verify, cwd=ROOT, capture_output=True, check=False).returncode == 0

    # The kill left no trace in the file either.
    (tmp_path / "whole").mkdir()
    for file in encoded:
        shutil.copy(file, tmp_path / "whole")
    whole = train_lora(load_recipe(small / "recipe.toml"), tmp_path / "whole.safetensors", tmp_path / "whole")
    assert whole.path.read_bytes() == lora.read_bytes()
