"""A simulated pod for every test of the probes."""

import pytest

from tests.lifeos.pods.probe.simulated_pod import SimulatedPod


@pytest.fixture
def pod(tmp_path, monkeypatch):
    """A sound A40 that is not there."""
    return SimulatedPod(tmp_path, monkeypatch)
