import os
import shutil
import tomllib
from datetime import date
from pathlib import Path

import pytest

from evals.verdict import Outcome
from lifeos.errors import InputError
from lifeos.new_persona.create import _name_it
from lifeos.new_persona.plan import Request, plan_persona
from lifeos.operations.agent.contract import load_contract
from lifeos.operations.guard.preflight import guard_findings
from lifeos.operations.project.init import init_project
from lifeos.operations.project.layout import render, toolchain_files, without_broken_links
from lifeos.persona import load_persona
from lifeos.skeleton import SKELETON, is_skeleton, is_untouched, refuse_skeleton
from tests.lifeos.operations.cycle.world import git

ROOT = Path(__file__).resolve().parents[4]
DAY = date(2026, 11, 27)
GIVEN = {"trigger": "", "class_word": "woman", "base": "models/tiny-base", "family": "tiny_base", "today": DAY}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project laid out once, committed."""
    folder = tmp_path_factory.mktemp("init") / "my project"
    project = init_project(ROOT, folder, name="Anna B", **GIVEN)
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "Begin")
    return project


def test_a_new_project_is_whole_and_ready_for_its_cheap_gates(made):
    findings = {each.id: each for each in guard_findings(made.folder, DAY)}
    assert {name: each.verdict.reason for name, each in findings.items() if each.blocks} == {}
    assert findings["docs_freshness"].verdict.outcome is Outcome.PASSED


def test_its_control_files_name_the_persona_and_nothing_of_the_demo(made):
    folder = made.folder
    persona = made.plan.folder.name
    assert tomllib.loads((folder / "lifeos.toml").read_text(encoding="utf-8"))["persona"] == f"personas/{persona}"
    contract = load_contract(folder)
    assert contract.name == "agents/anna-b-agent.md"
    assert f"personas/{persona}/persona.toml" in contract.contract.reads
    for name in ("CLAUDE.md", "PROGRESS.md", "README.md", contract.name, f"context/projects/{persona}/context.md",
                 "context/session-learnings.md"):  # fmt: skip
        text = (folder / name).read_text(encoding="utf-8")
        assert "pistachio" not in text.lower(), name
        assert "{{" not in text
    assert not (folder / "personas" / "pistachio").exists()
    assert (folder / "evals" / "eval_history.jsonl").read_bytes() == b""
    origin = tomllib.loads((folder / "lifeos-origin.toml").read_text(encoding="utf-8"))
    assert origin["commit"] == (made.commit or "unknown")


def test_its_launchers_run_and_its_code_is_this_ones(made):
    for name in ("lifeos.sh", "run-full-cycle.sh", "run-anna-b-agent.sh"):
        assert os.access(made.folder / name, os.X_OK)
    for name in ("lifeos/cli.py", "evals/judge.py", "gates/manifest.toml"):
        assert (made.folder / name).read_bytes() == (ROOT / name).read_bytes()
    assert not (made.folder / "tests" / "lifeos").exists()
    assert (made.folder / ".github" / "workflows" / "cheap.yml").exists()


def test_the_skeleton_is_a_persona_without_photographs(made):
    folder = made.plan.folder.parent.parent.parent / "x"
    persona = made.folder / "personas" / made.plan.folder.name
    assert folder != persona
    loaded = load_persona(persona, made.folder)
    assert (loaded.trigger, loaded.class_word) == (made.plan.trigger, "woman")
    assert is_untouched(persona)
    with pytest.raises(InputError, match="got none yet; next: lifeos new-persona"):
        refuse_skeleton(persona)


def skeleton(made, tmp_path):
    copy = tmp_path / "personas" / made.plan.folder.name
    shutil.copytree(made.folder / "personas" / made.plan.folder.name, copy)
    return copy


@pytest.mark.parametrize(
    "edit",
    [
        lambda folder: (folder / "recipe.toml").write_text("steps = 3\n", encoding="utf-8"),
        lambda folder: (folder / "mine.txt").write_text("", encoding="utf-8"),
        lambda folder: (folder / "dataset").mkdir(),
        lambda folder: (folder / "prompts.toml").unlink(),
        lambda folder: (folder / SKELETON).write_text("edited\n", encoding="utf-8"),
    ],
)
def test_only_an_untouched_skeleton_may_be_replaced(made, tmp_path, edit):
    folder = skeleton(made, tmp_path)
    edit(folder)
    assert is_skeleton(folder)
    assert not is_untouched(folder)
    (tmp_path / "photographs").mkdir()
    request = Request(tmp_path / "photographs", folder.parent, folder.name)
    with pytest.raises(InputError, match="accepted a free name"):
        plan_persona(request, ROOT)


def test_a_persona_takes_the_place_of_its_skeleton(made, tmp_path):
    folder = skeleton(made, tmp_path)
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    (tmp_path / "photographs").mkdir()
    assert plan_persona(Request(tmp_path / "photographs", folder.parent, folder.name), ROOT).folder == folder
    work = folder.parent / ".work"
    work.mkdir()
    (work / "persona.toml").write_text("new\n", encoding="utf-8")
    _name_it(work, folder)
    assert [path.name for path in folder.iterdir()] == ["persona.toml"]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert not is_skeleton(folder)


def test_a_folder_that_is_taken_is_left_alone(tmp_path):
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine.txt").write_text("x", encoding="utf-8")
    file = tmp_path / "file"
    file.write_text("x", encoding="utf-8")
    for folder, said in ((taken, r"got mine\.txt"), (file, "a file or link"), (ROOT / "inside", "outside of")):
        with pytest.raises(InputError, match=said):
            init_project(ROOT, folder, name="Anna", **GIVEN)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken"]
    assert not (ROOT / "inside").exists()


@pytest.mark.parametrize("changes", [{"name": "con"}, {"name": "a/b"}, {"name": "\u202e"}, {"trigger": "two words"},
                                     {"class_word": ""}, {"family": "none"}])  # fmt: skip
def test_a_name_that_is_none_leaves_nothing_behind(tmp_path, changes):
    with pytest.raises(InputError):
        init_project(ROOT, tmp_path / "new", **({"name": "Anna"} | GIVEN | changes))
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_filled_and_a_failure_leaves_it_empty(tmp_path, monkeypatch):
    folder = tmp_path / "empty"
    folder.mkdir()
    real = os.rename

    def rename(source, target):
        if Path(target) == folder:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(InputError, match="No space left"):
        init_project(ROOT, folder, name="Anna", **GIVEN)
    assert not folder.exists() or list(folder.iterdir()) == []
    assert len(list(tmp_path.iterdir())) <= 1


def test_links_that_lead_nowhere_become_their_words():
    text = b"[here](b.md) [gone](c.md) ![picture](d.png) [web](https://x.org) [top](#t) [up](../README.md)"
    files = {"docs/a.md": text, "docs/b.md": b"", "README.md": b""}
    assert without_broken_links(files)["docs/a.md"] == (
        b"[here](b.md) gone picture [web](https://x.org) [top](#t) [up](../README.md)"
    )


def test_the_toolchain_takes_neither_demo_nor_records_nor_bytecode():
    names = toolchain_files(ROOT)
    assert {"lifeos/cli.py", "bootstrap.py", "tests/must_block/likeness.json"} <= set(names)
    demo = ("personas/", "artifacts/", "tests/lifeos", "docs/demo-", "evals/eval_history.jsonl")
    assert not [name for name in names if "__pycache__" in name or name.startswith(demo)]


def test_a_template_that_asks_for_what_is_not_given_is_an_error():
    import jinja2

    with pytest.raises(jinja2.UndefinedError):
        render("context.md", {})
