"""What holds for every test: hypothesis on a machine shared with others, and the project's history left alone."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says nothing about the code there.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")


@pytest.fixture(scope="session", autouse=True)
def _the_projects_history_stays_as_it_is():
    """Fail where a test wrote to the project's own history: each passes its own ``--history``."""
    path = Path(__file__).resolve().parent.parent / "evals" / "eval_history.jsonl"
    before = path.read_bytes() if path.exists() else None
    yield
    assert (path.read_bytes() if path.exists() else None) == before, "a test wrote to evals/eval_history.jsonl"
