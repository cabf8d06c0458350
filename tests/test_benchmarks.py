"""What the comparisons make of a run, subject by subject; nothing is timed here."""

import importlib
import json
import math
import re
from pathlib import Path

import pytest

from benchmarks.batched_sampling import limited_plan
from benchmarks.batched_sampling import pair_of as batched_pair
from benchmarks.comparison import UnmeasuredError, all_met, in_turn, interleaved
from benchmarks.decision_pairs import images_pair
from benchmarks.decision_simulation import simulate
from benchmarks.decision_simulation import tables as simulated_tables
from benchmarks.fresh_clone import CloneRun, parts_of, second_seconds
from benchmarks.gate_command import GateCommand, judged
from benchmarks.known_failures_log import by_loop, write_log
from benchmarks.metrics import faces_of, skin_of, write_pictures
from benchmarks.overhead import SAME_IMAGES_LEVELS, Round
from benchmarks.overhead import pair_of as overhead_pair
from benchmarks.ray_sweep import outcomes_of, tasks_of
from benchmarks.training_search_simulation import simulate as training_searches
from benchmarks.training_search_simulation import table as training_search_table
from benchmarks.training_stop_simulation import simulate as training_stops
from benchmarks.training_stop_simulation import table as training_stop_table
from lifeos.errors import InputError
from lifeos.lora.sample_plan import PlannedPrompt, SamplePlan, image_key

ROW = {"durations": {"train": 100.0, "sample": 80.0, "faces": 5.0}, "reused": False, "git": {"commit": "a" * 40}}
APPROVED = GateCommand(300.0, "approved", ROW, None)


def test_the_parts_of_a_clone_add_up():
    parts = parts_of(APPROVED, 70.0)
    assert parts == {"in all": 300.0, "environment": 70.0, "training": 100.0, "sampling": 80.0, "the rest": 50.0}


def test_the_rest_is_unknown_when_a_part_is():
    refused = GateCommand(170.0, "rejected", {"durations": {"train": 100.0}}, None)
    parts = parts_of(refused, 70.0)
    assert (parts["in all"], parts["sampling"], parts["the rest"]) == (170.0, None, None)


def test_the_second_command_counts_only_when_it_made_nothing():
    assert second_seconds(CloneRun({}, GateCommand(5.0, "approved", {"reused": True}, None), None)) == 5.0


@pytest.mark.parametrize(
    ("second", "problem", "reason"),
    [
        (GateCommand(5.0, "approved", {"reused": False}, None), None, "trained or sampled again"),
        (GateCommand(0.1, "", {}, "it ended with status 3"), None, "status 3"),
        (None, None, "second time"),
        (None, "git clone failed", "clone failed"),
    ],
)
def test_another_second_command_measures_nothing(second, problem, reason):
    with pytest.raises(UnmeasuredError, match=reason):
        second_seconds(CloneRun({}, second, problem))


def test_a_run_without_judgement_is_a_problem_and_a_rejection_is_none():
    gates = [{"id": "likeness", "severity": "hard", "verdict": "not_evaluated", "reason": "no calibration"}]
    assert "likeness: no calibration" in str(judged(1.0, {"verdict": "not_evaluated", "gates": gates}, ROW).problem)
    assert judged(1.0, {"verdict": "rejected", "gates": gates}, ROW).problem is None


def one_round(**changes):
    command = GateCommand(66.0, "approved", {"durations": {"sample": 50.0, "faces": 10.0}}, None)
    bare = {"sampling": 45.0, "embedding": 9.0, "faces": 96, "saving": 0.0}
    return Round(**{"ours": command, "bare_seconds": 60.0, "bare": bare, "difference": 0.5, **changes})


def test_overhead_is_the_command_against_the_bare_process():
    pair = overhead_pair(one_round())
    assert (pair.ours, pair.alternative) == (66.0, 60.0)
    assert pair.details["beside"] == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"difference": None}, "before every image"),
        ({"difference": SAME_IMAGES_LEVELS + 1}, "not the same images"),
        ({"ours": GateCommand(1.0, "not_evaluated", {}, "no verdict was reached")}, "no verdict"),
    ],
)
def test_a_round_of_something_else_measures_no_overhead(changes, reason):
    with pytest.raises(UnmeasuredError, match=reason):
        overhead_pair(one_round(**changes))


def test_batched_sampling_of_other_images_measures_nothing():
    answer = {"ours": 10.0, "theirs": 16.0, "difference": 0.1, "images": 22}
    assert batched_pair(answer).alternative == 16.0
    with pytest.raises(UnmeasuredError, match="not the same images"):
        batched_pair({**answer, "difference": 50.0})


@pytest.mark.parametrize(("images", "prompts", "seeds"), [(1, 1, 1), (3, 3, 1), (4, 3, 2), (99, 3, 2)])
def test_a_plan_is_shortened_by_seeds_then_by_prompts(images, prompts, seeds):
    texts = tuple(PlannedPrompt(f"B{number_}", "photo") for number_ in range(3))
    plan = limited_plan(SamplePlan(texts, (0, 1), "ddim", 4, 3.0, 64, 64), images)
    assert (len(plan.prompts), len(plan.seeds)) == (prompts, seeds)
    with pytest.raises(InputError, match="--images"):
        limited_plan(plan, 0)


def test_halving_draws_fewer_images_than_the_grid():
    from benchmarks.halving_simulation import images_pair as halved

    assert 0 < halved(None, 0).ours < halved(None, 0).alternative == 27 * 8


def test_two_ways_take_turns():
    calls = []
    for number_ in range(3):
        both = in_turn(lambda: calls.append("a") or 1, lambda: calls.append("b") or 2, number_)
        assert both == (1, 2)
    assert "".join(calls) == "abbaab"


def test_two_ways_take_turns_for_many_rounds():
    calls = []
    ones, twos = interleaved(lambda n: calls.append(f"a{n}") or n, lambda n: calls.append(f"b{n}") or -n, 3)
    assert calls == ["a0", "b0", "b1", "a1", "a2", "b2"]
    assert (ones, twos) == ([0, 1, 2], [0, -1, -2])
    with pytest.raises(ValueError, match="rounds"):
        interleaved(lambda n: n, lambda n: n, 0)


def test_a_log_is_read_alike_by_the_registry_and_by_a_loop(tmp_path):
    from evals.known_failures import explain, read_entries

    entries, log = read_entries(), tmp_path / "log"
    write_log(log, entries, 4096)
    with log.open("rb") as stream:
        named = {match.entry.id: match.count for match in explain(stream, entries)}
    assert named == by_loop(log, entries)
    assert len(named) >= 3


def test_a_lora_that_fails_is_not_drawn_to_the_end():
    pair = images_pair(None, 0)
    assert 0 < pair.ours < pair.alternative == 96


FACES = {"ours": 2.0, "theirs": 5.0, "images": 100, "cosine": 0.9999}
SKIN = {"ours": 1.0, "theirs": 2.9, "images": 98, "difference": 1e-4, "share_difference": 0.007}


def test_equal_values_are_a_pair():
    assert (faces_of(FACES).ours, faces_of(FACES).alternative) == (2.0, 5.0)
    assert (skin_of(SKIN).ours, skin_of(SKIN).alternative) == (1.0, 2.9)


@pytest.mark.parametrize(
    ("pair_of", "answer", "changes"),
    [
        (faces_of, FACES, {"cosine": 0.98}),
        (faces_of, FACES, {"cosine": None}),
        (faces_of, FACES, {"cosine": math.nan}),
        (skin_of, SKIN, {"difference": 0.002}),
        (skin_of, SKIN, {"difference": math.nan}),
        (skin_of, SKIN, {"share_difference": 0.04}),
        (skin_of, SKIN, {"difference": None, "share_difference": None}),
    ],
)
def test_values_that_are_not_equal_measure_no_speed(pair_of, answer, changes):
    with pytest.raises(UnmeasuredError, match="not the same values"):
        pair_of({**answer, **changes})


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


def test_the_training_search_is_simulated_alike_twice_and_its_table_stands_on_its_page():
    pytest.importorskip("optuna")
    lines = training_searches(3, (5, 12))
    assert lines == training_searches(3, (5, 12))
    assert [line["gain"] for line in lines if line["trials"] == 5] == [0.0, 0.0]  # the same five at random
    page = (Path(__file__).parents[1] / "docs" / "training-search.md").read_text(encoding="utf-8")
    assert training_search_table(lines).splitlines()[0] in page
    assert all(f"| {line['stand_in']} | 20 | 200 |" in page for line in lines)


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


@pytest.mark.parametrize("change", [{}, {"lost": 1}, {"doubled": 1}, {"foreign": 2}, {"kills": 1}])
def test_a_sweep_that_lost_or_doubled_an_image_or_missed_a_kill_meets_nothing(change):
    facts = {"images": 100, "seconds": 2.0, "lost": 0, "doubled": 0, "foreign": 0, "kills": 2, "events": 9, "peak": 0}
    rows = {row.comparison.id: row for row in outcomes_of({**facts, **change}, 4.0, 2)}
    assert rows["ray-sweep"].ratio == 2.0
    assert {name.removeprefix("ray-sweep-") for name, row in rows.items() if row.verdict == "MISSED"} == set(change)
    assert all_met(list(rows.values())) is not bool(change)


@pytest.mark.parametrize("given", ["0", "-3", "x", "1.5", "", "1_000", "\u0663"])
@pytest.mark.parametrize("module", ["history_scale", "ray_sweep", "training_stop_simulation"])
def test_a_number_that_is_none_from_1_on_is_refused_before_anything_runs(module, given, capsys):
    option = {"history_scale": "--rows", "ray_sweep": "--images", "training_stop_simulation": "--runs"}[module]
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"benchmarks.{module}").main([f"{option}={given}"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(f"{option}: accepted a whole number from 1, got {given!r}\n")
