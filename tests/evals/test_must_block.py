import importlib.util
import json
from pathlib import Path

import pytest

from evals.calibration import Calibration
from evals.judge import judge
from evals.verdict import Outcome
from tests.evals.conftest import listed_policy

FOLDER = Path(__file__).parents[1] / "must_block"
FIXTURES = sorted(FOLDER.glob("*.json"))
SOFT = {"likeness_norm", "worst_prompt", "ceiling", "copy_face"}


def judged(path):
    fixture = json.loads(path.read_text(encoding="utf-8"))
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
    spec = importlib.util.spec_from_file_location("build_fixtures", FOLDER / "build_fixtures.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert {path.stem: path.read_text(encoding="utf-8") for path in FIXTURES} == {
        name: script.text(fixture) for name, fixture in script.fixtures().items()
    }
