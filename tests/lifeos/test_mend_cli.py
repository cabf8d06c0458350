import json

import pytest

from evals import history
from evals.scorecard import gate_row
from evals.verdict import failed, passed
from lifeos.cli import main
from tests.lifeos.test_champion import scorecard

BROKEN = [gate_row("weights_finite", "hard", failed("a NaN")), gate_row("weights_whole", "hard", passed("whole"))]


@pytest.fixture
def told(tmp_path, capsys):
    def run(*arguments):
        status = main(["where-to-mend", *arguments, "--history", str(tmp_path / "h.jsonl")])
        return status, capsys.readouterr()

    return run


def test_the_latest_release_is_asked_and_any_row_by_its_id(told, tmp_path):
    first = history.append(tmp_path / "h.jsonl", scorecard(gates=BROKEN))
    history.append(tmp_path / "h.jsonl", scorecard(time="2026-11-24T09:00:00Z"))
    status, captured = told()
    assert (status, "nothing to mend" in captured.out) == (0, True)
    status, captured = told(first["id"])
    assert status == 0
    assert "checkpoint (broken_file): the file is damaged or incomplete: weights_finite failed" in captured.out
    assert "next: take an earlier checkpoint" in captured.out
    status, captured = told(first["id"], "--json")
    body = json.loads(captured.out)
    assert (body["schema"], body["row"]) == ("lifeos.where-to-mend/1", first["id"])
    assert [each["stage"] for each in body["advice"]] == ["checkpoint"]


def test_without_evidence_it_says_so(told, tmp_path):
    history.append(tmp_path / "h.jsonl", scorecard(gates=[gate_row("repro", "hard", failed("differs"))]))
    assert "no rule fits" in told()[1].out


def test_no_release_and_no_scorecard_are_one_clear_line(told, tmp_path):
    status, captured = told()
    assert (status, captured.err.count("\n")) == (2, 1)
    row = history.append(tmp_path / "h.jsonl", {"schema": "lifeos.selection/1", "id": "20261124T090000Z-aaaaaaaa"})
    status, captured = told(row["id"])
    assert status == 2
    assert "accepted a scorecard" in captured.err
