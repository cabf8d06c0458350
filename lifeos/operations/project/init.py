"""A persona's project, whole or not at all: built in a folder beside its place and renamed last."""

import os
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from evals.atomic import sync_folder
from evals.content_hash import hash_json
from lifeos.errors import InputError
from lifeos.git import git_state
from lifeos.new_persona.plan import PersonaPlan, Request, plan_persona
from lifeos.new_persona.scaffold import scaffold
from lifeos.operations.briefing.item_text import inert
from lifeos.operations.guard.checkout import Checkout
from lifeos.operations.guard.freshness import verify_document
from lifeos.operations.project.layout import render, toolchain_files, without_broken_links
from lifeos.skeleton import SKELETON, skeleton_digest

ORIGIN = "lifeos-origin.toml"
CONTRACT = "agents/pistachio-agent-v3.md"


@dataclass(frozen=True)
class NewProject:
    """What was made: folder, the persona's plan, how many files, commit of the toolchain or None."""

    folder: Path
    plan: PersonaPlan
    files: int
    commit: str | None


def init_project(
    source: Path, folder: Path, *, name: str, trigger: str, class_word: str, base: str, family: str, today: date
) -> NewProject:
    """Lay out a project for a persona: toolchain, control plane, persona skeleton, settings, workflows.

    Args:
        source: the checkout whose toolchain is copied.
        folder: an empty or new folder outside of it.
        name, trigger, class_word, base, family: of the persona; an empty trigger is made of the name.
        today: date that documents are verified on.

    Raises:
        InputError: the folder holds something, lies in the checkout or cannot be written, or what the persona is called
            cannot be its name or trigger. Nothing is left behind then.
    """
    folder = folder.absolute()
    _refuse_place(source, folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.new-", dir=folder.parent) as place:
            work = Path(place) / "project"
            (work / "personas").mkdir(parents=True)
            (Path(place) / "photographs").mkdir()
            request = Request(Path(place) / "photographs", work / "personas", name, trigger, class_word, base, family)
            plan = plan_persona(request, source)
            commit = _fill(source, work, plan, today)
            files = sum(path.is_file() for path in work.rglob("*"))
            if folder.exists():
                folder.rmdir()
            os.rename(work, folder)
            sync_folder(folder.parent)
    except OSError as error:
        raise InputError(
            f"{folder}: accepted a folder that can be written, got {error.strerror or error}; next: another place"
        ) from error
    return NewProject(folder, plan, files, commit)


def _refuse_place(source: Path, folder: Path) -> None:
    if folder.resolve().is_relative_to(source.resolve()):
        raise InputError(f"{folder}: accepted a folder outside of {source}, got one in it; next: another place")
    if os.path.lexists(folder):
        if folder.is_symlink() or not folder.is_dir():
            raise InputError(f"{folder}: accepted an empty or new folder, got a file or link; next: another place")
        there = sorted(path.name for path in folder.iterdir())
        if there:
            more = f" and {len(there) - 1} more" if len(there) > 1 else ""
            raise InputError(f"{folder}: accepted an empty or new folder, got {there[0]}{more}; next: another place")


def _fill(source: Path, work: Path, plan: PersonaPlan, today: date) -> str | None:
    persona = plan.folder.name
    contract = f"agents/{_slug(persona)}-agent.md"
    files = toolchain_files(source)
    own = {
        "name": inert(plan.name), "folder": persona, "trigger": plan.trigger, "today": today.isoformat(),
        "class_word": inert(plan.request.class_word), "base": inert(plan.base),
    }  # fmt: skip
    made = {
        "CLAUDE.md": render("CLAUDE.md", own), "PROGRESS.md": render("PROGRESS.md", own),
        "README.md": render("README.md", own), f"context/projects/{persona}/context.md": render("context.md", own),
        "context/session-learnings.md": render("session-learnings.md", own),
        contract: _contract(source, persona, contract), "lifeos.toml": _settings(source, persona),
    }  # fmt: skip
    skeleton = scaffold(plan, 0)
    own["digest"] = skeleton_digest({name: text.encode("utf-8") for name, text in skeleton.items()})
    made |= {f"personas/{persona}/{name}": text for name, text in skeleton.items()}
    made |= {f"personas/{persona}/{SKELETON}": render("SKELETON.md", own), "evals/eval_history.jsonl": ""}
    for suffix in ("sh", "ps1"):
        launcher = source / f"run-pistachio-agent.{suffix}"
        files[f"run-{_slug(persona)}-agent.{suffix}"] = launcher.read_bytes()
    files = {name.replace("pistachio-agent-v3", f"{_slug(persona)}-agent"): data for name, data in files.items()}
    files["docs/agent.md"] = files["docs/agent.md"].replace(CONTRACT.encode(), contract.encode())
    files |= {name: text.encode("utf-8") for name, text in made.items()}
    files = without_broken_links(files)
    commit = git_state(source)["git_commit"]
    digest = hash_json(sorted(files))
    files[ORIGIN] = f'# Which lifeos this is.\ncommit = "{commit or "unknown"}"\nfiles = "{digest}"\n'.encode()
    for name, data in files.items():
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if name.endswith(".sh") and os.name != "nt":
            path.chmod(0o755)
    _pin(work, files, today)
    return None if commit is None else str(commit)


def _pin(work: Path, files: dict[str, bytes], today: date) -> None:
    """Verify every document that says what it governs against the files of the new project."""
    for name in sorted(files):
        head = files[name][:2000] if name.endswith(".md") else b""
        if head.startswith(b"---\n") and (b"\ngoverns:" in head or b"\nverified_on:" in head):
            checkout = Checkout(work)
            checkout.tracked = frozenset(files)
            verify_document(checkout, name, today)


def _contract(source: Path, persona: str, name: str) -> str:
    text = (source / CONTRACT).read_text(encoding="utf-8")
    return (
        text.replace(CONTRACT, name)
        .replace("Pistachio agent, version 3", f"Agent of {inert(persona)}")
        .replace("pistachio-agent-v3", f"{_slug(persona)}-agent")
        .replace("personas/pistachio/", f"personas/{persona}/")
        .replace("[pistachio.", "[persona.")
    )


def _settings(source: Path, persona: str) -> str:
    import json

    lines = (source / "lifeos.toml").read_text(encoding="utf-8").splitlines()
    named = f"persona = {json.dumps(f'personas/{persona}', ensure_ascii=False)}"
    return "\n".join(named if line.startswith("persona =") else line for line in lines) + "\n"


def _slug(text: str) -> str:
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower()).strip("-")
    return kept or "persona"
