import dataclasses
import importlib.util
from pathlib import Path

import pytest
from hypothesis import settings

from evals.calibration import Calibration
from evals.judge import judge
from evals.policy import load_policy, stated_proofs

# Examples are small; how long one takes says how busy the machine is, not whether the code is right.
settings.register_profile("evals", deadline=None, derandomize=True)
settings.load_profile("evals")

SCRIPT = Path(__file__).parents[1] / "must_block" / "build_fixtures.py"


def listed_policy():
    """The shipped policy less the soft rules of metric families: each family's test judges rows of its own."""
    policy, unlisted = load_policy(), stated_proofs()
    rules = {gate: rule for gate, rule in policy.rules.items() if gate not in unlisted}
    return dataclasses.replace(policy, rules=rules)


def shipped_policy(gate):
    """The shipped policy with one of its rules."""
    policy = load_policy()
    return dataclasses.replace(policy, rules={gate: policy.rules[gate]})


@pytest.fixture(scope="session")
def row_script():
    """The script that writes the must-block fixtures; its ``rows`` and ``breach`` make image rows."""
    spec = importlib.util.spec_from_file_location("build_fixtures", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


@pytest.fixture(scope="session")
def healthy_rows(row_script):
    return row_script.rows


@pytest.fixture(scope="session")
def base_rows(row_script):
    return row_script.base_rows


@pytest.fixture(scope="session")
def row_calibration(row_script):
    return Calibration.from_json(row_script.CALIBRATION)


@pytest.fixture(scope="session")
def judged(row_calibration, healthy_rows, base_rows):
    """Judge rows under the shipped policy with a calibration that fits them."""

    def run(rows, champion_rows=(), calibration=row_calibration, policy=None, given_base=None):
        champion = healthy_rows(0.84, "champion") if champion_rows == () else champion_rows
        return judge(
            rows,
            calibration,
            policy or listed_policy(),
            champion,
            backend=row_calibration.backend,
            domain=row_calibration.domain,
            base_rows=base_rows() if given_base is None else given_base,
        )

    return run
