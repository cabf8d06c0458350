"""The gates of the house on the house itself, the way a user runs them."""

import os
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
from safetensors.numpy import save_file

from lifeos.runner import run_gate
from lifeos.settings import project_root


def blocking(run):
    return {result.id: result.verdict.reason for result in run.results if result.verdict.blocks}


def house(tmp_path, phase, **options):
    options |= {"history": str(tmp_path / "history.jsonl"), "artifacts": str(tmp_path / "artifacts")}
    return run_gate(phase, options, now=lambda: datetime(2026, 11, 23, tzinfo=UTC))


def test_the_cheap_gates_pass_here(tmp_path):
    assert blocking(house(tmp_path, "cheap")) == {}


def test_the_shipped_persona_and_requirements_pass_predeploy(tmp_path):
    run = house(tmp_path, "predeploy", pod="a40")
    assert blocking(run) == {}
    assert run.verdict == "approved"


@pytest.fixture
def trapped(tmp_path):
    """Run a module of the house where importing torch, or what imports torch, leaves a trace and fails."""
    trap, trace = tmp_path / "trap", tmp_path / "trace"
    trap.mkdir()
    code = f"open({str(trace)!r}, 'a').write(__name__ + ' ')\nraise ImportError(f'{{__name__}} is trapped')\n"
    for name in ("torch", "diffusers", "transformers", "peft", "accelerate"):
        (trap / f"{name}.py").write_text(code, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(trap)}

    def run(*arguments):
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=project_root(), env=environment, capture_output=True, text=True, check=False, encoding="utf-8",
        )  # fmt: skip
        return done.returncode, trace.read_text(encoding="utf-8").split() if trace.exists() else [], done.stdout

    return run


def test_the_trap_holds(trapped):
    assert trapped("-c", "import torch")[:2] == (1, ["torch"])


@pytest.mark.parametrize("how", [("-m", "lifeos", "gate"), ("-m", "pytest", "-m")], ids=["lifeos", "pytest"])
@pytest.mark.parametrize("phase", ["cheap", "predeploy"])
def test_no_cheap_and_no_predeploy_gate_imports_torch(trapped, tmp_path, how, phase):
    lora = tmp_path / "a.safetensors"
    save_file({"lora.down.weight": np.zeros((1, 1), np.float32)}, lora)
    options = [f"--history={tmp_path / 'history.jsonl'}", f"--artifacts={tmp_path / 'artifacts'}"]
    if phase == "predeploy":
        options += ["--pod=a40", f"--lora={lora}"]
    status, imported, shown = trapped(*how, phase, *options)
    assert imported == [], shown
    # The file is no LoRA of the base: every gate came to a verdict, and one of them failed.
    assert status == (0 if phase == "cheap" else 1), shown
