"""Entries among the gates: each stands in the phases of its gate, and what cannot be told blocks."""

import pytest

from evals.known_failures import read_entries
from evals.verdict import Outcome
from lifeos.errors import InputError
from lifeos.inputs import read_inputs
from lifeos.known_failures import gates
from lifeos.known_failures.detection import entry_verdict
from lifeos.known_failures.gates import checked_entries, entry_parameters, recipe_verdict, training_log_verdict
from lifeos.known_failures.given import Given
from lifeos.manifest import PHASES, default_manifest, load_manifest
from tests.lifeos.known_failures.test_liveness import LOG, entry


def given(tmp_path, **options):
    return Given(read_inputs({"artifacts": str(tmp_path / "artifacts"), **options}), offline=True)


def test_every_entry_that_can_be_live_is_a_node_of_its_gates_phases():
    manifest = load_manifest(default_manifest())
    nodes = {parameter.id: {mark.name for mark in parameter.marks} for parameter in entry_parameters()}
    expected = {
        one.id: set(manifest.row(one.gate).phases) | ({"gpu"} & set(manifest.row(one.gate).needs))
        for one in read_entries()
        if one.gate is not None
    }
    assert nodes == expected
    assert all(marks & set(PHASES) for marks in nodes.values())


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('gate = "training_log"', 'gate = "no_such_gate"', "accepted one of gates/manifest.toml"),
        ('severity = "hard"', 'severity = "soft"', "accepted 'hard'"),
        ('phase = "predeploy"', 'phase = "release"', "accepted 'predeploy'"),
    ],
)
def test_an_entry_fits_the_list_of_gates(tmp_path, monkeypatch, old, new, told):
    one = entry(tmp_path, LOG.replace(old, new))
    monkeypatch.setattr(gates, "read_entries", lambda: [one])
    with pytest.raises(InputError, match="it-breaks") as raised:
        checked_entries(load_manifest(default_manifest()))
    assert told in str(raised.value)


def test_a_failure_tells_symptom_cause_fix_and_source(tmp_path):
    log = tmp_path / "run.log"
    log.write_text("a message that is written\n", encoding="utf-8")
    one = entry(tmp_path)
    verdict = entry_verdict(one, given(tmp_path, **{"training-log": str(log)}))
    assert verdict.outcome is Outcome.FAILED
    for told in (one.symptom, one.cause, one.fix, one.source, one.id, "line 1"):
        assert told in verdict.reason
    log.write_text("all is well\n", encoding="utf-8")
    assert entry_verdict(one, given(tmp_path, **{"training-log": str(log)})).outcome is Outcome.PASSED


def test_what_cannot_be_read_is_not_evaluated(tmp_path):
    verdict = entry_verdict(entry(tmp_path), given(tmp_path))
    assert verdict.outcome is Outcome.NOT_EVALUATED
    assert "it-breaks was not looked for" in verdict.reason


@pytest.mark.parametrize(
    ("text", "outcome"),
    [("loss=0.1\n", Outcome.PASSED), ("hello\n", Outcome.NOT_EVALUATED), ("", Outcome.NOT_EVALUATED)],
)
def test_a_training_log_names_a_loss(tmp_path, text, outcome):
    log = tmp_path / "run.log"
    log.write_text(text, encoding="utf-8")
    assert training_log_verdict(given(tmp_path, **{"training-log": str(log)})).outcome is outcome


@pytest.mark.parametrize(
    ("sampler", "device", "pod", "outcome"),
    [("", "cuda", "a40", Outcome.FAILED), ('device = "cuda"', "cuda", "a40", Outcome.PASSED),
     ('device = "cpu"', "cuda", "a40", Outcome.PASSED), ("", "cpu", "a40", Outcome.PASSED),
     ("", "cuda", "", Outcome.PASSED), ('backend = "a1111"', "cuda", "a40", Outcome.PASSED)],
)  # fmt: skip
def test_images_that_nobody_said_a_processor_should_draw_block(tmp_path, sampler, device, pod, outcome):
    demo, folder = read_inputs({}).persona, tmp_path / "persona"
    folder.mkdir()
    for name in ("persona.toml", "prompts.toml", "recipe.toml"):
        text = (demo / name).read_text(encoding="utf-8").replace('family = "tiny_base"', 'family = "sdxl"')
        text = text.replace("[sampler]", f"[sampler]\n{sampler}")
        text = text.replace("steps = 1600", f'steps = 9\ndevice = "{device}"')
        (folder / name).write_text(text, encoding="utf-8")
    verdict = recipe_verdict(given(tmp_path, persona=str(folder), **({"pod": pod} if pod else {})))
    assert verdict.outcome is outcome
    assert outcome is Outcome.PASSED or "its 96 images of 128x128 would be drawn on the processor" in verdict.reason


def test_the_demo_on_a_pod_may_draw_on_its_processor(tmp_path):
    demo = read_inputs({}).persona / "recipe.toml"
    asked = tmp_path / "recipe.toml"
    asked.write_text(f'device = "cuda"\n{demo.read_text(encoding="utf-8")}', encoding="utf-8")
    assert recipe_verdict(given(tmp_path, recipe=str(asked), pod="a40")).outcome is Outcome.PASSED
    # Nor is a recipe of another family the demo's.
    asked.write_text(asked.read_text(encoding="utf-8").replace("tiny_base", "sd15"), encoding="utf-8")
    assert recipe_verdict(given(tmp_path, recipe=str(asked), pod="a40")).outcome is Outcome.PASSED


def test_a_recipe_that_is_not_there_blocks_unless_something_finished_is_judged(tmp_path, monkeypatch):
    assert recipe_verdict(given(tmp_path)).outcome is Outcome.PASSED  # the demo's own
    broken = tmp_path / "recipe.toml"
    broken.write_text("steps = -1\n", encoding="utf-8")
    assert recipe_verdict(given(tmp_path, recipe=str(broken))).outcome is Outcome.FAILED
    persona = tmp_path / "persona"
    persona.mkdir()
    demo = read_inputs({}).persona
    for name in ("persona.toml", "prompts.toml"):
        (persona / name).write_bytes((demo / name).read_bytes())
    assert recipe_verdict(given(tmp_path, persona=str(persona))).outcome is Outcome.NOT_EVALUATED
    lora = tmp_path / "a.safetensors"
    lora.write_bytes(b"x")
    assert recipe_verdict(given(tmp_path, persona=str(persona), lora=str(lora))).outcome is Outcome.PASSED
