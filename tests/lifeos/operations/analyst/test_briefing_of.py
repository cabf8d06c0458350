import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeos.operations.analyst import briefing_of
from lifeos.operations.briefing import parse_briefing, render_briefing

HISTORY = "evals/eval_history.jsonl"


def gate(name, verdict="passed", severity="hard", value=0.5, threshold=0.6):
    return {"id": name, "verdict": verdict, "severity": severity, "value": value, "threshold": threshold}


def release(number, *gates, verdict=None, likeness=0.7, lora=None, **more):
    failed = any(g["severity"] == "hard" and g["verdict"] == "failed" for g in gates)
    return {
        "id": f"r{number}", "hash": f"{number:064x}"[::-1], "phase": "release", "persona": "pistachio",
        "verdict": verdict or ("rejected" if failed else "approved"), "gates": list(gates),
        "hashes": {"lora": lora or f"{number:064x}"[::-1]}, "metrics": {"likeness": {"mean": likeness}},
    } | more  # fmt: skip


def briefing(*rows):
    made = briefing_of(list(rows), history=HISTORY, sha256="0" * 64, run="run-1", created="2026-11-27T07:00:00Z",
                       contract="agents/a.md")  # fmt: skip
    # Whatever it writes is what the parser takes.
    read = parse_briefing(render_briefing(made).encode(), "b.md")
    assert [item.text for item in read.items] == [item.text for item in made.items]
    return made


def said(*rows):
    return {f"{item.kind} {item.key.split('.', 1)[1]}": item for item in briefing(*rows).items}


TAIL = gate("likeness_tail", "failed", value=0.09, threshold=0.05)


def test_no_history_is_declared_as_no_work():
    made = briefing()
    assert (made.outcome, made.items) == ("no_work", ())
    assert made.no_work == "There is no history yet."
    assert briefing({"id": "x", "phase": "cheap", "hash": "0" * 64}).outcome == "no_work"


def test_a_rejected_release_is_told_with_its_measured_value_and_its_row():
    found = said(release(1, TAIL))
    [(name, item)] = [(name, item) for name, item in found.items() if name.startswith("finding lora-")]
    assert name == "finding lora-10000000.likeness_tail"
    assert item.text == "LoRA 10000000 of pistachio fails likeness_tail: 0.09 where 0.05 is asked"
    assert str(item.evidence[0]) == f"{HISTORY}#10000000"
    assert item.confidence == "measured"


def test_an_approved_release_is_told_with_its_likeness():
    assert said(release(1, gate("likeness")))["finding lora-10000000.approved"].text.endswith("mean likeness 0.700")


def test_where_to_mend_becomes_a_task():
    broken = release(1, gate("weights_whole", "failed"))
    [(name, item)] = [(name, item) for name, item in said(broken).items() if name.startswith("task mend")]
    assert name == "task mend.checkpoint.broken_file"
    assert item.confidence == "inferred"
    assert "damaged or incomplete" in item.text


def test_a_soft_gate_counts_when_three_releases_in_a_row_fail_it():
    soft = gate("drift", "failed", "soft")
    rows = [release(n, gate("likeness"), soft) for n in (1, 2, 3)]
    assert "finding soft.drift" not in said(*rows[:2])
    item = said(*rows)["finding soft.drift"]
    assert len(item.evidence) == 3
    rows[1] = release(2, gate("likeness"), gate("drift", "passed", "soft"))
    assert "finding soft.drift" not in said(*rows)


def test_a_hard_gate_that_rejects_three_in_a_row_proposes_a_rule_that_it_enforces():
    rows = [release(n, TAIL) for n in (1, 2, 3)]
    assert not [name for name in said(*rows[:2]) if name.startswith("rule")]
    item = said(*rows)["rule before-training.likeness_tail"]
    assert item.enforced_by == "likeness_tail"
    assert not [name for name in said(rows[0], release(2, gate("likeness")), rows[2]) if name.startswith("rule")]


def test_a_gate_that_never_answered_is_told():
    unclear = gate("instrument", "not_evaluated")
    assert "finding unanswered.instrument" in said(release(1, gate("likeness"), unclear))
    answered = release(1, gate("instrument"))
    assert "finding unanswered.instrument" not in said(answered, release(2, gate("likeness"), unclear))


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ([0.7, 0.7, 0.7, 0.6, 0.6, 0.6], "fell"),
        ([0.6, 0.6, 0.6, 0.7, 0.7, 0.7], "rose"),
        ([0.7, 0.7, 0.7, 0.66, 0.66, 0.66], None),
        ([0.7, 0.7, 0.6, 0.6, 0.6], None),
        ([0.7, 0.7, 0.7, 0.6, None, 0.6, 0.6], "fell"),
    ],
)
def test_likeness_that_changes_over_six_releases_is_a_trend(values, key):
    rows = [release(n, gate("likeness"), likeness=value) for n, value in enumerate(values, 1)]
    found = [name for name in said(*rows) if name.startswith("finding trend")]
    assert found == ([] if key is None else [f"finding trend.likeness.{key}"])


def test_one_file_with_two_verdicts_is_told_once():
    rows = [release(n, *gates, lora="ab" * 32) for n, gates in enumerate(((TAIL,), (gate("likeness_tail"),)), 1)]
    item = said(*rows)["finding lora-abababab.two-verdicts"]
    assert item.text == "LoRA abababab of pistachio was rejected and approved under equal inputs"
    other = release(2, gate("likeness_tail"), lora="ab" * 32)
    other["hashes"]["policy"] = "another"
    assert "finding lora-abababab.two-verdicts" not in said(rows[0], other)
    unclear = release(2, TAIL, lora="ab" * 32, verdict="not_evaluated")
    assert "finding lora-abababab.two-verdicts" not in said(rows[0], unclear)


def test_a_reviewer_who_disagrees_is_told():
    review = {"schema": "lifeos.review/1", "id": "x-12345678", "hash": "5" * 64, "persona": "pistachio",
              "verdict": "reject", "measured": "approved"}  # fmt: skip
    item = said(release(1, gate("likeness")), review)["finding review.12345678"]
    assert item.text == "A reviewer would have rejected a release of pistachio that the judge approved"
    assert "finding review.12345678" not in said(release(1, gate("likeness")), review | {"verdict": "approve"})
    assert "finding review.12345678" not in said(release(1, gate("likeness")), review | {"verdict": "unsure"})


def test_too_few_prompts_for_a_decision_are_a_task():
    champion = {"decision": {"verdict": "no_decision"}}
    assert "task champion.more-prompts" in said(release(1, gate("likeness"), champion=champion))
    assert "task champion.more-prompts" not in said(release(1, gate("likeness"), champion=None))


def test_a_simulated_release_shows_nothing():
    assert briefing(release(1, TAIL, environment={"source": "simulation"})).outcome == "no_work"


def test_the_same_rows_give_the_same_bytes_and_never_more_than_twenty_items():
    rows = [release(n, *(gate(f"gate_{g}", "failed") for g in range(30)), persona=f"p{n}") for n in range(1, 9)]
    made = briefing(*rows)
    assert len(made.items) == 20
    assert render_briefing(made) == render_briefing(briefing(*rows))


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(st.lists(st.tuples(NAMES, NAMES, st.sampled_from(["passed", "failed", "not_evaluated"])), max_size=6))
def test_no_name_of_a_persona_or_gate_makes_a_briefing_that_is_refused(named):
    briefing(*(release(n, gate(name, said), persona=persona) for n, (persona, name, said) in enumerate(named, 1)))
