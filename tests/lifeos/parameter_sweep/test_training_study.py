"""A search with stand-ins for training and sampling: likeness falls with the distance of rank from 16."""

import math
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from evals import history
from evals.atomic import write_text
from evals.content_hash import hash_file
from lifeos.child import ChildLostError
from lifeos.errors import InputError
from lifeos.lora.recipe import load_recipe
from lifeos.lora.shortages import DISK_COMPLAINT
from lifeos.lora.train import TrainingResult
from lifeos.measure import ImageToMeasure
from lifeos.parameter_sweep import training_suggestions
from lifeos.parameter_sweep.training_picture import PICTURE_NAME
from lifeos.parameter_sweep.training_search import TrainingSearch
from lifeos.parameter_sweep.training_study import run_training_search, trial_lines
from lifeos.parameter_sweep.training_trials import TRIALS_NAME, read_trials
from lifeos.selection import selection_of
from tests.lifeos import simulated_release as simulation

pytest.importorskip("optuna")
TIME = "2026-11-29T10:00:00Z"
RANK = {"rank": {"low": 1, "high": 256, "log": True}}


class KilledError(BaseException):
    """As an interrupt: no handler of errors sees it."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    persona = simulation.make_choosing_persona(tmp_path_factory.mktemp("study"), 2)
    base = simulation.load_persona(persona).base
    write_text(persona / "recipe.toml", f'base = "{base.as_posix()}"\ndataset = "dataset"\ntrigger = "pstch"\n'
               'steps = 10\n[optimizer]\nname = "adamw"\n')  # fmt: skip
    return persona


@pytest.fixture
def bench(shared, tmp_path):
    """A persona of its own, stand-ins, and what they were asked."""
    inputs = simulation.inputs_of_its_own(shared, tmp_path)
    asked = SimpleNamespace(trained=[], sampled=0, before=lambda recipe: None, behaviour=lambda recipe: {})

    def train(path):
        recipe = load_recipe(path)
        out = inputs.artifacts / "runs" / recipe.content_hash[:32] / "lora.safetensors"
        reused = out.is_file()
        if not reused:
            asked.before(recipe)
            asked.trained.append(recipe.rank)
            out.parent.mkdir(parents=True, exist_ok=True)
            spread = 0.2 + 0.15 * abs(math.log2(recipe.rank / 16))
            simulation.write_lora(out, spread=spread, **asked.behaviour(recipe))
        digest = hash_file(out)
        return TrainingResult(out, digest, "k", "b", "d", recipe.content_hash, recipe.steps, 0, 0.1, 2.0, reused)

    def sample(plan, base, file):
        assert {prompt.id for prompt in plan.prompts} == {"A00", "A01"}
        asked.sampled += 1
        sampled = simulation.sample(plan, base, file, inputs.artifacts / "samples", lambda *_: None)
        return [ImageToMeasure(image.path, image.prompt, image.seed) for image in sampled.images]

    def run(search=RANK, trials=8, progress=lambda *_: None, **changes):
        definition = TrainingSearch.model_validate({"trials": trials, "seed": 3, "search": search, **changes})
        return run_training_search(definition, inputs, tmp_path / "SWEEP.toml", time=TIME, progress=progress,
                                   engine=simulation, train=train, sample=sample)  # fmt: skip

    return SimpleNamespace(run=run, inputs=inputs, asked=asked, where=tmp_path / "SWEEP.toml")


def facts(trials):
    return [(trial.number, trial.state, dict(trial.parameters), trial.lora, trial.value) for trial in trials]


def test_a_search_finds_writes_draws_and_remembers(bench):
    seen = []
    found = bench.run(keep=2, progress=lambda *each: seen.append(each))
    ranks = [trial.parameters["rank"] for trial in found.trials]
    nearest = sorted(set(ranks), key=lambda rank: abs(math.log2(rank / 16)))
    assert [trial.parameters["rank"] for trial in found.kept] == nearest[:2]
    assert [load_recipe(found.folder / "recipes" / f"{t.recipe[:32]}.toml").rank for t in found.kept] == nearest[:2]
    assert [hash_file(path) for path in found.loras] == [trial.lora for trial in found.kept]
    assert read_trials(found.folder) == list(found.trials)
    assert (found.folder / PICTURE_NAME).read_bytes().startswith(b"\x89PNG")
    assert [each for each in seen if each[0] == "trials"] == [("trials", number, 8) for number in range(9)]
    row = found.row
    assert history.read(bench.inputs.history) == [row]
    assert (row["schema"], row["set"]) == ("lifeos.training_search/1", "A")
    assert (row["of"], row["trials"]) == (len(set(ranks)), 8)
    assert row["candidates"][row["chosen"]]["parameters"] == {"rank": nearest[0]}
    assert row["optimism"] > 0
    lines = trial_lines(found)
    assert [line[0] for line in lines[:8]].count(">") == 2
    assert all("likeness" in line for line in lines[:8])
    assert f"8 trials on prompt set A; recorded as row {row['id']}" in lines[8]
    assert lines[9].endswith("recipes")
    assert f"by up to {row['optimism']:.4f}" in lines[10]
    work = (bench.inputs.artifacts / "work.log").read_text(encoding="utf-8")
    assert " A00 " in work
    assert " B0" not in work  # set B is untouched


def test_a_release_of_a_found_lora_says_among_how_many(bench):
    found = bench.run(trials=3)
    told = selection_of(bench.inputs.history, found.kept[0].lora, "one")
    assert (told["kind"], told["of"], told["chosen"], told["strength"]) == ("training", found.row["of"], True, 1.0)
    assert selection_of(bench.inputs.history, found.kept[-1].lora, "one")["chosen"] is False


def test_killed_after_every_trial_and_amid_a_training_it_is_the_same_search(bench, tmp_path):
    whole = bench.run(trials=9)  # four of them behind those drawn at random
    trained, sampled = list(bench.asked.trained), bench.asked.sampled
    assert len(trained) == len(set(trained)) == len({trial.parameters["rank"] for trial in whole.trials})
    shutil.rmtree(bench.inputs.artifacts / "sweeps")
    shutil.rmtree(bench.inputs.artifacts / "runs")
    bench.asked.trained.clear()
    bench.asked.sampled = 0
    begun = set()

    def kill_the_first_time(recipe):
        if ("rank", recipe.rank) not in begun:
            begun.add(("rank", recipe.rank))
            raise KilledError

    def kill_behind(stage, done, total):
        if stage == "trials" and done and ("trial", done) not in begun:
            begun.add(("trial", done))
            raise KilledError

    bench.asked.before, kills, resumed = kill_the_first_time, 0, None
    while resumed is None:
        try:
            resumed = bench.run(trials=9, progress=kill_behind)
        except KilledError:
            kills += 1
    assert kills == 9 + len(trained)
    assert facts(resumed.trials) == facts(whole.trials)
    assert bench.asked.trained == trained  # nothing twice
    assert bench.asked.sampled == sampled
    assert bench.run(trials=9).trials == resumed.trials
    assert bench.asked.trained == trained


def test_a_search_with_the_same_outcome_is_recorded_once(bench, monkeypatch):
    first = bench.run(trials=3)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0")  # who only reads suggests nothing
    again = bench.run(trials=3, keep=1)
    assert (first.recorded, again.recorded, again.row) == (True, False, first.row)
    more = bench.run(trials=4)
    assert more.recorded
    assert bench.run(trials=3).row == first.row
    assert history.read(bench.inputs.history) == [first.row, more.row]
    assert "recorded before as row" in trial_lines(again)[3]


def test_a_search_that_went_on_is_told_once(bench):
    first, more = bench.run(trials=3), bench.run(trials=6)
    assert more.row["of"] > first.row["of"]
    told = selection_of(bench.inputs.history, first.kept[0].lora, "one")
    assert (told["row"], told["of"], told["earlier"]) == (more.row["id"], more.row["of"], [])


def test_more_trials_go_on_and_fewer_are_the_first_of_them(bench):
    few = bench.run(trials=3)
    more = bench.run(trials=5)
    assert more.trials[:3] == few.trials
    assert more.folder == few.folder
    again = bench.run(trials=2)
    assert again.trials == few.trials[:2]
    assert len(read_trials(few.folder)) == 5
    assert bench.run(trials=3, seed=4).folder != few.folder


def test_a_torn_or_foreign_line_is_made_again(bench):
    first = bench.run(trials=4)
    path = first.folder / TRIALS_NAME
    lines = path.read_bytes().splitlines(keepends=True)
    for damaged in (lines[0] + lines[1][:40], lines[0] + b"{}\n" + lines[2], lines[0] + lines[2], b"[]\n", b""):
        path.write_bytes(damaged)
        assert facts(bench.run(trials=4).trials) == facts(first.trials)
    assert len(bench.asked.trained) == len({trial.lora for trial in first.trials})


def test_a_failed_training_is_remembered_and_the_search_goes_on(bench):
    def not_finite(recipe):
        if recipe.rank > 16:
            raise InputError("training: accepted a finite loss, got nan; next: lower it")

    bench.asked.before = not_finite
    found = bench.run(trials=8)
    failed = [trial for trial in found.trials if trial.state == "failed"]
    assert 1 <= len(failed) <= 4
    assert all(trial.parameters["rank"] > 16 and "got nan" in trial.reason for trial in failed)
    assert all(trial.parameters["rank"] <= 16 for trial in found.kept)
    assert found.row["failed"] == len(failed)
    bench.asked.before = lambda recipe: pytest.fail("a failure is not tried again")
    assert bench.run(trials=8).trials == found.trials


def test_more_than_half_failed_stops_the_search(bench):
    def never(recipe):
        bench.asked.trained.append(recipe.rank)
        raise InputError("training: accepted a recipe that fits, got out of memory")

    bench.asked.before = never
    for _ in range(2):  # the second time without a training
        with pytest.raises(InputError, match=r"got 4 of 6 failed, the last: .*out of memory; next: narrow"):
            bench.run(trials=6)
    assert len(bench.asked.trained) == 4
    assert not bench.inputs.history.exists()


def test_a_full_disk_is_nobodys_failure(bench):
    def full(recipe):
        raise InputError(f"runs: {DISK_COMPLAINT}, got No space left on device; next: free some")

    bench.asked.before = full
    with pytest.raises(InputError, match="No space left"):
        bench.run()
    bench.asked.before = lambda recipe: None
    assert all(trial.state == "judged" for trial in bench.run().trials)


def test_a_machine_without_the_gpu_that_a_recipe_asks_for_is_nobodys_failure(bench, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    recipe = bench.inputs.persona / "recipe.toml"
    write_text(recipe, 'device = "cuda"\n' + recipe.read_text(encoding="utf-8"))
    with pytest.raises(InputError, match=r'a machine with a GPU .*; next: .* in the recipe'):
        bench.run()
    assert bench.asked.trained == []
    assert list(bench.inputs.artifacts.glob(f"sweeps/*/{TRIALS_NAME}")) == []


@pytest.mark.parametrize(("kills", "states"), [(1, {"judged"}), (2, {"judged", "failed"})])
def test_a_lost_child_is_asked_once_more(bench, kills, states):
    lost = []

    def end(recipe):
        if len(lost) < kills:
            lost.append(recipe.rank)
            raise ChildLostError("was ended by signal 9")

    bench.asked.before = end
    assert {trial.state for trial in bench.run(trials=4).trials} == states


def test_a_lora_that_the_weights_gates_refuse_is_a_failed_trial(bench):
    bench.asked.behaviour = lambda recipe: {"weights": ["weights_finite"]} if recipe.rank < 8 else {}
    found = bench.run(trials=6)
    refused = [trial for trial in found.trials if trial.parameters["rank"] < 8]
    assert refused
    assert all(trial.state == "failed" and trial.reason.startswith("weights_finite") for trial in refused)
    assert all(path.is_file() for path in found.loras)


def test_what_is_ruled_out_comes_last_however_like(bench, monkeypatch):
    from lifeos.candidate_judge import CandidateJudge

    plain = CandidateJudge.judge

    def judge(self, name, *rest):
        judged = plain(self, name, *rest)
        if judged.candidate.likeness > 0.9:
            return replace(judged, candidate=replace(judged.candidate, ruled_out={"copy_image": "a copy"}))
        return judged

    monkeypatch.setattr(CandidateJudge, "judge", judge)
    found = bench.run(trials=8)
    ruled_out = [bool(trial.candidate["ruled_out"]) for trial in found.kept]
    assert 0 < sum(ruled_out) < len(ruled_out)
    assert ruled_out == sorted(ruled_out)
    assert found.row["candidates"][found.row["chosen"]]["lora"] == found.kept[0].lora
    assert any("ruled out by copy_image" in line for line in trial_lines(found))


def test_a_contradiction_costs_no_training(bench):
    both = {"optimizer.schedule": {"choices": ["constant", "cosine"]},
            "optimizer.warmup_steps": {"choices": [0, 3]}}  # fmt: skip
    found = bench.run(both, trials=12)
    contradictory = [trial for trial in found.trials if trial.state == "contradictory"]
    assert contradictory
    assert all("constant has no warm-up" in trial.reason for trial in contradictory)
    assert found.row["contradictory"] == len(contradictory)
    assert len(found.loras) <= 3
    assert any("contradictory: " in line for line in trial_lines(found))


def test_a_lora_that_somebody_removed_is_trained_again_and_another_one_refused(bench):
    found = bench.run(trials=3)
    found.loras[0].unlink()
    assert bench.run(trials=3).loras == found.loras
    assert found.loras[0].is_file()
    simulation.write_lora(found.loras[0], spread=0.9)
    with pytest.raises(InputError, match=r"that trial \d judged, got another; next: remove"):
        bench.run(trials=3)


def test_nothing_begins_with_another_persona_a_wrong_key_or_no_optuna(bench, monkeypatch):
    recipe = bench.inputs.persona / "recipe.toml"
    text = recipe.read_text(encoding="utf-8")
    write_text(bench.where.with_name("other.toml"), text.replace("pstch", "zeph").replace('"dataset"', '"persona one"'))
    with pytest.raises(InputError, match=r"trigger 'zeph', got 'pstch'; next: name that persona$"):
        bench.run(recipe="other.toml")
    with pytest.raises(InputError, match="accepted values that a recipe may hold, got 2048"):
        bench.run({"rank": {"low": 1, "high": 2048}})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"next: \./lifeos\.sh install-extra sweep"):
        training_suggestions.require_optuna()
    with pytest.raises(InputError, match="optuna"):
        bench.run()
    assert not (bench.inputs.artifacts / "sweeps").exists()


def test_a_changed_recipe_persona_or_policy_is_another_search(bench):
    first = bench.run(trials=2).folder
    recipe = bench.inputs.persona / "recipe.toml"
    write_text(recipe, recipe.read_text(encoding="utf-8").replace("steps = 10", "steps = 11"))
    second = bench.run(trials=2).folder
    write_text(bench.inputs.persona / "prompts.toml",
               (bench.inputs.persona / "prompts.toml").read_text(encoding="utf-8").replace("picture 1", "image 1"))
    assert len({first, second, bench.run(trials=2).folder}) == 3
