"""What pytest did to one verdict a gate: every way of not running must block."""

import json

import pytest

from evals.verdict import Outcome, failed, not_applicable, not_evaluated, passed
from lifeos.gate_report import exit_status, gate_results, narrowing, read_report
from lifeos.manifest import GateRow

HARD = GateRow(id="likeness", phases=["release"], severity="hard", needs=["lora"], proves="x")
SOFT = HARD.model_copy(update={"id": "ceiling", "severity": "soft"})
LORA = frozenset({"lora"})


def event(
    gate="likeness", when="call", outcome="passed", verdict=None, xfail=False, message="", node="n", known=False
):
    text = None if verdict is None else json.dumps(verdict.to_json())
    return {
        "event": "gate", "gate": gate, "node": node, "when": when, "outcome": outcome, "xfail": xfail,
        "verdict": text, "message": message, "known_failure": known,
    }  # fmt: skip


def whole(verdict=None, outcome="passed", **more):
    """Setup, call and teardown as pytest reports them."""
    return [
        event(when="setup", **{key: value for key, value in more.items() if key in ("gate", "node", "known")}),
        event(verdict=verdict, outcome=outcome, **more),
        event(when="teardown", verdict=verdict, **{k: v for k, v in more.items() if k in ("gate", "node", "known")}),
    ]


def report(tmp_path, events, *, narrowed=(), marker="release", exit_code=0, torn=""):
    path = tmp_path / "report.jsonl"
    lines = [{"event": "started", "narrowed": list(narrowed), "marker": marker}, *events]
    lines += [] if exit_code is None else [{"event": "finished", "exit": exit_code}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines) + torn, encoding="utf-8")
    return read_report(path)


def outcome(tmp_path, events, row=HARD, declared=LORA):
    return gate_results([row], declared, report(tmp_path, events))[0].verdict.outcome


def test_a_verdict_travels(tmp_path):
    (result,) = gate_results([HARD], LORA, report(tmp_path, whole(passed("good", 0.7, None, 0.6, "policy"))))
    assert result.verdict == passed("good", 0.7, None, 0.6, "policy")
    assert list(result.to_json())[:2] == ["id", "severity"]


def test_a_failure_is_a_failure(tmp_path):
    assert outcome(tmp_path, whole(failed("bad"), "failed")) is Outcome.FAILED


@pytest.mark.parametrize(
    "events",
    [
        [],
        [event(when="setup", outcome="skipped", message="Skipped: no time")],
        whole(outcome="skipped", xfail=True),
        whole(passed("good"), outcome="skipped", xfail=True),
        whole(outcome="failed", message="KeyError"),
        whole(),
        whole(not_evaluated("no calibration"), "failed"),
        whole(not_applicable("I say so")),
        whole(passed("good"))[:2],
        [*whole(passed("good"))[:2], event(when="teardown", outcome="failed", verdict=passed("good"))],
        whole(passed("good"), outcome="failed", message="[XPASS(strict)]"),
    ],
    ids=[
        "missing", "skipped", "xfailed", "xfailed after passing", "crashed", "no verdict", "not evaluated",
        "excused itself", "no teardown", "teardown broke", "xpassed",
    ],
)  # fmt: skip
def test_what_did_not_pass_is_not_evaluated(tmp_path, events):
    assert outcome(tmp_path, events) is Outcome.NOT_EVALUATED


def test_the_worst_of_several_holds(tmp_path):
    events = [*whole(passed("good"), node="a"), *whole(failed("bad"), "failed", node="b")]
    assert outcome(tmp_path, events) is Outcome.FAILED


def known(verdict):
    outcome = "passed" if verdict.outcome is Outcome.PASSED else "failed"
    return whole(verdict, outcome, node="test_known_failure[x]", known=True)


def test_a_known_failure_fails_the_gate_that_its_entry_names(tmp_path):
    assert outcome(tmp_path, [*known(failed("the failure")), *whole(passed("x"))]) is Outcome.FAILED
    assert outcome(tmp_path, [*known(not_evaluated("unseen")), *whole(passed("x"))]) is Outcome.NOT_EVALUATED
    assert outcome(tmp_path, [*known(passed("not there")), *whole(passed("x"))]) is Outcome.PASSED
    assert outcome(tmp_path, [*known(passed("not there")), *whole(failed("x"), "failed")]) is Outcome.FAILED


def test_what_is_known_about_a_failure_follows_the_gates_own_figures(tmp_path):
    events = [*known(failed("known failure x: fix: mend it")), *whole(failed("too many", 3.0, None, 1.0), "failed")]
    (result,) = gate_results([HARD], LORA, report(tmp_path, events))
    assert (result.verdict.value, result.verdict.threshold) == (3.0, 1.0)
    assert result.verdict.reason == "too many; known failure x: fix: mend it"
    (alone,) = gate_results([HARD], LORA, report(tmp_path, whole(failed("too many"), "failed")))
    assert alone.verdict.reason == "too many"


def test_a_known_failure_that_was_looked_for_does_not_stand_for_its_gate(tmp_path):
    events = known(passed("not there"))
    assert outcome(tmp_path, events) is Outcome.NOT_EVALUATED
    assert narrowing([HARD], LORA, report(tmp_path, events), "release") == ["likeness did not run"]


def test_undeclared_is_not_applicable_and_listed(tmp_path):
    (result,) = gate_results([HARD], frozenset(), report(tmp_path, []))
    assert result.verdict.outcome is Outcome.NOT_APPLICABLE
    assert "lora" in result.verdict.reason


def test_a_gate_nobody_listed_blocks(tmp_path):
    results = gate_results([HARD], LORA, report(tmp_path, [*whole(passed("good")), *whole(passed("x"), gate="extra")]))
    assert [(r.id, r.verdict.outcome) for r in results][1] == ("extra", Outcome.NOT_EVALUATED)


def test_a_torn_report_is_one_of_a_crash(tmp_path):
    read = report(tmp_path, whole(passed("good")), exit_code=None, torn='{"event": "gate", "ga')
    assert read.exit is None
    assert read_report(tmp_path / "none.jsonl").exit is None


def test_narrowing(tmp_path):
    def reasons(**options):
        return narrowing([HARD, SOFT], LORA, report(tmp_path, **options), "release")

    both = [*whole(passed("good")), *whole(passed("good"), gate="ceiling")]
    assert reasons(events=both) == []
    assert reasons(events=both, narrowed=["-k x"]) == ["-k x"]
    assert reasons(events=both, marker="release and not gpu") == ["-m release and not gpu"]
    assert reasons(events=both[:3]) == ["ceiling did not run"]
    assert narrowing([HARD], frozenset(), report(tmp_path, []), "release") == []


def test_exit_statuses():
    assert [exit_status(word) for word in ("approved", "rejected", "not_evaluated")] == [0, 1, 2]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("evals.errors.InputError: no photographs yet; next: new-persona", "no photographs yet; next: new-persona"),
        ("InputError: no photographs yet", "no photographs yet"),
        ("KeyError: InputError: x", "the gate broke: KeyError: InputError: x"),
    ],
)
def test_an_error_written_for_users_is_the_reason_as_it_is(tmp_path, message, reason):
    events = [event(when="setup", outcome="failed", message=message), event(when="teardown")]
    (result,) = gate_results([HARD], LORA, report(tmp_path, events))
    assert (result.verdict.outcome, result.verdict.reason) == (Outcome.NOT_EVALUATED, reason)
