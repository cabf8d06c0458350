import copy
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.where_to_mend import RULES, STAGES, advice

# Scorecards of real releases with planted faults, cut to what rules read; made from the histories of those runs.
FAULTS = json.loads(gzip.decompress((Path(__file__).parent / "planted_faults.json.gz").read_bytes()))["rows"]
EXPECTED = {
    "good": None,
    "other_identity": ("another_person", "data"),
    "ten_steps": ("nothing_learned", "recipe"),
    "overcooked": ("trained_too_long", "recipe"),
    "plastic": ("smooth_skin", "data"),
    "memorised": ("memorised_few", "data"),
    "captions_rotated": ("other_words", "captions"),
    "strength_0": ("no_effect", "strength"),
    "strength_1_8": ("too_strong", "strength"),
    "with_nan": ("broken_file", "checkpoint"),
    "half_of_keys": ("broken_file", "checkpoint"),
    "wrong_base": ("broken_file", "checkpoint"),
    "noise_images": None,
    "pasted_training_images": ("pasted", "data"),
}
# zkwlo's LoRA holds its person at 1.8: only the tail fails, which points nowhere. The memorising LoRA was stopped after
# 8 prompts, before the gates that tell its two causes apart had an answer.
SILENT = {("zkwlo", "strength_1_8", 24), ("pistachio", "memorised", 8)}


def named(fault):
    return fault["persona"], fault["fault"], fault["prompts_drawn"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: "-".join(map(str, named(fault))))
def test_each_planted_fault_names_its_stage_and_nothing_else(fault):
    given_advice = [(each.rule, each.stage) for each in advice(fault["row"])]
    expected = None if named(fault) in SILENT else EXPECTED[fault["fault"]]
    assert given_advice == ([] if expected is None else [expected])


def test_every_rule_was_seen_to_fire_and_tells_its_figures_and_a_command():
    told = {each.rule: each for fault in FAULTS for each in advice(fault["row"])}
    assert len(told) == len(RULES) + 1  # one rule tells two causes of copies apart
    for each in told.values():
        assert each.stage in STAGES
        assert any(word in each.command for word in ("lifeos ", "recipe.toml"))
        assert each.evidence
        assert json.loads(json.dumps(each.to_json())) == each.to_json()
    assert "4.2%" in next(
        each.evidence for fault in FAULTS if named(fault) == ("pistachio", "memorised", 24)
        for each in advice(fault["row"])
    )  # fmt: skip


def changed(row, verdict):
    row = copy.deepcopy(row)
    for gate in row["gates"]:
        if gate["verdict"] == "failed":
            gate["verdict"] = verdict
    return row


@pytest.mark.parametrize("verdict", ["not_evaluated", "passed", "not_applicable"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: "-".join(map(str, named(fault))))
def test_a_gate_that_did_not_fail_is_no_evidence(fault, verdict):
    assert advice(changed(fault["row"], verdict)) == []


def with_verdict(fault, gate, verdict):
    row = copy.deepcopy(next(each["row"] for each in FAULTS if named(each) == ("pistachio", fault, 24)))
    for each in row["gates"]:
        if each["id"] == gate:
            each["verdict"] = verdict
    return row


@pytest.mark.parametrize("gate", ["likeness", "copy_image"])
def test_smooth_skin_is_no_explanation_where_the_person_is_lost_or_copied(gate):
    assert "smooth_skin" not in [each.rule for each in advice(with_verdict("plastic", gate, "failed"))]


def test_a_person_half_there_in_every_prompt_is_not_too_strong():
    row = with_verdict("strength_1_8", "worst_prompt", "passed")
    assert [each.rule for each in advice(row)] == ["too_strong"]  # faces are lost too
    row["gates"] = [{**each, "verdict": "passed"} if each["id"] == "face_rate" else each for each in row["gates"]]
    assert advice(row) == []


@pytest.mark.parametrize(
    ("gate", "verdict"), [("likeness", "failed"), ("copy_image", "failed"), ("adherence", "passed")]
)
def test_captions_are_to_blame_only_where_the_person_is_there_and_nothing_is_copied(gate, verdict):
    row = with_verdict("captions_rotated", gate, verdict)
    assert "other_words" not in [each.rule for each in advice({**row, "verdict": "rejected"})]
    assert advice(row) == []
    assert advice({**with_verdict("captions_rotated", "ceiling", "passed"), "verdict": "not_evaluated"}) == []


def test_a_row_that_was_not_rejected_or_whose_judge_failed_gets_no_advice():
    row = copy.deepcopy(next(fault["row"] for fault in FAULTS if fault["fault"] == "plastic"))
    for verdict in ("approved", "not_evaluated"):
        assert advice({**row, "verdict": verdict}) == []
    for gate in row["gates"]:
        if gate["id"] == "instrument":
            gate["verdict"] = "failed"
    assert advice(row) == []


@given(st.sampled_from(FAULTS), st.sets(st.integers(0, 40)), st.booleans())
def test_missing_values_and_gates_never_break_it(fault, dropped, no_metrics):
    row = copy.deepcopy(fault["row"])
    for place in dropped:
        if place < len(row["gates"]):
            row["gates"][place]["value"] = None
    row["gates"] = [gate for place, gate in enumerate(row["gates"]) if place not in dropped or place % 2]
    if no_metrics:
        row["metrics"] = {}
    for each in advice(row):
        assert "None" not in each.evidence
        assert "nan" not in each.evidence
