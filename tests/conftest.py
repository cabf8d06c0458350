"""What holds for every test: hypothesis on a machine shared with others, and the project's history left alone."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says nothing about the code there.
settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")


TOGETHER = ("tests/demo/test_demo_good.py", "tests/demo/test_demo_release.py")
"""Files whose tests wait for what one of them makes: on two workers both would wait, and nobody run the others."""
ON_ONE_CLUSTER = ("tests/lifeos/parameter_sweep/test_ray_run.py", "tests/lifeos/parameter_sweep/test_ray_servers.py")
"""The tests of each share a Ray of three nodes, in their order: two workers would start two."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Leave those to one worker, and every other test to whichever is free.

    A marker of xdist says the same, but version 3.8 writes it into a name that pytest 9 no longer reads.
    """
    from xdist.scheduler import LoadScopeScheduling

    class DemoOnOneWorker(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            if nodeid.startswith(ON_ONE_CLUSTER):
                return "cluster"
            return "demo" if nodeid.startswith(TOGETHER) else nodeid

    return DemoOnOneWorker(config, log)


@pytest.fixture(scope="session", autouse=True)
def _the_projects_history_stays_as_it_is():
    """Fail where a test wrote to the project's own history: each passes its own ``--history``."""
    path = Path(__file__).resolve().parent.parent / "evals" / "eval_history.jsonl"
    before = path.read_bytes() if path.exists() else None
    yield
    assert (path.read_bytes() if path.exists() else None) == before, "a test wrote to evals/eval_history.jsonl"
