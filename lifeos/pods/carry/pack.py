"""What goes into an archive: a project at a commit with its persona, or what came of it on the pod."""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifeos.errors import InputError
from lifeos.git import git_output, git_state
from lifeos.pods.carry.archive import Source, table_of, write_archive
from lifeos.pods.carry.manifest import MANIFEST_NAME, PackManifest

if TYPE_CHECKING:
    from lifeos.persona import Persona

HISTORY_NAME = "evals/eval_history.jsonl"
LORAS = "artifacts/loras"


Progress = Callable[[int, int], None]


def _silent(done: int, total: int) -> None:
    """Tell nobody."""


def pack_project(
    root: Path, persona: "Persona", target: Path, *, history: Path, artifacts: Path, created: str,
    lora: Path | None = None, allow_dirty: bool = False, progress: Progress = _silent,
) -> PackManifest:  # fmt: skip
    """Write everything that a pod needs: tracked files, the persona with pictures that git ignores, the history.

    Args:
        root: the checkout.
        persona: loaded; its folder lies below the root.
        target: archive to write.
        history: goes along, so that rows made there follow its last one.
        artifacts: data folder; nothing of it goes along.
        created: UTC time for the manifest.
        lora: goes along as ``artifacts/loras/<SHA-256>.safetensors``.
        allow_dirty: pack files that differ from the commit; they are named in the manifest.
        progress: called with (bytes done, bytes in all).

    Raises:
        InputError: no git checkout, changes that were not allowed, a persona elsewhere, or the archive cannot be
            written.
    """
    from evals.content_hash import hash_file

    state = git_state(root, (history, artifacts, target.absolute()))
    if state["git_commit"] is None:
        raise InputError(f"{root}: accepted a git checkout, got none; next: git init, git add, git commit")
    persona_folder = persona.folder.resolve()
    if not persona_folder.is_relative_to(root.resolve()):
        raise InputError(f"{persona.folder}: accepted a persona below {root}, got one elsewhere; next: copy it there")
    changed = [name for name in state["git_changed"] if not (root / name).resolve().is_relative_to(persona_folder)]
    if changed and not allow_dirty:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise InputError(f"pod pack: accepted a committed checkout, got changes ({changed[0]}{more}); next: commit, or "
                         f"--allow-dirty")  # fmt: skip
    sources: dict[str, Source] = {name: root / name for name in _tracked(root) if (root / name).is_file()}
    for path in sorted(persona_folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            sources[path.relative_to(root.resolve()).as_posix()] = path
    if history.exists():
        sources[HISTORY_NAME] = history.read_bytes()
    if lora is not None:
        sources[f"{LORAS}/{hash_file(lora)}.safetensors"] = _checked_lora(lora)
    manifest = PackManifest(
        schema_="lifeos.pack/1", kind="to_pod", created=created, commit=state["git_commit"], changed=changed,
        persona=persona.name, tip=_tip(history), files=table_of(sources),
    )  # fmt: skip
    write_archive(target, manifest, sources, progress)
    return manifest


def pack_results(
    root: Path, target: Path, *, history: Path, artifacts: Path, created: str, rows: Sequence[str] = (),
    progress: Progress = _silent,
) -> PackManifest:  # fmt: skip
    """Write what came of releases: the history, and LoRA, images, measurements and run folder of each.

    Args:
        root: the project on the pod.
        target: archive to write.
        history, artifacts: of the project there.
        created: UTC time for the manifest.
        rows: starts of ids or hashes; none takes every release that was recorded since the project was packed.
        progress: called with (bytes done, bytes in all).

    Raises:
        InputError: no release to pack, a row that is none, or a file that a row names is gone.
    """
    from evals.history import find, read

    known = read(history)
    packed = packed_manifest(root)
    if rows:
        chosen = [find(history, row) for row in rows]
    else:
        tip = packed.tip if packed is not None else None
        begin = next((number + 1 for number, row in enumerate(known) if row["hash"] == tip), 0)
        chosen = [row for row in known[begin:] if row.get("phase") == "release"]
    if not chosen:
        raise InputError(f"{history}: accepted a release since it was packed, got none; next: lifeos gate release")
    sources: dict[str, Source] = {HISTORY_NAME: history.read_bytes()}
    for row in chosen:
        sources |= _files_of(row, artifacts)
    persona = str(chosen[-1].get("persona"))
    manifest = PackManifest(
        schema_="lifeos.pack/1", kind="from_pod", created=created, commit=git_state(root)["git_commit"],
        persona=persona, tip=_tip(history), rows=[str(row["id"]) for row in chosen], files=table_of(sources),
    )  # fmt: skip
    write_archive(target, manifest, sources, progress)
    return manifest


def packed_manifest(root: Path) -> PackManifest | None:
    """Return the manifest that ``pod unpack`` left in a project without git, or None.

    Raises:
        InputError: it is something else.
    """
    from lifeos.pods.carry.manifest import read_manifest

    path = root / MANIFEST_NAME
    return read_manifest(path.read_bytes(), str(path)) if path.is_file() else None


def _files_of(row: Mapping[str, Any], artifacts: Path) -> dict[str, Source]:
    from lifeos.child import read_result
    from lifeos.lora.store import ImageStore

    if row.get("phase") != "release" or not row.get("release"):
        raise InputError(f"row {row.get('id')}: accepted a release with a run, got another; next: lifeos history")
    run = str(row["release"])
    folder = artifacts / "runs" / run
    result = read_result(folder)
    if result is None:
        raise InputError(f"row {row['id']}: accepted a run with its result, got none at {folder}; next: another row")
    found: dict[str, Source] = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix in (".json", ".jsonl"):
            found[f"artifacts/runs/{run}/{path.name}"] = path
    sha256, lora = (row.get("hashes") or {}).get("lora"), result.get("lora")
    if sha256 and lora:
        if not Path(lora).is_file():
            raise InputError(f"row {row['id']}: accepted its LoRA at {lora}, got none; next: lifeos gate release again")
        found[f"{LORAS}/{sha256}.safetensors"] = _checked_lora(Path(lora))
    store = ImageStore(artifacts / "samples")
    for name in ("metrics.jsonl", "champion_metrics.jsonl", "class_metrics.jsonl"):
        for image in _rows(folder / name):
            key = Path(str(image["file"])).stem
            try:
                path = store.path_for(key)
            except ValueError:
                # Finished images have names of their own and stay where the user keeps them.
                continue
            if path.is_file():
                found[f"artifacts/samples/{key[:2]}/{key}.png"] = path
            found |= _measured(artifacts, str(image["image"]))
    return found


def _measured(artifacts: Path, image: str) -> dict[str, Source]:
    found: dict[str, Source] = {}
    for backend in (artifacts / "measured").glob("*/backend.json"):
        record = backend.parent / image[:2] / f"{image}.json"
        if record.is_file():
            place = f"artifacts/measured/{backend.parent.name}"
            found |= {f"{place}/backend.json": backend, f"{place}/{image[:2]}/{image}.json": record}
    return found


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _checked_lora(path: Path) -> Path:
    from lifeos.lora.safetensors_file import read_header

    read_header(path)
    return path


def _tracked(root: Path) -> list[str]:
    try:
        return [name for name in git_output(root, "ls-files", "-z").split("\0") if name]
    except (OSError, subprocess.SubprocessError) as error:
        raise InputError(f"{root}: accepted a git checkout, got {error}; next: git status") from error


def _tip(history: Path) -> str | None:
    from evals.history import read

    rows = read(history)
    return str(rows[-1]["hash"]) if rows else None
