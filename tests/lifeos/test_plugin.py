"""The plugin under plain pytest: what a bare run does, and that skipping, xfailing and typos do not slip through."""

import json
import subprocess
import sys

import pytest

from lifeos.settings import project_root
from tests.lifeos import simulated_release as simulation

MANIFEST = """
[[gate]]
id = "likeness"
phases = ["release"]
severity = "hard"
needs = ["champion"]
proves = "x"
[[gate]]
id = "ceiling"
phases = ["cheap"]
severity = "soft"
proves = "x"
[[gate]]
id = "hard_one"
phases = ["cheap"]
severity = "hard"
proves = "x"
"""
GATES = """
import pytest
from evals.verdict import failed, not_applicable, not_evaluated, passed

@pytest.mark.cheap
def test_ceiling(gate):
    gate(failed("too like"))

@pytest.mark.cheap
def test_hard_one(gate):
    {body}
"""


def plain(folder, *arguments):
    root = project_root()
    command = [sys.executable, "-m", "pytest", "-c", str(root / "pytest.ini"), f"--rootdir={root}"]
    command += ["-p", "lifeos.plugin"]
    done = subprocess.run(
        [*command, f"--manifest={folder / 'manifest.toml'}", *map(str, arguments)],
        cwd=root, capture_output=True, text=True, check=False, encoding="utf-8",
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def written(folder, body):
    (folder / "manifest.toml").write_text(MANIFEST, encoding="utf-8")
    (folder / "gate_made.py").write_text(GATES.format(body=body), encoding="utf-8")
    return folder


def test_a_soft_gate_that_blocks_fails_under_plain_pytest_and_a_pass_passes(tmp_path):
    code, said = plain(tmp_path, written(tmp_path, "gate(passed('x'))"), "-m", "cheap")
    assert code == 1, said
    assert "1 failed, 1 passed" in said


@pytest.mark.parametrize(
    "body",
    ["gate(failed('x'))", "gate(not_evaluated('x'))", "gate(not_applicable('x'))", "pass"],
)
def test_a_hard_gate_fails_unless_it_passes(tmp_path, body):
    code, said = plain(tmp_path, written(tmp_path, body))
    assert code == 1, said


def test_a_mistyped_marker_is_an_error(tmp_path):
    code, _ = plain(tmp_path, written(tmp_path, "gate(passed('x'))"), "-m", "chaep")
    assert code == 4


def test_a_path_that_is_not_there_is_a_usage_error(tmp_path):
    code, said = plain(tmp_path, "-m", "cheap", "--lora", tmp_path / "none.safetensors")
    assert code == 4
    assert "--lora" in said


def test_a_bare_pytest_runs_the_cheap_gates_and_says_so(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only"],
        cwd=project_root(), capture_output=True, text=True, check=False, encoding="utf-8",
    )  # fmt: skip
    assert "running the cheap gates" in done.stdout
    assert "gate_project.py" in done.stdout
    assert "test_tree_size" in done.stdout
    assert "test_likeness" not in done.stdout


def test_options_reach_a_plain_pytest_in_the_checkout(tmp_path):
    """pytest looks for its ini file beside a path after a space, so a path elsewhere needs the equals sign."""
    policy = tmp_path / "policy.toml"
    policy.write_text("", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-m", "release", "--collect-only", "-q"]
    for arguments in ([f"--policy={policy}"], ["--policy", "evals/policy.toml", "--persona", "personas/pistachio"]):
        done = subprocess.run(
            [*command, *arguments],
            cwd=project_root(), capture_output=True, text=True, check=False, encoding="utf-8",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "gates/gate_release.py::test_likeness" in done.stdout


KNOWN = """
import types
import pytest
from evals.verdict import failed, passed

def entry(name):
    return pytest.param(types.SimpleNamespace(gate="hard_one"), id=name, marks=pytest.mark.cheap)

@pytest.mark.parametrize("entry", [entry("fp16-vae"), entry("other")])
def test_known_failure(gate, entry, request):
    gate(failed("seen") if "fp16-vae" in request.node.name else passed("not there"))
"""


def test_a_known_failure_is_chosen_by_its_id_and_counts_for_its_gate(tmp_path):
    folder = written(tmp_path, "gate(passed('x'))")
    (folder / "gate_known.py").write_text(KNOWN, encoding="utf-8")
    code, said = plain(tmp_path, folder, "-m", "cheap", "-k", "fp16-vae", f"--invocation={tmp_path}", "-v")
    assert code == 1, said
    assert "test_known_failure[fp16-vae] FAILED" in said
    assert "other" not in said.partition("FAILURES")[0]
    events = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text(encoding="utf-8").splitlines()]
    gates = {(event["gate"], event["known_failure"]) for event in events if event["event"] == "gate"}
    assert gates == {("hard_one", True)}


def test_a_known_failure_of_samples_finds_the_release_walked_before_its_own_time_counts(tmp_path):
    """A test has ten minutes, fixtures have none: with the walk inside it, a release of 96 images broke off."""
    simulation.make_persona(tmp_path)
    code, said = plain(
        tmp_path, "-m", "release", "-k", "overfit-returns-training-photo", "--setup-show", "gates",
        f"--persona={tmp_path / 'persona one'}", f"--artifacts={tmp_path / 'artifacts'}",
        f"--history={tmp_path / 'history.jsonl'}", f"--release-engine={simulation.NAME}",
        f"--manifest={project_root() / 'gates' / 'manifest.toml'}",
    )  # fmt: skip
    lines = [line.strip() for line in said.splitlines()]
    walked = next(number for number, line in enumerate(lines) if line.startswith("SETUP    S release"))
    ran = next(number for number, line in enumerate(lines) if line.startswith("gates/gate_known_failures.py::"))
    assert (code, walked < ran) == (0, True), said
