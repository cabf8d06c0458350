"""Documentation that code can hold to its word."""

import ast
import configparser
import re
import tomllib
from pathlib import Path

import pytest

from lifeos.inputs import SHARED_OPTIONS
from lifeos.manifest import PHASES, default_manifest, load_manifest
from lifeos.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(path for package in ("evals", "lifeos") for path in (ROOT / package).rglob("*.py"))


def test_lifeos_toml_names_every_setting():
    written = tomllib.loads((ROOT / "lifeos.toml").read_text(encoding="utf-8"))
    assert set(written) == set(Settings.model_fields)


def test_every_phase_is_a_documented_marker():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "pytest.ini", encoding="utf-8")
    markers = dict(line.split(":", 1) for line in parser["pytest"]["markers"].strip().splitlines())
    assert set(markers) == {*PHASES, "gpu"}
    assert all(meaning.strip() for meaning in markers.values())


def test_pytest_is_configured_in_one_place():
    assert "pytest" not in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]


def test_every_gate_says_what_it_proves_in_one_line():
    for row in load_manifest(default_manifest()).gates:
        assert "\n" not in row.proves
        assert 10 < len(row.proves) <= 110, row.id


def test_the_command_line_knows_every_shared_option():
    source = (ROOT / "lifeos" / "cli.py").read_text(encoding="utf-8")
    for name, meaning in SHARED_OPTIONS:
        assert re.search(rf"\b{name.replace('-', '_')}: ", source) or name == "history", name
        assert meaning


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_public_things_have_docstrings(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "the module"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


def test_no_module_is_a_drawer():
    banned = {"utils", "helpers", "manager", "common", "misc"}
    assert not [path for path in SOURCES if path.stem in banned]
    assert not [path.name for path in SOURCES if len(path.read_text(encoding="utf-8").splitlines()) > 400]


def test_every_command_and_option_is_described():
    described = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    source = (ROOT / "lifeos" / "cli.py").read_text(encoding="utf-8")
    commands = re.findall(r"@app\.command\((?:\"([a-z-]+)\")?[^\n]*\)\ndef (\w+)", source)
    registered = re.findall(r"^app\.command\(\"([a-z-]+)\"\)\(", source, re.MULTILINE)
    assert len(commands) >= 5
    assert len(registered) >= 4
    for name in [*registered, *(given or function for given, function in commands)]:
        assert f"`lifeos {name}" in described, name
    for option, _ in SHARED_OPTIONS:
        assert f"`--{option} " in described, option
    for setting in Settings.model_fields:
        assert f"`{setting}`" in described, setting


def test_every_release_gate_is_described_with_its_severity():
    described = (ROOT / "docs" / "judging.md").read_text(encoding="utf-8")
    manifest = load_manifest(default_manifest())
    for row in manifest.gates:
        # What stands in the policy alone is soft and states itself what it proves.
        if "release" in row.phases and row not in manifest.from_policy:
            assert f"| `{row.id}` | {row.severity} |" in described, row.id


def test_paths_that_the_control_file_names_exist():
    control = (ROOT / "CLAUDE.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:evals|lifeos|gates|tests|docs)/[\w./-]+)`", control)
    assert named
    assert not [path for path in named if not (ROOT / path).exists()]


def test_every_test_that_the_families_page_names_is_there():
    page = (ROOT / "docs" / "families.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_[a-z0-9_]+)`", page))
    tests = (file.read_text(encoding="utf-8") for file in (ROOT / "tests" / "lifeos" / "lora").rglob("test_*.py"))
    there = {name for text in tests for name in re.findall(r"^def (test_[a-z0-9_]+)", text, re.MULTILINE)}
    assert len(named) >= 10
    assert named <= there
