import math
import re
import shutil
import sys
import tomllib

import numpy as np
import pytest
from safetensors.numpy import save_file

from evals.verdict import Outcome
from lifeos.errors import InputError
from lifeos.inputs import read_inputs
from lifeos.persona import load_persona
from lifeos.pods.cost import cost_verdict, estimate, estimate_inputs
from lifeos.pods.spec import load_pod
from lifeos.pods.throughput import load_throughput
from lifeos.pods.workload import Part, Workload, count_workload
from lifeos.settings import project_root
from lifeos.strangers import IMPOSTORS_FILE
from tests.lifeos import simulated_release as simulation

A40 = load_pod("a40")
TABLE = load_throughput()
RECIPE = """base = "{base}"
dataset = "dataset"
trigger = "pstch"
family = "{family}"
steps = 100
batch_size = 4
"""


@pytest.fixture
def persona(tmp_path):
    return simulation.make_persona(tmp_path)


def inputs(persona, **options):
    return read_inputs({"persona": persona, **options})


def recipe(persona, family="tiny_base", base="models/tiny-base"):
    path = persona / "other.toml"
    path.write_text(RECIPE.format(family=family, base=base), encoding="utf-8")
    return path


def calls(workload):
    counted = {}
    for part in workload.parts:
        key = (part.phase, part.operation)
        counted[key] = counted.get(key, 0) + part.calls
    return counted


def test_everything_that_is_paid_for_is_counted():
    given = read_inputs({})
    counted = calls(count_workload(given))
    folder = project_root() / "personas" / "pistachio"
    persona, prompts, demo = (
        tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))
        for name in ("persona", "prompts", "recipe")
    )
    training, references = (len(list((folder / name).glob("*.png"))) for name in ("dataset", "references"))
    plan, steps = len(prompts["b"]) * len(persona["seeds"]["b"]), persona["sampler"]["steps"]
    assert counted["start", "start"] == 1
    assert counted["training", "train"] == demo["steps"]
    assert counted["training", "encode"] == training
    assert counted["sampling", "denoise"] == plan * steps
    assert counted["sampling", "decode"] == plan
    # Two rendered twice, one of each of 8 prompts at strength 1.8 thrice (24 of 8 prompts are the fewest judged), and
    # a tenth of the plan without the trigger: 9 of 96.
    assert counted["controls", "decode"] == 2 + 24 + 9
    assert counted["judging", "judge"] == plan + 2 + 24 + 9 + training + references
    assert not [key for key in counted if key[0] == "champion"]


def test_looks_at_a_run_are_paid_for_too(tmp_path):
    folder = project_root() / "personas" / "pistachio"
    text = (folder / "recipe.toml").read_text(encoding="utf-8").replace('"dataset"', f"'{folder / 'dataset'}'")
    text = text.replace('"models/tiny-base"', f"'{project_root() / 'models' / 'tiny-base'}'")
    (tmp_path / "recipe.toml").write_text(f"sample_every = 300\n{text}", encoding="utf-8")
    plain, looked_at = calls(count_workload(read_inputs({}))), calls(
        count_workload(read_inputs({"recipe": tmp_path / "recipe.toml"}))
    )
    assert looked_at["looks", "decode"] == 6 * 8  # 1600 steps
    assert looked_at["looks", "denoise"] == 6 * 8 * 56
    assert looked_at["judging", "judge"] - plain["judging", "judge"] == 6 * 8
    assert not [key for key in plain if key[0] == "looks"]


def test_a_champion_is_sampled_too_and_a_lora_is_not_trained(persona, tmp_path):
    lora = tmp_path / "x.safetensors"
    lora.write_bytes(b"x")
    alone, both = (count_workload(inputs(persona, lora=lora, champion=c)) for c in ("none", lora))
    assert ("training", "train") not in calls(alone)
    assert calls(both)["champion", "decode"] == calls(both)["sampling", "decode"]


def test_time_of_a_processor_is_not_taken_for_that_of_a_gpu(persona):
    (persona / "x.safetensors").write_bytes(b"x")
    given = inputs(persona, lora=persona / "x.safetensors")
    file = persona / "persona.toml"
    text = file.read_text(encoding="utf-8").replace("tiny_base", "sdxl")
    for device, told in (("cpu", False), ("cuda", True)):
        file.write_text(text.replace("[sampler]", f'[sampler]\ndevice = "{device}"'), encoding="utf-8")
        verdict = cost_verdict("100 USD", lambda: A40, lambda pod: estimate_inputs(given, pod))
        assert ("speaks of a processor" not in verdict.reason) is told
        assert told or verdict.outcome is Outcome.NOT_EVALUATED


def test_finished_images_are_only_judged(persona, tmp_path):
    folder = tmp_path / "images"
    shutil.copytree(persona / "dataset", folder)
    counted = calls(count_workload(inputs(persona, images=folder)))
    assert set(counted) == {("start", "start"), ("judging", "judge")}


@pytest.mark.parametrize(
    ("far", "identities", "nulls"), [(0.05, 0, 96), (0.01, 0, 299), (0.01, 400, 96), (0.001, 0, 96)]
)
def test_a_persona_without_a_calibration_pays_for_faces_of_the_base(persona, far, identities, nulls):
    """299 comparisons carry a rate of 1e-2; a rate that takes thousands is refused, so nobody pays for them."""
    declared = persona / "persona.toml"
    text = re.sub(r"(?m)^far = .*", f"far = {far}", declared.read_text(encoding="utf-8"))
    declared.write_text(text, encoding="utf-8")
    kept = {"identities": np.eye(400, 128, dtype=np.float32)[:identities]} if identities else {}
    (persona / IMPOSTORS_FILE).parent.mkdir(exist_ok=True)
    save_file({"nulls": np.eye(2, 128, dtype=np.float32), **kept}, persona / IMPOSTORS_FILE)
    (persona / "calibration.json").write_text("{}", encoding="utf-8")
    counted = calls(count_workload(inputs(persona, recipe=recipe(persona))))
    (persona / "calibration.json").unlink()
    again = calls(count_workload(inputs(persona, recipe=recipe(persona))))
    prompts = len(load_persona(persona, project_root()).prompts_b)
    base = prompts * math.ceil(48 / prompts)
    assert again["controls", "decode"] - counted["controls", "decode"] == nulls + base


def test_a_recipe_for_a_base_that_only_the_pod_will_have(persona):
    found = estimate_inputs(inputs(persona, recipe=recipe(persona, "sd15", "hub:somebody/sd15")), A40)
    row = TABLE.row("sd15", "train", "A40")
    step = TABLE.seconds(row, A40.gpu, images=4, side=512, dtype="float32")  # a recipe's default
    encode = TABLE.seconds(TABLE.row("sd15", "encode", "A40"), A40.gpu, images=1, side=512, dtype="bfloat16")
    pictures = calls(count_workload(inputs(persona, recipe=recipe(persona))))["training", "encode"]
    assert found.phases["training"] == pytest.approx(100 * step + pictures * encode)
    assert {"sd15-train", "price of 2026-08-19"} <= set(found.assumptions)


def test_money_is_time_at_the_price():
    found = estimate(Workload((Part("start", "start", "any", 6),)), A40, TABLE)
    assert found.seconds == 3600
    assert found.money.amount == pytest.approx(A40.price_per_hour)
    assert found.to_json()["estimated"] == ["start", "price of 2026-08-19"]
    agreed = A40.model_copy(update={"price": A40.price.model_copy(update={"kind": "agreed"})})
    assert estimate(Workload((Part("start", "start", "any", 6),)), agreed, TABLE).assumptions == ["start"]


def verdict(budget, pod=A40, hours=1.0):
    workload = Workload((Part("start", "start", "any", round(hours * 6)),))
    return cost_verdict(budget, lambda: pod, lambda rented: estimate(workload, rented, TABLE))


def test_the_budget_is_a_limit():
    within, above = verdict("0.45 USD"), verdict("0.43 USD")
    assert (within.outcome, above.outcome) == (Outcome.PASSED, Outcome.FAILED)
    assert (above.value, above.threshold, above.threshold_source) == (0.44, 0.43, "settings:budget")
    assert "estimated: start, price of 2026-08-19" in within.reason
    assert "above 0.43 USD" in above.reason
    assert verdict("0.44 USD").outcome is Outcome.PASSED


@pytest.mark.parametrize("budget", ["1 EUR", "a lot"])
def test_a_budget_that_cannot_be_compared_is_not_evaluated(budget):
    assert verdict(budget).outcome is Outcome.NOT_EVALUATED


def test_no_budget_is_not_applicable_and_reads_nothing():
    def never(*_):
        raise AssertionError

    assert cost_verdict("", never, never).outcome is Outcome.NOT_APPLICABLE


def test_what_cannot_be_read_or_estimated_is_not_evaluated(persona):
    unknown = inputs(persona, recipe=recipe(persona, "flux"))
    found = cost_verdict("5 USD", lambda: A40, lambda rented: estimate_inputs(unknown, rented))
    assert found.outcome is Outcome.NOT_EVALUATED
    assert "'flux'" in found.reason

    def broken():
        raise InputError("pod: accepted a40, got b")

    assert cost_verdict("5 USD", broken, lambda rented: None).outcome is Outcome.NOT_EVALUATED


def test_a_free_pod_is_within_any_budget():
    free = A40.model_copy(update={"price": A40.price.model_copy(update={"per_hour": 0.0})})
    found = verdict("0", free)
    assert found.outcome is Outcome.PASSED
    assert math.isfinite(found.value)


def test_estimating_imports_no_torch():
    import subprocess

    code = (
        "import sys; from lifeos.inputs import read_inputs; from lifeos.pods.cost import estimate_inputs;"
        "from lifeos.pods.spec import load_pod; estimate_inputs(read_inputs({}), load_pod('a40'));"
        "sys.exit(1 if {'torch', 'huggingface_hub', 'onnxruntime', 'cv2'} & set(sys.modules) else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=project_root(), check=False).returncode == 0


def test_every_batch_of_a_step_and_every_side_is_counted(persona):
    path = recipe(persona)
    plain = [part for part in count_workload(inputs(persona, recipe=path)).parts if part.phase == "training"]
    more = "gradient_accumulation = 3\nresolution = { sides = [64, 128] }\n"
    path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
    asked = [part for part in count_workload(inputs(persona, recipe=path)).parts if part.phase == "training"]
    assert [(part.side, part.calls) for part in asked if part.operation == "train"] == [(64, 150), (128, 150)]
    pictures = next(part.calls for part in plain if part.operation == "encode")
    encoded = [(part.side, part.calls) for part in asked if part.operation == "encode"]
    assert encoded == [(64, pictures), (128, pictures)]
