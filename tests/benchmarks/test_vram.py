"""Predicted memory as rows of the table; what predicts and what counts are stood in for."""

import pytest

import benchmarks.vram.__main__ as command
from benchmarks.comparison import Pair, UnmeasuredError
from benchmarks.vram import pairs


def recipe_rows(monkeypatch, answer):
    monkeypatch.setattr(command, "peak_and_reserved", answer)
    return {row.comparison.id: row for row in command.recipes(["SD 1.5, one image"])}


def counted(peak, reserved):
    return lambda _: (Pair(2.0, peak), Pair(3.0, reserved))


@pytest.mark.parametrize(
    ("peak", "reserved", "verdicts"),
    [(2.09, 3.1, ["met", "met"]), (1.8, 2.0, ["MISSED", "met"]), (2.0, 3.3, ["met", "MISSED"])],
)
def test_a_peak_may_err_either_way_and_what_is_reserved_only_upwards(peak, reserved, verdicts, monkeypatch):
    rows = recipe_rows(monkeypatch, counted(peak, reserved))
    assert list(rows) == ["SD 1.5, one image (sampling)", "SD 1.5, one image (sampling), reserved"]
    assert [row.verdict for row in rows.values()] == verdicts


def test_without_a_gpu_predictions_are_shown_and_nothing_is_met(monkeypatch, capsys):
    rows = recipe_rows(monkeypatch, counted(None, None))
    assert [(row.our_median, row.verdict) for row in rows.values()] == [(2.0, "no target"), (3.0, "no target")]
    assert command.main(["recipes", "SD 1.5, one image"]) == 1
    assert "2.00 GiB" in capsys.readouterr().out
    monkeypatch.setattr(pairs, "peak_and_reserved", counted(None, None))
    with pytest.raises(UnmeasuredError, match="no GPU"):
        pairs.training_reserved_pair(None, 0)


def test_a_gpu_that_is_too_small_for_a_recipe_is_the_reason(monkeypatch):
    def runs_out(_):
        raise RuntimeError("CUDA out of memory.\nTried to allocate")

    rows = recipe_rows(monkeypatch, runs_out)
    assert {row.reason for row in rows.values()} == {"CUDA out of memory."}


@pytest.mark.parametrize(("moved", "status"), [(0.0, 0), (0.0002, 1)])
def test_a_published_row_is_met_as_long_as_the_model_says_what_its_table_says(moved, status, monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.vram.published.predicted_gib", lambda row: row.predicted_gib + moved)
    assert command.main(["published", "sdxl"]) == status
    assert "not fitted" in capsys.readouterr().out
    assert command.main(["published", "no-such-row"]) == 2
