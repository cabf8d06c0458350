"""The front door: launchers without logic, an environment that is whole or made again."""

import importlib.util
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def bootstrap(tmp_path):
    """The module, standing in a checkout of its own whose path has a space."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("requirements.lock", "requirements-no-deps.lock"):
        (folder / name).write_text("six\n", encoding="utf-8")
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.ROOT = folder
    module.lock_hash.__defaults__ = (folder,)
    return module


@pytest.fixture
def steps(bootstrap, monkeypatch):
    """Fake venv and pip; returns what was run."""
    done = []

    class Builder:
        def __init__(self, **options):
            done.append(("venv", options["clear"]))

        def create(self, environment):
            python = bootstrap.python_of(environment)
            python.parent.mkdir(parents=True, exist_ok=True)
            python.write_text("", encoding="ascii")

    def run(command, **_):
        done.append(("pip", "--no-deps" in command))
        return subprocess.CompletedProcess(command, done.count(("pip", True)) and done.fails)

    class Done(list):
        fails = 0

    done = Done()
    monkeypatch.setattr(bootstrap.venv, "EnvBuilder", Builder)
    monkeypatch.setattr(bootstrap.subprocess, "run", run)
    monkeypatch.setattr(bootstrap, "hand_over", lambda command: done.append(("run", command[1:])) or 0)
    return done


WHOLE = [("venv", True), ("pip", False), ("pip", True)]


def test_a_missing_environment_is_made_once(bootstrap, steps):
    assert bootstrap.main(["settings"]) == 0
    assert steps == [*WHOLE, ("run", ["-m", "lifeos", "settings"])]
    del steps[:]
    assert bootstrap.main(["gate", "release", "--", "-n", "2"]) == 0
    assert steps == [("run", ["-m", "lifeos", "gate", "release", "--", "-n", "2"])]


def test_a_changed_lock_is_installed_into_it(bootstrap, steps):
    bootstrap.main([])
    (bootstrap.ROOT / "requirements.lock").write_text("six==1\n", encoding="utf-8")
    del steps[:]
    bootstrap.main([])
    assert steps[:2] == WHOLE[1:]


def test_a_changed_environment_no_longer_claims_its_extras(bootstrap, steps):
    bootstrap.main([])
    marker = bootstrap.ROOT / ".venv" / "lifeos-extra-sweep"
    marker.write_text("whole", encoding="ascii")
    bootstrap.main([])
    assert marker.exists()
    (bootstrap.ROOT / "requirements.lock").write_text("six==1\n", encoding="utf-8")
    bootstrap.main([])
    assert not marker.exists()


def test_windows_line_ends_are_no_change(bootstrap, steps):
    bootstrap.main([])
    (bootstrap.ROOT / "requirements.lock").write_bytes(b"six\r\n")
    assert bootstrap.is_ready(bootstrap.ROOT / ".venv")


def test_an_interrupted_installation_is_made_again_from_nothing(bootstrap, steps):
    bootstrap.main([])
    (bootstrap.ROOT / ".venv" / bootstrap.MARKER).unlink()
    del steps[:]
    bootstrap.main([])
    assert steps[:3] == WHOLE


def test_a_failed_installation_leaves_no_marker(bootstrap, steps, capsys):
    steps.fails = 7
    assert bootstrap.main(["settings"]) == 7
    assert not (bootstrap.ROOT / ".venv" / bootstrap.MARKER).exists()
    assert len(capsys.readouterr().err.splitlines()) == 2
    assert not any(step[0] == "run" for step in steps)


def test_an_old_python_is_one_clear_line(bootstrap, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 10, 4, "final", 0))
    assert bootstrap.main([]) == 2
    assert capsys.readouterr().err == (
        "lifeos: Python 3.11 or newer is needed, got 3.10.4; next: install one from python.org\n"
    )


def test_it_uses_the_standard_library_only():
    source = (ROOT / "bootstrap.py").read_text(encoding="utf-8")
    modules = set(re.findall(r"^\s*(?:import|from) (\w+)", source, re.MULTILINE))
    assert modules <= sys.stdlib_module_names


def test_launchers_hold_no_logic_of_their_own():
    shell, powershell, batch = ((ROOT / f"lifeos.{suffix}").read_bytes() for suffix in ("sh", "ps1", "cmd"))
    assert b"\r" not in shell
    assert b"set -euo pipefail" in shell
    assert powershell.decode("ascii").rstrip().endswith("exit $LASTEXITCODE")
    assert powershell.startswith(b"#requires -Version 5.1")
    assert all(b"bootstrap.py" in launcher for launcher in (shell, powershell, batch))
    batch.decode("ascii")


@pytest.mark.skipif(os.name == "nt", reason="bash and file modes are not for Windows")
def test_shell_scripts_parse_and_can_be_run():
    for name in ("lifeos.sh", ".ci/run"):
        path = ROOT / name
        assert path.stat().st_mode & stat.S_IXUSR
        subprocess.run(["bash", "-n", str(path)], check=True)


def test_the_lock_pins_every_line_without_label_or_hash():
    for name in ("requirements.lock", "requirements-no-deps.lock", "requirements-sweep.lock"):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        pinned = [line for line in lines if line and not line.startswith("#")]
        assert all(re.fullmatch(r"[a-z0-9_.-]+==[0-9][0-9a-z.]*( ; .+)?", line) for line in pinned)
        assert "+cpu" not in "".join(pinned)
    assert "torch==2.13.0" in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
