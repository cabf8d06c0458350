import dataclasses
import shutil

import pytest

from evals.atomic import write_text
from lifeos.errors import InputError
from lifeos.lora.recipe import EarlyStopSettings, Recipe
from lifeos.persona import load_persona
from lifeos.selection import plan_a
from lifeos.settings import project_root
from lifeos.training_watch.inputs import WatchInputs, looks_of, watch_identity, watch_plan, watch_request
from tests.lifeos import simulated_release as simulation

POLICY = project_root() / "evals" / "policy.toml"
SET_A = '[[a]]\nid = "A{0:02}"\ntext = "picture {0} of a {{trigger}} {{class}}"\n'


def add_prompts(folder, count):
    path = folder / "prompts.toml"
    text = path.read_text(encoding="utf-8")
    added = "".join(SET_A.format(number) for number in range(count))
    path.write_text(added + text[text.index("[[b]]") :], encoding="utf-8")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = simulation.make_persona(tmp_path_factory.mktemp("watched"))
    add_prompts(folder, 8)
    return folder


@pytest.fixture
def persona(shared, tmp_path):
    shutil.copytree(shared, tmp_path / "persona")
    return tmp_path / "persona"


@pytest.fixture
def inputs(persona):
    return WatchInputs(persona, persona.parent, POLICY)


@pytest.fixture
def recipe(persona):
    return Recipe.model_validate({"base": load_persona(persona).base, "dataset": persona / "dataset", "steps": 300,
                                  "trigger": "pstch", "sample_every": 20})  # fmt: skip


@pytest.mark.parametrize(("count", "ids", "seeds"), [
    (8, [f"A{number:02}" for number in range(8)], 1), (16, [f"A{number:02}" for number in range(0, 16, 2)], 1),
    (5, [f"A{number:02}" for number in range(5)], 2), (2, ["A00", "A01"], 3),
])  # fmt: skip
def test_a_look_is_eight_images_or_so_spread_over_set_a(persona, count, ids, seeds):
    add_prompts(persona, count)
    toml = persona / "persona.toml"
    text = toml.read_text(encoding="utf-8").replace("a = [9]", "a = [7, 8, 9]")
    write_text(toml, text.replace("steps = 2", "steps = 2\nstrength = 0.8"))
    loaded = load_persona(persona)
    plan = watch_plan(loaded)
    assert [prompt.id for prompt in plan.prompts] == ids
    assert plan.seeds == (7, 8, 9)[:seeds]
    assert plan.strength == 0.8  # as the release draws
    asked = {(prompt.text, seed) for prompt in plan.prompts for seed in plan.seeds}
    whole = plan_a(loaded)(1.0)
    assert asked <= {(prompt.text, seed) for prompt in whole.prompts for seed in whole.seeds}


@pytest.mark.parametrize(("count", "why"), [(0, "prompt set A"), (1, "2 prompts or more")])
def test_too_few_prompts_say_what_to_add(persona, count, why):
    add_prompts(persona, count)
    with pytest.raises(InputError, match=rf"{why}.*add \[\[a\]\]"):
        watch_plan(load_persona(persona))


def test_without_looks_nobody_is_asked(recipe, inputs, tmp_path):
    plain = recipe.model_copy(update={"sample_every": None})
    nobody = WatchInputs(tmp_path / "none", tmp_path, tmp_path / "none.toml")
    assert watch_identity(plain, nobody) is None
    assert watch_request(plain, nobody, tmp_path) is None
    assert looks_of(plain) == 0


@pytest.mark.parametrize(("steps", "looks"), [(300, 15), (301, 16), (20, 1)])
def test_looks_are_counted_with_the_one_after_the_last_step(recipe, steps, looks):
    assert looks_of(recipe.model_copy(update={"steps": steps})) == looks


def test_whatever_could_move_a_look_is_another_identity(recipe, inputs, persona, tmp_path):
    known = {watch_identity(recipe, inputs)}
    assert known == {watch_identity(recipe.model_copy(update={"early_stop": EarlyStopSettings()}), inputs)}

    def is_new(given=inputs):
        known.add(watch_identity(recipe, given))
        return len(known)

    write_text(tmp_path / "policy.toml", POLICY.read_text(encoding="utf-8") + "\n# mine\n")
    assert is_new(dataclasses.replace(inputs, policy=tmp_path / "policy.toml")) == 2
    add_prompts(persona, 7)
    assert is_new() == 3
    (persona / "dataset" / "0003.txt").write_text("photo of a pstch person, again", encoding="utf-8")
    assert is_new() == 4
    calibration = persona / "calibration.json"
    write_text(calibration, calibration.read_text(encoding="utf-8") + "\n")
    assert is_new() == 5


@pytest.mark.parametrize(("change", "why"), [
    ({"trigger": "zeph"}, "with trigger 'zeph', got 'pstch'"), ({"family": "sd15"}, "with family 'sd15'"),
])  # fmt: skip
def test_another_persona_than_the_trained_one_is_refused(recipe, inputs, change, why):
    with pytest.raises(InputError, match=f"--persona .*{why}.*next: name that persona"):
        watch_identity(recipe.model_copy(update=change), inputs)


def test_another_base_is_refused_and_so_is_a_persona_without_calibration(recipe, inputs, persona, tmp_path):
    other = tmp_path / "other base"
    shutil.copytree(recipe.base, other)
    (other / "unet" / "config.json").write_text("{ }", encoding="utf-8")
    with pytest.raises(InputError, match="with base"):
        watch_identity(recipe.model_copy(update={"base": other}), inputs)
    (persona / "calibration.json").unlink()
    with pytest.raises(InputError, match="next: lifeos calibrate persona"):
        watch_identity(recipe, inputs)


def test_the_child_is_told_whole_paths(recipe, inputs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = watch_request(recipe, dataclasses.replace(inputs, persona=inputs.persona.relative_to(tmp_path)),
                          tmp_path / "artifacts")  # fmt: skip
    assert asked.identity == watch_identity(recipe, inputs)
    assert asked.module == "lifeos.training_watch.child"
    assert asked.values["persona"] == str(inputs.persona.resolve())
