"""The benchmarks' table and what they make of a run; nothing is timed here."""

import json
import math
import re
from pathlib import Path

import pytest

from benchmarks.__main__ import NAMES, chosen, main
from benchmarks.batched_sampling import limited_plan
from benchmarks.batched_sampling import lines_of as batched_lines
from benchmarks.decision_simulation import simulate
from benchmarks.decision_simulation import tables as simulated_tables
from benchmarks.fresh_clone import FRESH, TARGET_SECONDS, UNCHANGED, _lines, parts_of
from benchmarks.gate_command import GateCommand, judged
from benchmarks.interleave import interleaved
from benchmarks.metrics import FACES, SKIN, write_pictures
from benchmarks.metrics import lines_of as metrics_lines
from benchmarks.overhead import SAME_IMAGES_LEVELS, Comparison
from benchmarks.overhead import lines_of as overhead_lines
from benchmarks.ray_sweep import tasks_of
from benchmarks.table import Line, all_met, format_table, number
from benchmarks.training_stop_simulation import simulate as training_stops
from benchmarks.training_stop_simulation import table as training_stop_table
from lifeos.errors import InputError
from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan, image_key

ROW = {"durations": {"train": 100.0, "sample": 80.0, "faces": 5.0}, "reused": False, "git": {"commit": "a" * 40}}
APPROVED = GateCommand(300.0, "approved", ROW, None)


def line(value, target=2.0, **changes):
    reason = None if value is not None else "no weights"
    return Line("help", "lifeos --help", value, "s", target, **{"reason": reason, **changes})


@pytest.mark.parametrize(
    ("value", "target", "at_least", "verdict"),
    [
        (1.9, 2.0, False, "met"),
        (2.0, 2.0, False, "met"),
        (2.0001, 2.0, False, "MISSED"),
        (1.4999, 1.5, True, "MISSED"),
        (1.5, 1.5, True, "met"),
        (-3.0, 10.0, False, "met"),
        (None, 2.0, False, "not measured"),
        (9.0, None, False, "no target"),
    ],
)
def test_a_line_is_judged_by_its_value_before_rounding(value, target, at_least, verdict):
    judged_line = line(value, target, at_least=at_least)
    assert judged_line.verdict == verdict
    assert judged_line.to_json()["verdict"] == verdict


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_line_takes_no_number_that_is_none(value):
    with pytest.raises(ValueError, match="finite"):
        line(value)


@pytest.mark.parametrize(("value", "reason"), [(None, None), (None, ""), (1.0, "broken")])
def test_a_line_has_a_value_or_a_reason(value, reason):
    with pytest.raises(ValueError, match="exactly one"):
        line(value, reason=reason)


def test_what_was_not_measured_meets_nothing():
    assert all_met([line(1.0), line(5.0, None)])
    assert not all_met([line(1.0), line(3.0)])
    assert not all_met([line(1.0), line(None)])
    assert not all_met([line(5.0, None)])
    assert not all_met([])


def test_the_table_is_aligned_and_says_each_remark_once():
    lines = [
        line(2.0001, note="median of 9"),
        line(None),
        Line("x", "a much longer measure", None, "x", 1.5, at_least=True, reason="no weights"),
        Line("x", "speed", 12.0, "images/s"),
    ]
    assert format_table(lines).splitlines() == [
        "measure                     measured    target",
        "---------------------  -------------  --------  ----------------",
        "lifeos --help                 2.00 s    <= 2 s  MISSED [1]",
        "lifeos --help                      -    <= 2 s  not measured [2]",
        "a much longer measure              -  >= 1.5 x  not measured [2]",
        "speed                  12.0 images/s",
        "",
        "[1] median of 9",
        "[2] no weights",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.3014, "0.301"), (5.417, "5.42"), (-12.34, "-12.3"), (361.4, "361"), (1234.5, "1234"), (0.0, "0")],
)
def test_numbers_show_three_digits(value, text):
    assert number(value) == text


def test_the_parts_of_a_clone_add_up():
    parts = parts_of(APPROVED, 70.0)
    assert list(parts) == list(TARGET_SECONDS)
    assert parts == {"in all": 300.0, "environment": 70.0, "training": 100.0, "sampling": 80.0, "the rest": 50.0}


def test_the_rest_is_unknown_when_a_part_is():
    refused = GateCommand(170.0, "rejected", {"durations": {"train": 100.0}}, None)
    lines = {part.measure: part for part in _lines([FRESH], refused, None, 70.0, "")}
    assert lines["fresh clone to verdict, in all"].verdict == "met"
    for part in ("sampling", "the rest"):
        assert lines[f"fresh clone to verdict, {part}"].verdict == "not measured"


@pytest.mark.parametrize(
    ("second", "verdict"),
    [
        (GateCommand(5.0, "approved", {"reused": True}, None), "met"),
        (GateCommand(7.0, "approved", {"reused": True}, None), "MISSED"),
        (GateCommand(5.0, "approved", {"reused": False}, None), "not measured"),
        (GateCommand(0.1, "", {}, "it ended with status 3"), "not measured"),
        (None, "not measured"),
    ],
)
def test_the_second_command_counts_only_when_it_made_nothing(second, verdict):
    (only,) = _lines([UNCHANGED], APPROVED, second, 70.0, "")
    assert only.verdict == verdict


def test_a_clone_without_a_verdict_measures_nothing():
    broken = GateCommand(3.0, "", {}, "git clone failed")
    assert {part.verdict for part in _lines([FRESH, UNCHANGED], broken, None, None, "")} == {"not measured"}


def test_a_run_without_judgement_is_a_problem_and_a_rejection_is_none():
    gates = [{"id": "likeness", "severity": "hard", "verdict": "not_evaluated", "reason": "no calibration"}]
    assert "likeness: no calibration" in str(judged(1.0, {"verdict": "not_evaluated", "gates": gates}, ROW).problem)
    assert judged(1.0, {"verdict": "rejected", "gates": gates}, ROW).problem is None


def comparison(ours=66.0, difference=0.5, **changes):
    command = GateCommand(ours, "approved", {"durations": {"sample": 50.0, "faces": 10.0}}, None)
    bare = {"sampling": 45.0, "embedding": 9.0, "faces": 96, "saving": 0.0}
    return Comparison(**{"ours": command, "bare_seconds": 60.0, "bare": bare, "difference": difference, **changes})


def test_overhead_is_ours_over_bare():
    main_line, *details = overhead_lines([comparison(), comparison(67.2)])
    assert main_line.value == pytest.approx(11.0)
    assert main_line.verdict == "MISSED"
    assert "+10.0 and +12.0 %" in main_line.note
    assert {detail.verdict for detail in details} == {"no target"}
    assert details[-1].value == pytest.approx(11.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"difference": None},
        {"difference": SAME_IMAGES_LEVELS + 1},
        {"ours": GateCommand(1.0, "not_evaluated", {}, "no verdict was reached")},
    ],
)
def test_one_round_of_something_else_measures_no_overhead(changes):
    (only,) = overhead_lines([comparison(), Comparison(**{**comparison().__dict__, **changes})])
    assert only.verdict == "not measured"


def test_batched_sampling_is_judged_by_the_ratio():
    answer = {"ours": [10.0, 12.0], "theirs": [16.5, 18.7], "difference": 0.1, "images": 22}
    ratio, ours, theirs = batched_lines(answer, "ratio", 1.5)
    assert (ratio.value, ratio.verdict) == (pytest.approx(1.6), "met")
    assert (ours.value, theirs.value) == (pytest.approx(2.0), pytest.approx(1.25))
    (other,) = batched_lines({**answer, "difference": 50.0}, "ratio", 1.5)
    assert other.verdict == "not measured"


@pytest.mark.parametrize(("images", "prompts", "seeds"), [(1, 1, 1), (3, 3, 1), (4, 3, 2), (99, 3, 2)])
def test_a_plan_is_shortened_by_seeds_then_by_prompts(images, prompts, seeds):
    texts = tuple(PlannedPrompt(f"B{number_}", "photo") for number_ in range(3))
    plan = limited_plan(SamplePlan(texts, (0, 1), "ddim", 4, 3.0, 64, 64), images)
    assert (len(plan.prompts), len(plan.seeds)) == (prompts, seeds)
    with pytest.raises(InputError, match="--images"):
        limited_plan(plan, 0)


def test_two_ways_take_turns():
    calls = []
    ones, twos = interleaved(lambda n: calls.append(f"a{n}") or n, lambda n: calls.append(f"b{n}") or -n, 3)
    assert calls == ["a0", "b0", "b1", "a1", "a2", "b2"]
    assert (ones, twos) == ([0, 1, 2], [0, -1, -2])
    with pytest.raises(ValueError, match="rounds"):
        interleaved(lambda n: n, lambda n: n, 0)


def test_names_are_run_once_in_the_order_of_the_table():
    assert chosen([]) == list(NAMES)
    assert chosen(["batched", "help", "help"]) == ["help", "batched"]


@pytest.mark.parametrize("arguments", [["helpp"], ["help", "--rounds", "0"]])
def test_a_wrong_command_is_one_line_and_status_2(arguments, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip()
    assert "accepted" in error
    assert "\n" not in error


MEASURED = {
    "images": 100, "scored": 98, "cosine": 0.9999, "difference": 1e-4, "share_difference": 0.007,
    "faces": [2.0, 2.0, 5.0], "insightface": [5.0, 5.0, 5.0], "skin": [1.0], "plain": [2.9], "everything": [4.0],
}  # fmt: skip


def test_metrics_are_ratios_of_medians_against_their_targets():
    lines = {line.measure: line for line in metrics_lines(MEASURED)}
    assert (lines[FACES].value, lines[FACES].verdict) == (2.5, "met")
    assert (lines[SKIN].value, lines[SKIN].verdict) == (2.9, "MISSED")
    assert lines["    scikit-image"].value == pytest.approx(98 / 2.9)
    assert lines["all that is measured on an image"].value == 25.0


@pytest.mark.parametrize(
    ("measure", "changes"),
    [
        (FACES, {"cosine": 0.98}),
        (FACES, {"cosine": None}),
        (FACES, {"cosine": math.nan}),
        (SKIN, {"difference": 0.002}),
        (SKIN, {"difference": math.nan}),
        (SKIN, {"share_difference": 0.04}),
        (SKIN, {"difference": None, "share_difference": None}),
    ],
)
def test_values_that_are_not_equal_measure_no_speed(measure, changes):
    lines = {line.measure: line for line in metrics_lines({**MEASURED, **changes})}
    assert lines[measure].verdict == "not measured"
    assert "not the same values" in lines[measure].reason
    other = SKIN if measure == FACES else FACES
    assert lines[other].value is not None


def test_no_two_pictures_that_are_measured_are_one(tmp_path):
    from lifeos.settings import project_root

    persona = project_root() / "personas" / "pistachio"
    paths = write_pictures([persona / "references"], 40, tmp_path)
    assert len({path.read_bytes() for path in paths}) == 40
    with pytest.raises(InputError, match="no"):
        write_pictures([tmp_path / "empty"], 1, tmp_path / "more")


def test_a_small_simulation_of_stopped_runs_says_the_same_twice_and_tells_flat_from_rising():
    rows = training_stops(12)
    assert rows == training_stops(12)
    flat = [row["ended"] for row in rows if row["truth"] == "gains nothing" and row["looks"] == 32]
    assert min(flat) > 3 >= max(row["wrong"] for row in rows)
    page = (Path(__file__).parents[1] / "docs" / "training-curve.md").read_text(encoding="utf-8")
    head, *lines = training_stop_table(rows).splitlines()
    assert head in page
    for line in lines[1:]:  # the page has a thousand runs of each
        assert re.search(re.escape(line.split(" | 12 |")[0]) + r" \| 1,000 \|", page), line


class TestDecisionSimulation:
    def test_the_page_shows_what_was_simulated(self):
        folder = Path(__file__).parents[1] / "docs"
        found = json.loads((folder / "decision-simulation.json").read_text(encoding="utf-8"))
        page = (folder / "decision.md").read_text(encoding="utf-8")
        for table in simulated_tables(found).split("\n\n"):
            assert table in page
        assert all(row["upper"] <= row["limit"] == 0.055 for row in found["false_promotion"])
        assert all(row["runs"] >= 10_000 for row in found["false_promotion"])
        assert all(row["wrongly_stopped"] <= 0.01 * row["passing"] for row in found["early_stop"])

    def test_a_small_simulation_says_the_same_twice_and_tells_true_from_false(self):
        found = simulate(60)
        assert found == simulate(60)
        assert found != simulate(60, seed=1)
        equal, worse, _ = found["false_promotion"]
        assert equal["rate"] <= 0.2
        assert worse["promoted"] == 0
        by_case = {row["case"].split(" (")[0]: row for row in found["early_stop"]}
        assert by_case["good"]["stopped"] == 0
        assert by_case["base without a LoRA"]["mean_images"] == 32


def test_the_sweep_over_nodes_has_as_many_different_images_as_it_says():
    tasks = tasks_of(10_000, Path("base"))
    keys = {image_key(task.plan, request, "b" * 64, None) for task in tasks for request in task.plan.requests()}
    assert len(keys) == 10_000
