"""The demo persona's own base, judge and training code, four steps a trial; everything in this process."""

import shutil

import pytest

from evals.atomic import write_text
from lifeos import engine
from lifeos.inputs import read_inputs
from lifeos.lora.recipe import load_recipe
from lifeos.lora.sample import sample_plan
from lifeos.lora.store import ImageStore
from lifeos.lora.train import FINISHED_NAME, train_lora
from lifeos.lora.training_inputs import read_inputs as training_inputs
from lifeos.lora.training_inputs import run_folder_for
from lifeos.measure import ImageToMeasure
from lifeos.parameter_sweep.training_search import TrainingSearch
from lifeos.parameter_sweep.training_study import run_training_search
from lifeos.settings import project_root
from tests.lifeos.killed_training import KilledError, killed_at

pytest.importorskip("optuna")
pytestmark = pytest.mark.filterwarnings("ignore")
PERSONA = project_root() / "personas" / "pistachio"
CHANGES = {"steps = 1600": "steps = 4", "threads = 2": "threads = 1", "checkpoint_every = 200": "checkpoint_every = 2"}


def test_a_search_that_is_killed_amid_a_training_goes_on_from_its_checkpoint(tmp_path):
    persona = tmp_path / "pistachio"
    shutil.copytree(PERSONA, persona)
    for image in sorted((persona / "dataset").glob("*.png"))[2:]:
        image.unlink()
        image.with_suffix(".txt").unlink()
    toml = persona / "persona.toml"
    text = toml.read_text(encoding="utf-8").replace("steps = 56", "steps = 2").replace("a = [0, 1]", "a = [0]")
    write_text(toml, text)
    text = (persona / "recipe.toml").read_text(encoding="utf-8")
    text = text.replace("models/tiny-base", (project_root() / "models" / "tiny-base").as_posix())
    for before, after in CHANGES.items():
        text = text.replace(before, after)
    write_text(persona / "recipe.toml", text)
    inputs = read_inputs({"persona": persona, "history": tmp_path / "h.jsonl", "artifacts": tmp_path / "artifacts"})
    definition = TrainingSearch.model_validate({"trials": 2, "search": {
        "rank": {"choices": [2, 4]}, "optimizer.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    }})  # fmt: skip
    store, resumed = ImageStore(inputs.artifacts / "samples"), []

    def search(progress):
        def train(path):
            recipe = load_recipe(path)
            folder = run_folder_for(inputs.artifacts, training_inputs(recipe))
            result = train_lora(recipe, folder / FINISHED_NAME, folder, progress)
            resumed.append((result.reused, result.resumed_from))
            return result

        def sample(plan, base, file):
            images = sample_plan(plan, base, file, store, threads=1).images
            return [ImageToMeasure(image.path, image.request.prompt.id, image.request.seed) for image in images]

        return run_training_search(definition, inputs, tmp_path / "SWEEP.toml", time="2026-11-29T10:00:00Z",
                                   progress=progress, engine=engine, train=train, sample=sample)  # fmt: skip

    with pytest.raises(KilledError):
        search(killed_at(3))
    found = search(lambda *_: None)
    assert [trial.state for trial in found.trials] == ["judged", "judged"]
    assert resumed == [(False, 2), (False, 0), (True, 2), (True, 0)]  # trained once each, then looked up
    ranks = [load_recipe(found.folder / "recipes" / f"{trial.recipe[:32]}.toml").rank for trial in found.trials]
    assert ranks == [trial.parameters["rank"] for trial in found.trials]
    assert all(trial.candidate["images"] == 8 and trial.steps == 4 for trial in found.trials)
    assert {path.name for path in found.loras} == {FINISHED_NAME}
