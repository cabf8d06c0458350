import shutil
from dataclasses import replace

import pytest

from evals import history
from evals.content_hash import hash_file
from lifeos.base_images import base_plan, class_plan
from lifeos.errors import InputError
from lifeos.inputs import read_inputs
from lifeos.measure import ImageToMeasure
from lifeos.persona import load_persona
from lifeos.release_inputs import release_plan
from lifeos.selection import choose_among, plan_a, selection_of
from tests.lifeos import simulated_release as simulation

TIME = "2026-11-25T10:00:00Z"
SET_A = '[[a]]\nid = "A{0:02}"\ntext = "picture {0} of a {{trigger}} {{class}}"\n'


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    persona = simulation.make_persona(tmp_path_factory.mktemp("selection"))
    prompts = persona / "prompts.toml"
    added = "".join(SET_A.format(number) for number in range(8))
    prompts.write_text(added + prompts.read_text(encoding="utf-8"), encoding="utf-8")
    toml = persona / "persona.toml"
    toml.write_text(toml.read_text(encoding="utf-8").replace("a = [9]", "a = [8, 9]"), encoding="utf-8")
    return persona


@pytest.fixture
def inputs(shared, tmp_path):
    folder = tmp_path / "persona one"
    shutil.copytree(shared, folder)
    return read_inputs({"persona": folder, "history": tmp_path / "h.jsonl", "artifacts": tmp_path / "artifacts"})


@pytest.fixture
def choose(inputs):
    def run(files, strengths=(1.0,)):
        def sample(plan, base, file):
            sampled = simulation.sample(plan, base, file, inputs.artifacts / "samples", lambda *_: None)
            return [ImageToMeasure(image.path, image.prompt, image.seed) for image in sampled.images]

        return choose_among(
            inputs, files, strengths, time=TIME, progress=lambda *_: None, engine=simulation, sample=sample
        )

    return run


@pytest.fixture
def loras(tmp_path):
    return [
        simulation.write_lora(tmp_path / "step500.safetensors", identity=1, spread=0.6),
        simulation.write_lora(tmp_path / "step900.safetensors", identity=1, spread=0.3),
        simulation.write_lora(tmp_path / "other.safetensors", identity=2),
    ]


def test_the_likest_checkpoint_is_chosen_on_set_a_and_its_number_is_kept(inputs, choose, loras):
    found, row = choose(loras)
    assert found.candidates[found.chosen].name == "step900.safetensors at 1"
    assert all(candidate.images == 16 for candidate in found.candidates)
    assert (row["kind"], row["of"], row["set"], row["chosen"]) == ("checkpoint", 3, "A", 1)
    assert history.read(inputs.history) == [row]
    assert history.verify(inputs.history).problems == ()
    work = (inputs.artifacts / "work.log").read_text(encoding="utf-8")
    assert "sample A00 8" in work
    assert " B0" not in work  # set B is untouched


def test_the_scorecard_of_a_candidate_says_among_how_many(inputs, choose, loras):
    _, row = choose(loras)
    told = selection_of(inputs.history, hash_file(loras[1]), "one")
    assert (told["of"], told["set"], told["row"], told["chosen"], told["strength"]) == (3, "A", row["id"], True, 1.0)
    assert selection_of(inputs.history, hash_file(loras[0]), "one")["chosen"] is False
    assert selection_of(inputs.history, "f" * 64, "one") is None
    assert selection_of(inputs.history, None, "one") is None
    assert selection_of(inputs.history, hash_file(loras[1]), "two") is None


def test_a_strength_is_chosen_and_one_that_ruins_the_face_is_not(choose, loras):
    found, row = choose([loras[1]], [1.0, 1.8])
    assert (row["kind"], row["chosen"]) == ("strength", 0)
    assert [candidate["strength"] for candidate in row["candidates"]] == [1.0, 1.8]
    assert found.candidates[1].likeness < 0.5 < found.candidates[0].likeness


def test_one_candidate_is_no_choice_and_one_that_does_not_fit_is_refused(choose, loras, tmp_path):
    with pytest.raises(InputError, match="two different"):
        choose(loras[:1])
    with pytest.raises(InputError, match="two different"):
        choose([loras[0], loras[0]])
    broken = simulation.write_lora(tmp_path / "broken.safetensors", weights=["weights_finite"])
    with pytest.raises(InputError, match=r"broken\.safetensors: weights_finite"):
        choose([loras[0], broken])


def test_a_calibration_by_other_face_models_chooses_nothing(choose, loras, monkeypatch):
    monkeypatch.setattr(simulation.Backend, "identity", replace(simulation.Backend.identity, name="another"))
    with pytest.raises(InputError, match="lifeos calibrate"):
        choose(loras)


@pytest.mark.parametrize(
    ("file", "old", "new", "why"),
    [
        ("prompts.toml", "picture 3 of", "photo 3 of", "in both"),
        ("persona.toml", "a = [8, 9]", "a = [8, 2]", "seed 2 in both"),
    ],
)
def test_sets_that_overlap_are_refused(inputs, choose, loras, file, old, new, why):
    path = inputs.persona / file
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=why):
        choose(loras)


def test_a_persona_without_set_a_says_what_to_add(inputs):
    path = inputs.persona / "prompts.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text[text.index("[[b]]") :], encoding="utf-8")
    with pytest.raises(InputError, match=r"add \[\[a\]\] prompts"):
        plan_a(load_persona(inputs.persona))


def test_the_chosen_strength_is_what_the_release_draws_at(inputs):
    path = inputs.persona / "persona.toml"
    text = path.read_text(encoding="utf-8").replace("steps = 2", "steps = 2\nstrength = 0.8")
    path.write_text(text, encoding="utf-8")
    persona = load_persona(inputs.persona)
    assert release_plan(persona).strength == 0.8
    assert class_plan(persona).strength == 0.8
    assert base_plan(persona).strength == 1.0  # there is no LoRA
    assert release_plan(persona, strength=1.8).strength == 1.8
    assert release_plan(persona).content_hash != release_plan(persona, strength=1.0).content_hash
