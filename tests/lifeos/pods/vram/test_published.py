"""The regression table: its rows have provenance, some are predicted anew, and misses stay visible."""

import pytest

from benchmarks.vram.published import RUNS, predicted_gib
from lifeos.pods.vram.published import MISSED, published_rows, validation_lines

ROWS = {row.id: row for row in published_rows()}
# One of each run, the quickest.
REPEATED = ("sdxl-forward", "wan-forward", "sdxl-4-sliced", "qwen-encode-512", "qwen-decode-1024-reserved")


@pytest.mark.parametrize("name", REPEATED)
@pytest.mark.filterwarnings("ignore")
def test_a_row_is_predicted_as_the_table_says(name):
    assert predicted_gib(ROWS[name]) == pytest.approx(ROWS[name].predicted_gib, abs=1e-4)


def test_every_row_says_who_measured_it_and_can_be_repeated():
    assert len(ROWS) == len(published_rows())
    for row in ROWS.values():
        assert row.run in RUNS
        assert row.quantity in ("allocated", "reserved_growth")
        assert row.source.startswith(("huggingface.co/", "github.com/"))
        assert row.gpu
    assert {ROWS[name].run for name in REPEATED} == set(RUNS)


def test_fitted_rows_are_told_from_the_others():
    lines = validation_lines()
    assert lines[0].startswith(f"{sum(not row.fitted and abs(row.error) <= MISSED for row in ROWS.values())} published")
    assert "not fitted" in lines[0]
    assert "it was fitted to" in lines[1]
    assert not [row.id for row in ROWS.values() if row.fitted and abs(row.error) > 0.001]


def test_what_is_missed_is_said_and_explained():
    missed = [row for row in ROWS.values() if abs(row.error) > MISSED]
    assert {row.id for row in missed} >= {"sdxl-4-sliced"}
    assert len([line for line in validation_lines() if line.startswith("missed by")]) == len(missed)
    assert all(row.note for row in missed)
