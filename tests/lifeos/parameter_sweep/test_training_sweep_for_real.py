"""The command with the demo's own base, judge and child processes, 14 steps a trial, interrupted amid a training."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from evals import history
from evals.atomic import write_text
from lifeos.cli import main
from lifeos.selection import selection_of
from lifeos.settings import project_root

pytest.importorskip("optuna")
pytestmark = pytest.mark.filterwarnings("ignore")
ROOT = project_root()
# As ``python -m lifeos``, and told to heed Ctrl-C: whoever is started in the background of a shell inherits deafness.
COMMAND = ("import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
           "runpy.run_module('lifeos', run_name='__main__', alter_sys=True)")  # fmt: skip
SWEEP = """name = "trained for real"
[grid]
[training]
trials = 2
seed = 1
[training.search.rank]
choices = [2, 4]
[training.search.optimizer.learning_rate]
low = 1e-4
high = 1e-2
log = true
"""


def changed(path, **changes):
    text = path.read_text(encoding="utf-8")
    for key, value in changes.items():
        start = text.index(f"\n{key} = ") + 1
        text = text[:start] + f"{key} = {value}" + text[text.index("\n", start) :]
    write_text(path, text)


@pytest.fixture
def asked(tmp_path):
    """A sweep of the demo persona with two training images, two prompts of set A and two steps a picture."""
    persona = tmp_path / "pistachio"
    shutil.copytree(ROOT / "personas" / "pistachio", persona)
    for image in sorted((persona / "dataset").glob("*.png"))[2:]:
        image.unlink()
        image.with_suffix(".txt").unlink()
    changed(persona / "persona.toml", steps=2, a="[0]")
    base = json.dumps((ROOT / "models" / "tiny-base").as_posix())
    changed(persona / "recipe.toml", base=base, steps=14, threads=1, checkpoint_every=2)
    text = (persona / "prompts.toml").read_text(encoding="utf-8")
    write_text(persona / "prompts.toml", text[: text.index('[[a]]\nid = "A03"')] + text[text.index("[[b]]") :])
    write_text(tmp_path / "SWEEP.toml", SWEEP)
    places = {"persona": persona, "history": tmp_path / "h.jsonl", "artifacts": tmp_path / "artifacts"}
    return ["parameter-sweep", str(tmp_path / "SWEEP.toml"), "--json",
            *(text for name, place in places.items() for text in (f"--{name}", str(place)))]  # fmt: skip


def interrupted(asked, artifacts):
    """Press Ctrl-C, which a terminal sends to all processes at once, when the second training has a checkpoint."""
    judged, checkpoint = "sweeps/*/trials.jsonl", "runs/*/checkpoints/*.safetensors"
    process = subprocess.Popen([sys.executable, "-c", COMMAND, *asked], cwd=ROOT, text=True, encoding="utf-8",
                               start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
    try:
        # A finished run keeps none.
        while not (list(artifacts.glob(judged)) and list(artifacts.glob(checkpoint))):
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        return process.communicate(timeout=30)[1], process.returncode
    finally:
        process.kill()


def runs_of(artifacts):
    """The finished trainings: the log of their steps, by the hash of the LoRA, and from which step they went on."""
    runs = {}
    for log in artifacts.glob("runs/*/training-log.jsonl"):
        if log.with_name("result.json").is_file():
            result = json.loads(log.with_name("result.json").read_text(encoding="utf-8"))
            runs[result["sha256"]] = (result["resumed_from"], log.read_bytes())
    return runs


def test_a_sweep_that_is_interrupted_amid_a_training_trains_nothing_twice(asked, tmp_path, capsys):
    artifacts, rows, first = tmp_path / "artifacts", tmp_path / "h.jsonl", {}
    if os.name == "posix":
        said, status = interrupted(asked, artifacts)
        assert (said.startswith("lifeos: interrupted; "), status) == (True, 130)
        first = runs_of(artifacts)
        assert (len(first), rows.exists()) == (1, False)
    assert main(asked) == 1  # what so few steps make is ruled out
    told, trained = json.loads(capsys.readouterr().out), runs_of(artifacts)
    search, grid = history.read(rows)
    assert (told["id"], told["recorded"], told["made"], told["reused"]) == (grid["id"], True, 0, 4)
    assert {candidate["lora"] for candidate in grid["candidates"]} == trained.keys()
    assert {candidate["lora"] for candidate in search["candidates"]} == trained.keys()
    assert sorted(candidate["name"].split(" at ")[0] for candidate in grid["candidates"]) == ["trial 1", "trial 2"]
    if first:
        assert first.items() <= trained.items()  # down to the seconds of each step
        assert sorted(resumed > 0 for resumed, _ in trained.values()) == [False, True]
    lora = grid["candidates"][0]["lora"]
    selection = selection_of(rows, lora, "pistachio")
    assert (selection["row"], selection["of"]) == (grid["id"], 2)
    assert [(each["row"], each["of"]) for each in selection["earlier"]] == [(search["id"], 2)]
    # Once more: nothing is done, and nothing said a second time in the history.
    assert main(asked) == 1
    again = json.loads(capsys.readouterr().out)
    training = {**told["training"], "recorded": False}
    assert again == {**told, "seconds": again["seconds"], "recorded": False, "training": training}
    assert history.read(rows) == [search, grid]
    assert runs_of(artifacts) == trained
