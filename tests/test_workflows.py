"""The workflows for GitHub and the pre-commit hooks: they parse, hold no logic, and every command in them exists."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
EXPRESSION = re.compile(r"\$\{\{")


def load(path):
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    # YAML 1.1 reads the key `on` as a truth value.
    return {("on" if key is True else key): value for key, value in found.items()}


def steps(path):
    return [step for job in load(path)["jobs"].values() for step in job["steps"]]


def commands():
    found = [(path.name, step["run"]) for path in WORKFLOWS for step in steps(path) if "run" in step]
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    return found + [(".pre-commit-config.yaml", hook["entry"]) for hook in hooks]


def test_there_are_three_and_what_starts_them():
    assert [path.name for path in WORKFLOWS] == ["cheap.yml", "predeploy.yml", "release.yml"]
    assert set(load(WORKFLOWS[0])["on"]) == {"push", "pull_request"}
    assert all(list(load(path)["on"]) == ["workflow_dispatch"] for path in WORKFLOWS[1:])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_read_alone_ends_and_keeps_no_credentials(path):
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert "secrets." not in path.read_text(encoding="utf-8")
    for job in workflow["jobs"].values():
        assert 0 < job["timeout-minutes"] <= 360
    uses = {step["uses"]: step for step in steps(path) if "uses" in step}
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", name) for name in uses)
    assert uses["actions/checkout@v4"]["with"]["persist-credentials"] is False


@pytest.mark.parametrize(("file", "command"), commands())
def test_a_step_is_one_command_of_this_checkout_without_an_expression_in_it(file, command):
    assert "\n" not in command.strip()
    assert not EXPRESSION.search(command)
    words = shlex.split(command)
    assert words[0] == "./lifeos.sh"
    assert not {"|", "&&", "||", ";", ">", "`"} & set(command)
    names = [word for word in words[1:] if not word.startswith(("-", "$"))]
    arguments = [sys.executable, "-m", "lifeos", *names[: 2 if names[0] in ("hooks", "agent") else 1], "--help"]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for word in words:
        if word.startswith("--"):
            assert word in done.stdout


@pytest.mark.parametrize("path", WORKFLOWS[1:], ids=lambda path: path.name)
def test_inputs_come_through_the_environment_and_an_empty_one_is_none(path):
    job = next(iter(load(path)["jobs"].values()))
    inputs = load(path)["on"]["workflow_dispatch"]["inputs"]
    assert job["env"] == {name.upper(): f"${{{{ inputs.{name} }}}}" for name in inputs}
    assert all(each["default"] == "" and each["required"] is False for each in inputs.values())
    used = " ".join(step.get("run", "") for step in steps(path))
    assert all(f'"${name.upper()}"' in used for name in inputs)


def test_no_face_leaves_the_machine():
    kept = [line for path in WORKFLOWS for step in steps(path) if "upload" in step.get("uses", "")
            for line in step["with"]["path"].split()]  # fmt: skip
    assert kept
    assert set(kept) == {
        "evals/eval_history.jsonl", "artifacts/pods/", "artifacts/reports/**/*.xml", "artifacts/reports/**/*.md",
    }  # fmt: skip


def test_the_commands_of_every_commit_run(tmp_path):
    done = subprocess.run([sys.executable, "-m", "lifeos", "gate", "cheap", "--json", "--artifacts", str(tmp_path)],
                          cwd=ROOT, capture_output=True, text=True, check=False)  # fmt: skip
    assert '"phase": "cheap"' in done.stdout
