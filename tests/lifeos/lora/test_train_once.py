import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lifeos import child
from lifeos.errors import InputError
from lifeos.lora.recipe import OptimizerSettings
from lifeos.lora.sample import missing_images
from lifeos.lora.sample_once import sample_once
from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan
from lifeos.lora.store import ImageStore
from lifeos.lora.train import train_lora
from lifeos.lora.train_once import train_once
from lifeos.lora.training_inputs import read_inputs, run_folder_for

pytestmark = pytest.mark.filterwarnings("ignore")

ROOT = Path(__file__).parents[3]
CALL = ("import sys; from pathlib import Path; from lifeos.lora.recipe import Recipe;"
        "from lifeos.lora.train_once import train_once;"
        "result = train_once(Recipe.model_validate_json(sys.argv[1]), Path(sys.argv[2]));"
        "print(result.reused, result.sha256)")


def call(recipe, artifacts):
    return subprocess.Popen([sys.executable, "-c", CALL, recipe.model_dump_json(), str(artifacts)], cwd=ROOT,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_callers_train_once_and_sampling_follows(recipe, tmp_path):
    callers = [call(recipe, tmp_path / "artifacts") for _ in range(2)]
    answers = [caller.communicate(timeout=300) for caller in callers]
    lines = sorted(answer[0].split() for answer in answers)
    assert [line[0] for line in lines] == ["False", "True"], answers
    assert lines[0][1] == lines[1][1]
    direct = train_lora(recipe, tmp_path / "direct.safetensors", tmp_path / "run")
    assert direct.sha256 == lines[0][1]
    seen = []
    again = train_once(recipe, tmp_path / "artifacts", lambda *facts: seen.append(facts))
    assert again.reused
    assert not seen

    plan = SamplePlan((PlannedPrompt("B1", "photo of a zeph person"),), (0, 1), "ddim", 2, 2.0, 32, 32)
    store = ImageStore(tmp_path / "artifacts" / "samples")
    assert missing_images(plan, recipe.base, again.path, store) == 2
    result = sample_once(plan, recipe.base, again.path, tmp_path / "artifacts",
                         lambda *facts: seen.append(facts), threads=1)
    assert (result.made, result.reused) == (2, 0)
    assert seen[-1] == ("sampling", 2, 2)
    assert sample_once(plan, recipe.base, again.path, tmp_path / "artifacts").made == 0


def test_a_failure_is_remembered_for_the_attempt_only(recipe, tmp_path, monkeypatch):
    import shutil

    folder = tmp_path / "data"
    shutil.copytree(recipe.dataset, folder)
    (folder / "0003.png").write_bytes(b"no picture")
    broken = recipe.model_copy(update={"dataset": folder})
    with pytest.raises(InputError, match="accepted a picture") as first:
        train_once(broken, tmp_path / "artifacts", attempt="one")
    started = []
    monkeypatch.setattr(child, "_run", lambda *_: started.append(1) or 0)
    with pytest.raises(InputError, match="accepted a picture") as second:
        train_once(broken, tmp_path / "artifacts", attempt="one")
    assert str(first.value) == str(second.value)
    assert not started
    for attempt in ("two", None):  # the stand-in makes no file
        with pytest.raises(InputError, match="left no result"):
            train_once(broken, tmp_path / "artifacts", attempt=attempt)
    assert len(started) == 2
    before = read_inputs(broken).key
    shutil.copyfile(folder / "0002.png", folder / "0003.png")
    assert read_inputs(broken).key != before


@pytest.mark.skipif(os.name == "nt", reason="finds the child among the processes of the caller as POSIX has them")
def test_a_kill_stops_no_later_call_and_repeats_nothing(recipe, tmp_path):
    import psutil

    recipe = recipe.model_copy(update={"steps": 80, "checkpoint_every": 4, "optimizer": OptimizerSettings()})
    folder = run_folder_for(tmp_path / "artifacts", read_inputs(recipe))

    def start_and_wait_for_checkpoint_after(step):
        caller, deadline = call(recipe, tmp_path / "artifacts"), time.monotonic() + 300
        while max(folder.glob("checkpoints/checkpoint-*"), default=Path()).name <= f"checkpoint-{step:08d}~":
            assert time.monotonic() < deadline
            assert caller.poll() is None, caller.communicate()
            time.sleep(0.01)
        return caller, next(process for process in psutil.Process(caller.pid).children()
                            if "lifeos.lora.train_once" in process.cmdline())

    caller, trainer = start_and_wait_for_checkpoint_after(0)
    trainer.kill()
    assert "ended by signal 9" in caller.communicate(timeout=60)[1]
    reached = int(max(folder.glob("checkpoints/checkpoint-*")).stem.split("-")[1])

    caller, trainer = start_and_wait_for_checkpoint_after(reached)
    caller.kill()
    caller.communicate(timeout=60)
    trainer.wait(timeout=30)  # the child ends with its parent

    result = train_lora(recipe, tmp_path / "resumed.safetensors", folder)
    assert reached < result.resumed_from < 80
    whole = train_lora(recipe, tmp_path / "whole.safetensors", tmp_path / "run")
    assert result.path.read_bytes() == whole.path.read_bytes()


def test_a_finished_lora_that_went_is_trained_again(recipe, tmp_path):
    first = train_once(recipe, tmp_path / "artifacts")
    first.path.unlink()
    again = train_once(recipe, tmp_path / "artifacts")
    assert (again.reused, again.sha256) == (False, first.sha256)
