import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals import history
from evals.errors import InputError
from evals.scorecard import HASHES, build_scorecard, compact_time, gate_row, overall_verdict
from evals.verdict import failed, not_applicable, not_evaluated, passed

VERDICTS = {
    "passed": passed("r"),
    "failed": failed("r"),
    "not_evaluated": not_evaluated("r"),
    "not_applicable": not_applicable("r"),
}


def gates(**verdicts):
    return [gate_row(name, name.split("_", maxsplit=1)[0], VERDICTS[value]) for name, value in verdicts.items()]


def card(**changes):
    return build_scorecard(
        **{
            "time": "2026-11-23T20:29:00Z",
            "phase": "release",
            "run_id": "run-1",
            "persona": "pistachio",
            "git_commit": "a" * 40,
            "git_dirty": True,
            "git_changed": ["b.py", "a.py"],
            "hashes": dict.fromkeys(HASHES, "c" * 64),
            "gates": gates(hard_a="passed", soft_b="failed"),
            "metrics": {"likeness": {"mean": 0.8, "interval": [0.7, 0.9], "n": 96, "missing": 0, "prompts": 24}},
            "champion": None,
            "face_backend": {"name": "yunet_sface", "licence": "Apache-2.0"},
            "environment": {"python": "3.11.7", "gpu": None},
            "durations": {"train": 100.5},
            "cost": None,
            "reused": False,
            **changes,
        }
    )


def test_the_scorecard_has_the_keys_of_the_contract_and_fits_in_the_history(tmp_path):
    made = card()
    assert set(made) == {
        "schema", "id", "run_id", "time", "phase", "persona", "verdict", "narrowed", "git", "hashes", "gates",
        "metrics", "champion", "release", "selection", "face_backend", "environment", "durations", "cost", "reused",
    }  # fmt: skip
    assert made["schema"] == "lifeos.scorecard/1"
    assert made["git"] == {"commit": "a" * 40, "dirty": True, "changed": ["a.py", "b.py"]}
    assert made["verdict"] == "approved"
    assert (made["release"], made["selection"]) == (None, None)
    assert json.loads(json.dumps(made)) == made
    row = history.append(tmp_path / "history.jsonl", made)
    assert history.find(tmp_path / "history.jsonl", made["id"]) == row


def test_a_gate_row_is_that_of_the_json_contract():
    row = gate_row("likeness", "hard", passed("fine", value=0.8, threshold=0.7, threshold_source="policy"))
    assert row == {
        "id": "likeness",
        "severity": "hard",
        "verdict": "passed",
        "reason": "fine",
        "value": 0.8,
        "interval": None,
        "threshold": 0.7,
        "threshold_source": "policy",
    }
    with pytest.raises(InputError, match="severity"):
        gate_row("likeness", "harsh", passed("fine"))


def test_ids_follow_time_and_content():
    ids = [card(time=time)["id"] for time in ("2026-11-23T20:29:00Z", "2026-11-23T20:29:01Z", "2027-01-01T00:00:00Z")]
    assert ids == sorted(ids)
    assert card()["id"] == card()["id"]
    assert card()["id"] != card(reused=True)["id"]
    assert len(ids[0]) == 25


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (gates(hard_a="passed"), "approved"),
        (gates(hard_a="passed", hard_b="not_applicable", soft_c="failed", soft_d="not_evaluated"), "approved"),
        (gates(hard_a="passed", hard_b="failed", hard_c="not_evaluated"), "rejected"),
        (gates(hard_a="passed", hard_b="not_evaluated"), "not_evaluated"),
        (gates(hard_a="not_applicable"), "not_evaluated"),
        (gates(soft_a="passed"), "not_evaluated"),
        ([], "not_evaluated"),
    ],
)
def test_hard_gates_decide_and_an_empty_run_proves_nothing(rows, expected):
    assert overall_verdict(rows) == expected


@given(st.lists(st.tuples(st.sampled_from(["hard", "soft"]), st.sampled_from(sorted(VERDICTS))), max_size=8))
def test_approved_only_if_every_hard_gate_that_applies_passed(pairs):
    rows = [gate_row(str(n), severity, VERDICTS[value]) for n, (severity, value) in enumerate(pairs)]
    hard = [value for severity, value in pairs if severity == "hard" and value != "not_applicable"]
    assert (overall_verdict(rows) == "approved") == (bool(hard) and set(hard) == {"passed"})
    assert overall_verdict(rows, narrowed=True) != "approved"
    assert (overall_verdict(rows) == "rejected") == ("failed" in hard)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"time": "2026-11-23 20:29"}, "time"),
        ({"time": None}, "time"),
        ({"phase": "deploy"}, "phase"),
        ({"hashes": {"lora": "x"}}, "hashes"),
        ({"gates": gates(hard_a="passed") * 2}, "once"),
        ({"gates": [{"id": "a", "severity": "hard", "verdict": "ok"}]}, "gates"),
        ({"gates": [{"id": "a", "verdict": "passed"}]}, "gates"),
        ({"metrics": {"likeness": {"mean": math.nan}}}, "finite"),
        ({"durations": {"train": math.inf}}, "finite"),
        ({"environment": {"gpu": {1, 2}}}, "JSON"),
    ],
)
def test_a_malformed_scorecard_is_refused_in_one_line(changes, named):
    with pytest.raises(InputError, match=named) as caught:
        card(**changes)
    assert "\n" not in str(caught.value)


def test_compact_time():
    assert compact_time("2026-11-23T20:29:00Z") == "20261123T202900Z"
