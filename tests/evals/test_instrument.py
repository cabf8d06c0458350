"""The instrument's own verdict: which answers to known controls let the judge rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals import instrument
from evals.instrument import Control, ControlResult, control_policy, instrument_verdict
from evals.policy import load_policy
from evals.verdict import Outcome, failed, not_evaluated, passed

GOOD = Control("good", True, ("a", "b"))
BAD = Control("bad", False, ("a", "b"))
ANSWERS = {"passed": passed("yes"), "failed": failed("no"), "not_evaluated": not_evaluated("who knows")}


def result(control, *answers):
    return ControlResult(control, {gate: ANSWERS[a] for gate, a in zip(control.gates, answers, strict=True)}, 24)


def test_known_answers_let_the_judge_rule():
    told = instrument_verdict([result(GOOD, "passed", "passed"), result(BAD, "passed", "failed")], [GOOD, BAD])
    assert told.outcome is Outcome.PASSED
    assert told.value == 0
    assert "good (24), bad (24)" in told.reason


@given(st.tuples(*[st.sampled_from(sorted(ANSWERS))] * 2))
def test_a_positive_control_must_pass_every_gate(answers):
    told = instrument_verdict([result(GOOD, *answers)], [GOOD])
    assert (told.outcome is Outcome.PASSED) == (set(answers) == {"passed"})


@given(st.tuples(*[st.sampled_from(sorted(ANSWERS))] * 2))
def test_a_negative_control_must_fail_a_gate_and_nothing_else_refuses(answers):
    told = instrument_verdict([result(BAD, *answers)], [BAD])
    assert (told.outcome is Outcome.PASSED) == ("failed" in answers)
    if "failed" not in answers:
        assert told.outcome is Outcome.FAILED
        assert told.value == 1


@given(st.tuples(*[st.sampled_from(sorted(ANSWERS))] * 2))
def test_images_stand_only_where_every_gate_looked_and_passed(answers):
    assert result(BAD, *answers).stands == (set(answers) == {"passed"})


def test_a_positive_control_says_what_a_person_can_do():
    control = Control("good", True, ("a",), "take other references")
    assert result(control, "failed").problem == "good must pass a, which says failed: no (take other references)"


def test_a_control_without_any_verdict_is_no_answer():
    assert instrument_verdict([ControlResult(GOOD, {}, 24)], [GOOD]).outcome is Outcome.FAILED
    assert instrument_verdict([ControlResult(BAD, {}, 24)], [BAD]).outcome is Outcome.FAILED


def test_a_control_that_was_not_judged_blocks_and_is_named():
    told = instrument_verdict([result(GOOD, "passed", "passed")], [GOOD, BAD])
    assert told.outcome is Outcome.NOT_EVALUATED
    assert "bad" in told.reason
    assert instrument_verdict([], []).outcome is Outcome.NOT_EVALUATED


def test_the_controls_name_gates_that_the_policy_has():
    rules = load_policy().rules
    controls = [value for value in vars(instrument).values() if isinstance(value, Control)]
    assert len(controls) == 6
    controls += [instrument.overdriven(strength) for strength in instrument.OVERDRIVEN_STRENGTHS]
    assert not [(c.name, gate) for c in controls for gate in c.gates if gate not in rules]


@pytest.mark.parametrize(("images", "prompts"), [(3, 1), (24, 8), (1000, 100)])
def test_counts_are_lowered_to_what_there_is_and_never_raised(images, prompts):
    policy = load_policy()
    for gate, rule in control_policy(policy, images, prompts).rules.items():
        before = policy.rules[gate]
        assert rule.minimum_images == min(images, before.minimum_images)
        assert rule.minimum_prompts == min(prompts, before.minimum_prompts)
        assert rule.threshold == before.threshold
