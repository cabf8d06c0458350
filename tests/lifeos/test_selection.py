from dataclasses import replace

import pytest

from evals import history
from evals.content_hash import hash_file
from lifeos.base_images import base_plan, class_plan
from lifeos.errors import InputError
from lifeos.measure import ImageToMeasure
from lifeos.persona import load_persona
from lifeos.release_inputs import release_plan
from lifeos.selection import choose_among, plan_a, selection_of
from tests.lifeos import simulated_release as simulation

TIME = "2026-11-25T10:00:00Z"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return simulation.make_choosing_persona(tmp_path_factory.mktemp("selection"), 8)


@pytest.fixture
def inputs(shared, tmp_path):
    return simulation.inputs_of_its_own(shared, tmp_path)


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


def test_a_choice_before_the_last_is_told_beside_it_and_the_same_again_is_not(inputs, choose, loras):
    _, files = choose(loras)
    _, strengths = choose([loras[1]], [0.9, 1.0])
    _, again = choose([loras[1]], [0.9, 1.0])
    told = selection_of(inputs.history, hash_file(loras[1]), "one")
    assert (told["row"], told["of"], told["kind"]) == (again["id"], 2, "strength")
    assert [(each["row"], each["of"], each["kind"]) for each in told["earlier"]] == [(files["id"], 3, "checkpoint")]
    assert told["earlier"][0].keys() == told.keys() - {"earlier"}
    assert strengths["candidates"] == again["candidates"]
    # What stood in the first alone was selected once.
    assert selection_of(inputs.history, hash_file(loras[0]), "one")["earlier"] == []


def test_choices_are_told_in_their_order(inputs, choose, loras):
    ids = [choose([loras[1]], [0.9, strength])[1]["id"] for strength in (1.0, 1.1, 1.2)]
    told = selection_of(inputs.history, hash_file(loras[1]), "one")
    assert [*(each["row"] for each in told["earlier"]), told["row"]] == ids


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
