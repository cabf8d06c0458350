"""The launchers: no logic, both systems alike, exit codes passed through, from any folder, and without any Python."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tree_sitter_powershell
from tree_sitter import Language, Parser

ROOT = Path(__file__).resolve().parent.parent
SHELL = sorted(path.name for path in ROOT.glob("*.sh"))
POWERSHELL = sorted(path.name for path in ROOT.glob("*.ps1"))
WORDS = {"lifeos": [], "run-full-cycle": ["run-full-cycle"], "run-pistachio-agent": ["agent", "run"]}
NAMES = list(WORDS)
on_posix = pytest.mark.skipif(sys.platform == "win32", reason="the .sh launchers are for POSIX systems")


def run(command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_every_launcher_has_its_twin():
    assert [Path(name).stem for name in SHELL] == [Path(name).stem for name in POWERSHELL] == NAMES


@pytest.mark.parametrize("name", SHELL)
def test_shell_launchers_pass_shellcheck_and_stop_at_errors(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\nset -euo pipefail\n")
    checker = str(Path(sys.executable).with_name("shellcheck"))
    found = run([checker, "--severity=style", name], cwd=ROOT)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("name", POWERSHELL)
def test_powershell_launchers_parse_and_pass_the_status_on(name):
    data = (ROOT / name).read_bytes()
    assert data.isascii()
    assert not Parser(Language(tree_sitter_powershell.language())).parse(data).root_node.has_error
    lines = data.decode("ascii").splitlines()
    assert lines[:4] == [
        "#requires -Version 5.1", "Set-StrictMode -Version Latest", "$ErrorActionPreference = 'Stop'",
        "$PSNativeCommandUseErrorActionPreference = $false",
    ]  # fmt: skip
    assert lines[-1] == "exit $LASTEXITCODE"
    assert all("$PSScriptRoot" in line for line in lines if "Join-Path" in line)


def test_a_broken_script_does_not_parse():
    """The parser that judges the launchers sees an error where there is one."""
    parser = Parser(Language(tree_sitter_powershell.language()))
    assert parser.parse(b"if ($x { 'y' }\nexit $LASTEXITCODE\n").root_node.has_error


@pytest.mark.parametrize("name", NAMES[1:])
def test_twins_pass_the_same_words(name):
    shell = re.search(r"lifeos\.sh\" (.+) \"\$@\"", (ROOT / f"{name}.sh").read_text(encoding="utf-8"))
    power = re.search(r"'lifeos\.ps1'\) (.+) @args", (ROOT / f"{name}.ps1").read_text(encoding="ascii"))
    assert shell.group(1) == power.group(1)
    assert len((ROOT / f"{name}.sh").read_text(encoding="utf-8").splitlines()) == 3


def test_git_keeps_line_ends_and_the_executable_bit():
    listed = run(["git", "ls-files", "-s", "--eol", *SHELL, *POWERSHELL], cwd=ROOT)
    if listed.returncode != 0:
        pytest.skip("no git checkout")
    for line in listed.stdout.splitlines():
        name = line.rsplit("\t", 1)[1]
        assert f"eol={'lf' if name.endswith('.sh') else 'crlf'}" in line, line
        assert "i/lf" in line, line
        if name.endswith(".sh"):
            assert "100755" in line, line


@pytest.fixture
def copy(tmp_path):
    """The launchers alone, in a folder with a space, with a bootstrap that says what it was asked."""
    folder = tmp_path / "a check out"
    folder.mkdir()
    for name in SHELL:
        shutil.copy(ROOT / name, folder / name)
    script = "import json, os, sys\nprint(json.dumps([sys.argv[1:], os.getcwd()]))\nsys.exit(7)\n"
    (folder / "bootstrap.py").write_text(script, encoding="utf-8")
    return folder


@on_posix
@pytest.mark.parametrize(("name", "words"), WORDS.items())
def test_arguments_and_status_pass_from_any_folder(copy, tmp_path, name, words):
    import json

    given = ["--json", "two words", "", "*", "$HOME", "--", "-x"]
    done = run([str(copy / f"{name}.sh"), *given], cwd=tmp_path)
    assert done.returncode == 7, done.stderr
    assert json.loads(done.stdout) == [[*words, *given], str(tmp_path)]


@on_posix
@pytest.mark.parametrize("name", NAMES)
def test_without_any_python_it_says_so_in_one_line(copy, tmp_path, name):
    programs = tmp_path / "programs"
    programs.mkdir()
    for program in ("bash", "env", "dirname"):
        (programs / program).symlink_to(shutil.which(program))
    done = run([str(copy / f"{name}.sh")], env={"PATH": str(programs)})
    assert done.returncode == 2
    wanted = "Python 3.11 or newer is needed, got none on PATH; next: install one from python.org"
    assert done.stderr == f"lifeos: {wanted}\n"


@on_posix
def test_the_real_launcher_passes_a_wrong_command_on():
    if not (ROOT / ".venv").exists():
        pytest.skip("no environment beside the launcher")
    done = run([str(ROOT / "run-full-cycle.sh"), "--stage", "party"])
    assert done.returncode == 2
    assert "--stage: accepted guard, run, validate, promote, eval, commit, got 'party'" in done.stderr


@pytest.mark.skipif(shutil.which("pwsh") is None, reason="no PowerShell here: the .ps1 launchers were parsed, not run")
@pytest.mark.parametrize("name", NAMES)
def test_powershell_passes_status_and_arguments_on(name, tmp_path):
    done = run(["pwsh", "-NoProfile", "-File", str(ROOT / f"{name}.ps1"), "--no-such-option"], cwd=tmp_path)
    assert done.returncode == 2
