from pathlib import Path

import pytest

from evals.calibration import Calibration
from evals.judge import judge
from evals.verdict import Outcome
from tests.evals.conftest import listed_policy
from tests.must_block import build_fixtures

FOLDER = Path(__file__).parents[1] / "must_block"
FIXTURES = sorted(FOLDER.glob("*.json"))
SOFT = {"likeness_norm", "worst_prompt", "ceiling", "copy_face"}


def judged(path):
    fixture = build_fixtures.read(path)
    calibration = Calibration.from_json(fixture["calibration"])
    verdicts = judge(
        fixture["rows"],
        calibration,
        listed_policy(),
        fixture["champion_rows"],
        backend=calibration.backend,
        domain=calibration.domain,
        base_rows=fixture["base_rows"],
    )
    return fixture, verdicts


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_each_fixture_breaches_exactly_the_gate_it_names(path):
    fixture, verdicts = judged(path)
    assert set(verdicts) == set(listed_policy().rules)
    failed = [gate for gate, verdict in verdicts.items() if verdict.outcome is Outcome.FAILED]
    passed = [gate for gate, verdict in verdicts.items() if verdict.outcome is Outcome.PASSED]
    assert failed == fixture["breaches"]
    assert len(failed) + len(passed) == len(verdicts)


def test_every_hard_row_gate_has_a_fixture_and_one_fixture_is_healthy():
    assert {path.stem for path in FIXTURES} == set(listed_policy().rules) - SOFT | {"healthy"}
    for path in FIXTURES:
        assert judged(path)[0]["breaches"] == ([] if path.stem == "healthy" else [path.stem])


def test_files_are_what_the_script_writes():
    made = build_fixtures.fixtures()
    assert {path.stem: path.read_text(encoding="utf-8") for path in FIXTURES} == {
        name: build_fixtures.text(fixture, made["healthy"]) for name, fixture in made.items()
    }


def test_what_differs_from_the_healthy_rows_is_the_whole_fixture():
    made = build_fixtures.fixtures()
    for path in FIXTURES:
        assert build_fixtures.read(path) == made[path.stem]
