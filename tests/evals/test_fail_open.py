"""One test a row of the ways in which other evaluation tools let bad results through."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from evals import history
from evals.errors import InputError
from evals.inference import cluster_t_interval, clustered_wilson_interval, sign_flip_test
from evals.judge import judge, statistics
from evals.scorecard import gate_row, overall_verdict
from evals.verdict import Outcome, Verdict, not_applicable, not_evaluated, passed
from tests.evals.conftest import listed_policy


def blocks_all(verdicts):
    return set(verdicts) == set(listed_policy().rules) and all(verdict.blocks for verdict in verdicts.values())


def test_a_nan_candidate_passes_no_comparison_with_its_champion(judged, healthy_rows):
    rows = healthy_rows()
    rows[0]["metrics"]["likeness"] = math.nan
    assert blocks_all(judged(rows, healthy_rows()))
    assert passed("no worse", value=math.nan).outcome is Outcome.NOT_EVALUATED


def test_gates_that_never_ran_are_no_pass():
    ran = gate_row("face_rate", "hard", passed("r"))
    never = gate_row("likeness", "hard", not_evaluated("did not run"))
    assert overall_verdict([ran, never]) == "not_evaluated"


def test_skipped_is_no_pass():
    assert overall_verdict([gate_row("a", "hard", not_evaluated("skipped"))]) == "not_evaluated"


def test_a_hard_metric_that_is_none_fails_per_image(judged, healthy_rows):
    rows = healthy_rows()
    for row in rows[:2]:
        row["metrics"]["likeness"] = None
        row["reasons"]["likeness"] = "no face found"
    verdicts = judged(rows)
    assert verdicts["face_rate"].outcome is Outcome.FAILED
    assert verdicts["likeness_tail"].outcome is Outcome.FAILED


def test_one_cluster_is_not_certain():
    assert cluster_t_interval([0.9, 0.9], ["a", "a"]) is None
    assert clustered_wilson_interval([True, True], ["a", "a"]) is None
    assert sign_flip_test([0.9]) is None
    row = {
        "image": "0" * 64,
        "file": "a.png",
        "prompt": "B01",
        "seed": 0,
        "strength": 1.0,
        "metrics": {"likeness": 0.9},
    }
    assert statistics([row])["likeness"]["interval"] is None


def test_a_nan_is_never_reloaded_as_a_number(tmp_path):
    path = tmp_path / "history.jsonl"
    with pytest.raises(InputError):
        history.append(path, {"mean": math.nan})
    assert history.append(path, {"mean": None})["mean"] is None
    assert history.read(path)[0]["mean"] is None
    with pytest.raises(ValueError):
        Verdict.from_json(json.loads('{"verdict": "passed", "reason": "r", "value": NaN}'))


def test_cells_absent_from_the_champion_block(judged, healthy_rows):
    for champion in (None, [], healthy_rows()[:-1]):
        assert judged(healthy_rows(), champion)["champion"].blocks


def test_a_missing_calibration_is_not_made_up_so_the_second_run_blocks_too(healthy_rows):
    for _ in range(2):
        verdicts = judge(healthy_rows(), None, listed_policy(), healthy_rows(), backend={}, domain={})
        assert verdicts["likeness"].outcome is Outcome.NOT_EVALUATED


def test_many_good_images_do_not_hide_a_prompt_that_always_fails(judged, healthy_rows):
    rows = healthy_rows()
    for row in rows:
        if row["prompt"] == "B08":
            row["metrics"]["likeness"] = 0.3
    verdicts = judged(rows)
    assert verdicts["worst_prompt"].outcome is Outcome.FAILED
    assert "B08" in verdicts["worst_prompt"].reason
    assert verdicts["likeness_tail"].outcome is Outcome.FAILED


def test_all_skipped_or_not_applicable_is_no_approval():
    assert overall_verdict([]) == "not_evaluated"
    assert overall_verdict([gate_row("a", "hard", not_applicable("no champion"))]) == "not_evaluated"


def test_no_images_are_no_evidence(judged):
    assert blocks_all(judged([]))
    assert blocks_all(judged([], None))


def test_a_record_is_appended_never_replaced(tmp_path):
    path = tmp_path / "history.jsonl"
    for _ in range(2):
        history.append(path, {"id": "same"})
    assert history.verify(path).rows == 2


HEAVY_TEST = """
import sys
for name in sys.argv[1:]:
    __import__("evals." + name)
loaded = {"torch", "pytest", "scipy", "cv2", "onnxruntime", "diffusers", "lifeos"} & set(sys.modules)
sys.exit(", ".join(sorted(loaded)) or 0)
"""


def test_the_ground_floor_loads_neither_torch_nor_pytest_nor_the_floor_above():
    root = Path(__file__).parents[2] / "evals"
    modules = ["atomic", "calibration", "history", "image_rows", "inference", "judge", "policy", "scorecard", "verdict"]
    assert all((root / f"{name}.py").is_file() for name in modules)
    done = subprocess.run(
        [sys.executable, "-c", HEAVY_TEST, *modules], cwd=root.parent, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
