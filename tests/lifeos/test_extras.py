"""Optional packages: a marker that is believed only while it is true, and one line where pip cannot."""

import json
import subprocess
import sys

import pytest

from lifeos import extras
from lifeos.cli import main
from lifeos.errors import InputError
from lifeos.settings import project_root


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "requirements-sweep.lock").write_text(
        '# why\npytest==PYTEST\nwinonly==1 ; sys_platform == "plan9"\n'.replace("PYTEST", pytest.__version__),
        encoding="utf-8",
    )  # fmt: skip
    (tmp_path / "requirements.lock").write_text("six==1\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def pip(monkeypatch):
    """Replace pip; returns the commands it was given. ``fails`` is what it says before it ends with status 1."""

    class Commands(list):
        fails = None

    commands = Commands()

    def run(command, **_):
        commands.append(command)
        return subprocess.CompletedProcess(command, int(commands.fails is not None), "", commands.fails or "")

    monkeypatch.setattr(extras.subprocess, "run", run)
    return commands


def test_it_is_installed_once_and_held_to_the_lock(checkout, pip):
    assert extras.install("sweep", checkout, checkout)
    assert not extras.install("sweep", checkout, checkout)
    (command,) = pip
    assert command[:3] == [sys.executable, "-m", "pip"]
    assert command[-4:] == ["-r", str(checkout / "requirements-sweep.lock"), "-c", str(checkout / "requirements.lock")]


@pytest.mark.parametrize("change", ["lock", "gone", "half"])
def test_a_marker_that_is_no_longer_true_is_not_believed(checkout, pip, change, monkeypatch):
    extras.install("sweep", checkout, checkout)
    if change == "lock":
        lock = checkout / "requirements-sweep.lock"
        lock.write_text(lock.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    elif change == "gone":
        monkeypatch.setattr(extras, "_version", lambda name: None)
    else:
        (checkout / "lifeos-extra-sweep").write_bytes(b"\xff")
    assert extras.install("sweep", checkout, checkout)


def test_what_pip_cannot_install_is_one_line_and_leaves_no_marker(checkout, pip):
    extras.install("sweep", checkout, checkout)
    (checkout / "lifeos-extra-sweep").write_text("stale", encoding="ascii")
    pip.fails = "WARNING: Retrying\nERROR: No matching distribution found for ray==2.60.0\n\n"
    with pytest.raises(InputError, match=r"got ERROR: No matching .*; next: .* lifeos install-extra") as told:
        extras.install("sweep", checkout, checkout)
    assert "\n" not in str(told.value)
    assert not (checkout / "lifeos-extra-sweep").exists()


def test_the_command(pip, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert main(["install-extra", "sweep"]) == 0
    assert capsys.readouterr().out == "extra sweep: 11 packages installed\n"
    assert main(["install-extra", "nothing"]) == 2
    assert capsys.readouterr().err == "lifeos: extra: accepted sweep, got 'nothing'; next: name one of them\n"
    pip.fails = "ERROR: offline"
    (tmp_path / "lifeos-extra-sweep").unlink()
    assert main(["install-extra", "sweep", "--json"]) == 2
    assert "ERROR: offline" in json.loads(capsys.readouterr().out)["error"]


def test_tests_run_without_the_extra_and_say_which_skip(pip, monkeypatch, capsys, tmp_path):
    from lifeos import cli

    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    pip.fails = "ERROR: offline"
    cli._install_what_tests_need("sweep")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ERROR: offline" in line
    assert "tests/lifeos/parameter_sweep/test_ray_run.py" in line


def test_the_lock_names_nothing_twice():
    ours = extras.pinned(extras.lock_of("sweep"))
    assert not set(ours) & set(extras.pinned(project_root() / "requirements.lock"))
    assert {"ray", "optuna"} <= set(ours)
