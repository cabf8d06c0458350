"""The gates of the house on the house itself, the way a user runs them."""

from datetime import UTC, datetime

from lifeos.runner import run_gate
from lifeos.settings import project_root


def blocking(run):
    return {result.id: result.verdict.reason for result in run.results if result.verdict.blocks}


def house(tmp_path, phase):
    options = {"history": str(tmp_path / "history.jsonl"), "artifacts": str(tmp_path / "artifacts")}
    return run_gate(phase, options, now=lambda: datetime(2026, 11, 23, tzinfo=UTC))


def test_the_cheap_gates_pass_here(tmp_path):
    assert blocking(house(tmp_path, "cheap")) == {}


def test_the_shipped_persona_and_requirements_pass_predeploy(tmp_path):
    run = house(tmp_path, "predeploy")
    assert blocking(run) == {}
    assert run.verdict == "approved"
    assert (project_root() / "requirements-pod.txt").exists()
