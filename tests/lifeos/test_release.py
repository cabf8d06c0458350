"""The way of the data in one process, with a simulated engine: what refuses, what is left out, what is made twice."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from evals.atomic import write_bytes
from evals.verdict import Outcome, Verdict
from lifeos.errors import InputError
from lifeos.inputs import read_inputs
from lifeos.lora.sample import encode_png
from lifeos.lora.store import ImageStore
from lifeos.release import Release, repro_verdict, walk
from lifeos.release_inputs import describe, load_engine, repeated_part
from lifeos.settings import load_project
from tests.lifeos import simulated_release as simulation

OF_THE_BASE = ("adherence", "yaw_diversity", "drift")
# The simulated skin is grey noise, and its calibration was made before there were bands of these.
OF_SKIN = ("grain", "lattice", "specular", "tone_drift")
OF_A_SECOND_BACKEND = ("second_agreement", "second_disagreement")
ROW_GATES = ("face_rate", "likeness", "likeness_tail", "skin_realism", "copy_image", "image_flat")


@pytest.fixture(scope="module")
def persona(tmp_path_factory):
    return simulation.make_persona(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def persona_of_many_prompts(tmp_path_factory):
    return simulation.make_persona(tmp_path_factory.mktemp("many"), prompts=24)


@pytest.fixture
def inputs(persona, tmp_path):
    options = {"persona": str(persona), "artifacts": str(tmp_path / "artifacts"), "history": str(tmp_path / "h.jsonl")}
    return read_inputs(options, load_project())


def walked(inputs, run="run-1"):
    engine = load_engine(simulation.NAME)
    described = describe(inputs, engine)
    described.folder.mkdir(parents=True, exist_ok=True)
    return walk({**described.request, "run": run, "progress": None}, described.folder)


def outcomes(result):
    return {gate: Verdict.from_json(row).outcome for gate, row in result["verdicts"].items()}


def work(inputs):
    path = inputs.artifacts / "work.log"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_a_good_recipe_passes_every_gate(inputs):
    result = walked(inputs)
    not_passed = {gate for gate, outcome in outcomes(result).items() if outcome is not Outcome.PASSED}
    assert not_passed <= {"champion", "clip_score", *OF_THE_BASE, *OF_SKIN, *OF_A_SECOND_BACKEND}
    assert {outcomes(result)[gate] for gate in OF_SKIN} == {Outcome.NOT_EVALUATED}
    assert result["source"] == "simulation"
    assert result["made"] == {"trained": True, "images": 24}
    assert len(work(inputs)) == simulation.STEPS + simulation.CONTROLS + 24
    rows = (describe(inputs, simulation).folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 24
    assert json.loads(rows[0])["prompt"] == "B00"


def test_a_gpu_that_is_not_there_is_told_before_training_or_by_nobody(inputs, persona, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    shutil.copytree(persona, tmp_path / "one")
    file = tmp_path / "one" / "persona.toml"
    text = file.read_text(encoding="utf-8").replace("[sampler]", '[sampler]\ndevice = "cuda"')
    file.write_text(text, encoding="utf-8")
    inputs = replace(inputs, persona=tmp_path / "one")
    with pytest.raises(InputError, match="accepted a machine with a GPU that PyTorch sees"):
        walked(inputs)
    assert work(inputs) == []
    # Elsewhere they were drawn: here they are only judged.
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    lora = simulation.write_lora(tmp_path / "x.safetensors")
    drawn = walked(replace(inputs, lora=lora))
    assert drawn["made"]["images"] == 24
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert walked(replace(inputs, lora=lora), run="run-2")["made"]["images"] == 0


def test_another_identity_is_rejected_for_its_likeness(inputs, tmp_path):
    lora = simulation.write_lora(tmp_path / "other.safetensors", identity=2)
    found = outcomes(walked(replace(inputs, lora=lora)))
    assert found["likeness"] is Outcome.FAILED
    assert found["likeness_tail"] is Outcome.FAILED
    assert found["face_rate"] is Outcome.PASSED


def test_refused_weights_make_no_image(inputs, tmp_path):
    lora = simulation.write_lora(tmp_path / "bad.safetensors", weights=["weights_base"])
    result = walked(replace(inputs, lora=lora))
    found = outcomes(result)
    assert found["weights_base"] is Outcome.FAILED
    assert found["weights_whole"] is Outcome.PASSED
    assert {found[gate] for gate in (*ROW_GATES, "repro")} == {Outcome.NOT_EVALUATED}
    assert "weights refused" in result["verdicts"]["likeness"]["reason"]
    assert work(inputs) == []


def test_finished_images_are_judged_without_weights_or_repro(inputs, tmp_path):
    folder = tmp_path / "my images"
    for prompt in range(8):
        for seed in range(3):
            number = 90 + 3 * prompt + seed
            write_bytes(folder / f"P{prompt}_seed{seed}.png", encode_png(simulation.portrait(1, number)))
    result = walked(replace(inputs, images=folder))
    found = outcomes(result)
    assert {found[gate] for gate in ROW_GATES} == {Outcome.PASSED}
    assert not any(gate.startswith("weights_") or gate == "repro" for gate in found)
    assert result["hashes"]["lora"] is None
    assert work(inputs) == []


def test_pasted_training_photos_are_found(inputs, persona, tmp_path):
    folder = tmp_path / "pasted"
    for number in range(24):
        source = simulation.portrait(1, 90 + number) if number else None
        png = (persona / "dataset" / "0000.png").read_bytes() if source is None else encode_png(source)
        write_bytes(folder / f"P{number % 8}_seed{number // 8}.png", png)
    assert outcomes(walked(replace(inputs, images=folder)))["copy_image"] is Outcome.FAILED


def test_images_of_another_size_are_another_domain(inputs, tmp_path):
    folder = tmp_path / "small"
    for number in range(24):
        image = simulation.portrait(1, 90 + number)[:120, :120]
        write_bytes(folder / f"P{number % 8}_seed{number // 8}.png", encode_png(image))
    result = walked(replace(inputs, images=folder))
    assert outcomes(result)["likeness"] is Outcome.NOT_EVALUATED
    assert "domain" in result["verdicts"]["likeness"]["reason"]


def test_too_few_images_are_not_evaluated(inputs, tmp_path):
    folder = tmp_path / "few"
    write_bytes(folder / "a.png", encode_png(simulation.portrait(1, 3)))
    found = outcomes(walked(replace(inputs, images=folder)))
    assert found.pop("instrument") is Outcome.PASSED
    assert set(found.values()) == {Outcome.NOT_EVALUATED}


def test_without_a_calibration_nothing_is_drawn_or_judged(inputs, tmp_path):
    persona = simulation.make_persona(tmp_path / "bare")
    (persona / "calibration.json").unlink()
    result = walked(replace(inputs, persona=persona))
    found = outcomes(result)
    assert {found[gate] for gate in ("instrument", *ROW_GATES, "repro")} == {Outcome.NOT_EVALUATED}
    assert "lifeos calibrate" in result["verdicts"]["instrument"]["reason"]
    assert [line for line in work(inputs) if not line.startswith("train")] == []


def test_a_judge_that_accepts_a_control_rules_on_nothing_and_draws_nothing(inputs, tmp_path):
    lora = simulation.write_lora(tmp_path / "x.safetensors", burns_above=9.0)
    result = walked(replace(inputs, lora=lora))
    found = outcomes(result)
    assert found["instrument"] is Outcome.FAILED
    assert "strength 4 must be refused" in result["verdicts"]["instrument"]["reason"]
    assert {found[gate] for gate in (*ROW_GATES, "repro")} == {Outcome.NOT_EVALUATED}
    assert {line.split()[0] for line in work(inputs)} == {"control"}


def test_a_lora_that_stands_at_the_first_strength_is_drawn_at_the_next(inputs, tmp_path):
    lora = simulation.write_lora(tmp_path / "x.safetensors", burns_above=2.0)
    verdict = walked(replace(inputs, lora=lora))["verdicts"]["instrument"]
    assert verdict["verdict"] == "passed"
    assert "the LoRA at strength 2.7 (24)" in verdict["reason"]
    assert "the LoRA at strength 1.8 still draws the person" in verdict["reason"]
    assert "strength 4" not in verdict["reason"]
    assert sum(line.startswith("control") for line in work(inputs)) == 2 * simulation.CONTROLS


def test_finished_images_have_no_strength_to_overdrive(inputs, tmp_path):
    folder = tmp_path / "few"
    write_bytes(folder / "a.png", encode_png(simulation.portrait(1, 3)))
    reason = walked(replace(inputs, images=folder))["verdicts"]["instrument"]["reason"]
    assert "strength 1.8" not in reason
    assert "blurred references (20)" in reason
    assert work(inputs) == []


def test_without_strangers_at_hand_the_instrument_is_not_evaluated(inputs, tmp_path):
    persona = simulation.make_persona(tmp_path / "alone")
    (persona / "impostors" / "embeddings.safetensors").unlink()
    result = walked(replace(inputs, persona=persona))
    assert outcomes(result)["instrument"] is Outcome.NOT_EVALUATED
    assert "not judged: other people, the base without the LoRA" in result["verdicts"]["instrument"]["reason"]


class TestAgainstTheBase:
    @pytest.fixture
    def based(self, inputs, tmp_path):
        folder = simulation.make_persona(tmp_path / "based")
        lines = [
            f'[[b]]\nid = "B{number:02}"\ntext = "photo {number} of a {{trigger}} {{class}}, grey background"'
            for number in range(8)
        ]
        (folder / "prompts.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
        simulation.add_base(folder)
        return replace(inputs, persona=folder)

    def test_what_the_base_draws_comes_from_the_calibration_and_a_few_images_more_from_the_lora(self, based):
        result = walked(based)
        found = outcomes(result)
        assert {found[gate] for gate in OF_THE_BASE} == {Outcome.PASSED}
        assert "difference" in result["verdicts"]["adherence"]["reason"]
        assert result["made"]["images"] == 24 + 8
        assert sum(line.endswith(" 690000") for line in work(based)) == 8
        again = walked(based, run="run-2")
        assert again["made"]["images"] == 0
        assert again["verdicts"] == result["verdicts"]

    def test_a_lora_that_draws_the_persona_for_anybody_drifts(self, based, tmp_path):
        lora = simulation.write_lora(tmp_path / "bleeds.safetensors", bleeds=True)
        found = outcomes(walked(replace(based, lora=lora)))
        assert found["drift"] is Outcome.FAILED
        assert found["likeness"] is Outcome.PASSED

    def test_finished_images_have_no_trigger_to_leave_out(self, based, tmp_path):
        folder = tmp_path / "my images"
        for number in range(24):
            drawn = simulation.portrait(1, 90 + number, turn=6 if number % 2 else -6)
            write_bytes(folder / f"B0{number % 8}_seed{number // 8}.png", encode_png(drawn))
        found = outcomes(walked(replace(based, images=folder)))
        assert found["drift"] is Outcome.NOT_EVALUATED
        assert (found["adherence"], found["yaw_diversity"]) == (Outcome.PASSED, Outcome.PASSED)

    def test_a_prompt_that_changed_since_the_calibration_is_not_compared(self, based):
        path = based.persona / "prompts.toml"
        path.write_text(path.read_text(encoding="utf-8").replace("photo 3 of", "painting 3 of"), encoding="utf-8")
        result = walked(based)
        assert outcomes(result)["yaw_diversity"] is Outcome.NOT_EVALUATED
        assert "not measured on 1 prompts, first B03" in result["verdicts"]["yaw_diversity"]["reason"]


def test_a_champion_shares_prompts_and_noise(inputs, tmp_path):
    worse = simulation.write_lora(tmp_path / "champion.safetensors", identity=1, spread=0.42)
    result = walked(replace(inputs, champion=str(worse)))
    assert outcomes(result)["champion"] is Outcome.PASSED, result["verdicts"]["champion"]["reason"]
    decision = result["decision"]
    assert (decision["verdict"], decision["prompts"]) == ("approve", 8)
    assert decision["reason"] == result["verdicts"]["champion"]["reason"]
    assert len([line for line in work(inputs) if line.startswith("sample")]) == 48


def test_a_judge_that_cannot_tell_a_lora_from_itself_rules_on_no_champion(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr("evals.null_decisions.LARGEST_RATE", -1.0)  # no rate is that small
    older = simulation.write_lora(tmp_path / "champion.safetensors", identity=1, spread=0.42)
    result = walked(replace(inputs, champion=str(older)))
    found = outcomes(result)
    assert (found["instrument"], found["champion"]) == (Outcome.FAILED, Outcome.NOT_EVALUATED)
    assert "cannot tell one LoRA from itself" in result["verdicts"]["champion"]["reason"]
    first = outcomes(walked(inputs))
    assert first["instrument"] is Outcome.PASSED  # nothing is compared with: the rate is only told


class TestEarlyStop:
    @pytest.fixture
    def asked(self, persona_of_many_prompts, tmp_path):
        older = simulation.write_lora(tmp_path / "champion.safetensors", identity=1, spread=0.42)
        persona, artifacts = str(persona_of_many_prompts), str(tmp_path / "artifacts")
        return read_inputs({"persona": persona, "artifacts": artifacts, "champion": str(older)}, load_project())

    def test_a_hopeless_lora_costs_a_third_of_the_images_and_no_champions(self, asked, tmp_path):
        lora = simulation.write_lora(tmp_path / "other.safetensors", identity=2)
        asked = replace(asked, lora=lora)
        result = walked(asked)
        assert (result["images"], result["made"]["images"]) == (24, 24)
        assert len([line for line in work(asked) if line.startswith("sample")]) == 24
        assert (result["stopped"]["prompts"], result["stopped"]["planned"]) == (8, 24)
        assert "likeness_tail" in result["stopped"]["gates"]
        found = outcomes(result)
        assert found["likeness"] is Outcome.FAILED
        assert {found[gate] for gate in ("champion", "repro", "image_flat", "skin_realism")} == {Outcome.NOT_EVALUATED}
        again = walked(asked, run="run-2")
        assert again["made"]["images"] == 0
        assert again["verdicts"] == result["verdicts"]

    def test_a_good_one_is_drawn_whole_and_in_the_order_of_the_plan(self, asked):
        result = walked(asked)
        assert (result["images"], result["stopped"]) == (72, None)
        assert outcomes(result)["champion"] is Outcome.PASSED
        assert result["made"]["images"] == 144
        rows = (describe(asked, simulation).folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(row)["prompt"] for row in rows] == sorted(json.loads(row)["prompt"] for row in rows)

    def test_finished_images_are_judged_as_they_are(self, asked, tmp_path):
        folder = tmp_path / "images"
        for number in range(24):
            for seed in range(3):
                png = encode_png(simulation.portrait(2, 100 * number + seed))
                write_bytes(folder / f"B{number:02}_seed{seed}.png", png)
        result = walked(replace(asked, images=folder, champion="none"))
        assert (result["images"], result["stopped"]) == (72, None)


def test_a_second_walk_makes_nothing(inputs):
    walked(inputs)
    before = work(inputs)
    again = walked(inputs, run="run-2")
    assert work(inputs) == before
    assert again["made"] == {"trained": False, "images": 0}


def test_a_kill_while_images_are_rendered_again_repeats_none(inputs, monkeypatch):
    class KilledError(BaseException):
        pass

    put, repro = ImageStore.put, inputs.artifacts / "repro"

    def put_then_die(store, *arguments):
        put(store, *arguments)
        if store.folder.is_relative_to(repro):
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(ImageStore, "put", put_then_die)
        with pytest.raises(KilledError):
            walked(inputs)
    assert outcomes(walked(inputs))["repro"] is Outcome.PASSED
    again = (repro / "work.log").read_text(encoding="utf-8").splitlines()
    assert sorted(again) == ["sample B00 0", "sample B00 1"]
    assert not list(repro.rglob("*.png"))


def test_renaming_changes_no_verdict_and_another_policy_another_run(inputs, tmp_path):
    renamed = tmp_path / "elsewhere"
    persona = simulation.make_persona(renamed)
    assert outcomes(walked(replace(inputs, persona=persona))) == outcomes(walked(inputs))
    policy = tmp_path / "policy.toml"
    policy.write_text(inputs.policy.read_text(encoding="utf-8") + "\n# other\n", encoding="utf-8")
    engine = load_engine(simulation.NAME)
    assert describe(inputs, engine).key != describe(replace(inputs, policy=policy), engine).key


def test_describing_imports_nothing_heavy(inputs, persona):
    code = (
        "import sys; from pathlib import Path; from lifeos.inputs import read_inputs; import lifeos.release;"
        "from lifeos.release_inputs import describe, load_engine;"
        "describe(read_inputs({'persona': sys.argv[1]}), load_engine(sys.argv[2]));"
        "heavy = {'torch', 'diffusers', 'onnxruntime', 'transformers'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    inspected = subprocess.run(
        [sys.executable, "-c", code, str(persona), simulation.NAME],
        cwd=inputs.project.root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert inspected.returncode == 0, inspected.stderr


@pytest.mark.parametrize(
    ("pairs", "outcome"),
    [
        ([[0.8, 0.801], [0.7, 0.7]], Outcome.PASSED),
        ([[0.8, 0.805], [0.7, 0.7]], Outcome.FAILED),
        ([[0.8, None], [0.7, 0.7]], Outcome.FAILED),
        ([[None, None], [None, None]], Outcome.NOT_EVALUATED),
        ([], Outcome.NOT_EVALUATED),
    ],
)
def test_repro(pairs, outcome):
    assert repro_verdict(pairs).outcome is outcome


def test_what_is_repeated():
    prompts = [f"B{number:02}" for number in range(24)]
    assert repeated_part(prompts, [100, 101, 102, 103]) == (["B00"], [100, 101])
    some, seeds = repeated_part(prompts, [100, 101, 102, 103], share=0.2)
    assert len(some) * len(seeds) >= 20
    assert len(set(some)) == len(some)
    assert repeated_part(["B00", "B01"], [5]) == (["B00", "B01"], [5])


def test_a_gate_without_a_verdict_is_not_evaluated():
    assert Release({}, "why").verdict("likeness").outcome is Outcome.NOT_EVALUATED


def test_an_unknown_engine_is_an_input_error():
    with pytest.raises(InputError, match="--release-engine"):
        load_engine("no.such.module")
