"""An archive back to files: everything is verified and refused, or every file is written, the history last."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evals.atomic import write_bytes
from evals.content_hash import hash_bytes, hash_file
from lifeos.errors import InputError
from lifeos.pods.carry.archive import read_members, verify_archive
from lifeos.pods.carry.manifest import MANIFEST_NAME, PackManifest
from lifeos.pods.carry.pack import HISTORY_NAME, LORAS

# What a pod may send back, and nowhere else.
_RESULTS = re.compile(
    r"artifacts/loras/[0-9a-f]{64}\.safetensors|artifacts/samples/[0-9a-f]{2}/[0-9a-f]{64}\.png"
    r"|artifacts/runs/[A-Za-z0-9-]+/[A-Za-z0-9_-]+\.jsonl?|artifacts/measured/[0-9a-f]+/backend\.json"
    r"|artifacts/measured/[0-9a-f]+/[0-9a-f]{2}/[0-9a-f]{64}\.json|evals/eval_history\.jsonl"
)


@dataclass(frozen=True)
class Unpacked:
    """What came of an archive.

    Args:
        manifest: of the archive.
        written: files that were not there before.
        loras: LoRA files, where they lie now.
        joined: whether both histories had grown and a join row was added.
    """

    manifest: PackManifest
    written: tuple[str, ...]
    loras: tuple[Path, ...]
    joined: bool


def unpack(
    archive: Path,
    into: Path,
    *,
    history: Path,
    artifacts: Path,
    time: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Unpacked:
    """Verify an archive and write what is in it; a second time, or after a kill, only what is missing is written.

    Args:
        archive: of ``pack_project`` or ``pack_results``.
        into: for a project an empty or new folder, or one that an earlier try filled; for results the checkout.
        history, artifacts: of the checkout that takes results.
        time: UTC, for a join row.
        progress: called with (bytes done, bytes in all).

    Raises:
        InputError: the archive is refused, something else lies where a file belongs, or its history is of another
            project. Nothing is written then.
    """
    manifest = verify_archive(archive, progress)
    if manifest.kind == "to_pod":
        return _lay_out(archive, manifest, into)
    return _take_in(archive, manifest, history, artifacts, time)


def _lay_out(archive: Path, manifest: PackManifest, into: Path) -> Unpacked:
    into.mkdir(parents=True, exist_ok=True)
    strange = [name for name in _there(into) if name not in manifest.files and name != MANIFEST_NAME]
    if strange:
        raise InputError(f"{into}: accepted an empty folder, got {strange[0]} in it; next: --into another folder")
    _refuse_others(manifest, lambda name: into / name)
    written = []
    for name, data in read_members(archive):
        if _write(into / name, data, runs=manifest.files[name].runs):
            written.append(name)
    loras = tuple(into / name for name in manifest.files if name.startswith(f"{LORAS}/"))
    # Last: what says which commit this is stands only where everything of it stands.
    write_bytes(into / MANIFEST_NAME, manifest.model_dump_json(by_alias=True).encode("utf-8"))
    return Unpacked(manifest, tuple(written), loras, False)


def _take_in(archive: Path, manifest: PackManifest, history: Path, artifacts: Path, time: str) -> Unpacked:
    strange = [name for name in manifest.files if not _RESULTS.fullmatch(name)]
    if strange:
        raise InputError(f"{archive}: accepted LoRAs, images, runs, a history, got {strange[0]!r}; next: pack it again")

    def place(name: str) -> Path:
        return artifacts / name.removeprefix("artifacts/")

    _refuse_others(manifest, lambda name: None if name == HISTORY_NAME else place(name))
    rows = next((data for name, data in read_members(archive) if name == HISTORY_NAME), None)
    incoming = artifacts / "incoming-history.jsonl"
    try:
        if rows is not None:
            write_bytes(incoming, rows)
            _refuse_history(history, incoming)
        _check_loras(archive)
        written = []
        for name, data in read_members(archive):
            if name != HISTORY_NAME and _write(place(name), data):
                written.append(name)
        joined = rows is not None and _merge(history, incoming, time)
    finally:
        incoming.unlink(missing_ok=True)
    loras = tuple(place(name) for name in manifest.files if name.startswith(f"{LORAS}/"))
    return Unpacked(manifest, tuple(written), loras, joined)


def _refuse_history(history: Path, incoming: Path) -> None:
    """Refuse rows that could not be merged before anything is written."""
    from evals.history import read, verify

    for each in (incoming, history):
        problems = verify(each).problems if each.exists() else ()
        if problems:
            raise InputError(f"{problems[0]}; next: lifeos history verify")
    own, theirs = ({row["hash"] for row in read(each)} for each in (history, incoming))
    if own and theirs and not own & theirs:
        raise InputError("the archive's history: accepted one that shares a row with this project's, got another "
                         "project's; next: unpack it there")  # fmt: skip


def _merge(history: Path, incoming: Path, time: str) -> bool:
    from evals.history import JOIN_SCHEMA, merge, read

    before = {row["hash"] for row in read(history)}
    if {row["hash"] for row in read(incoming)} <= before:
        return False
    last = merge(history, incoming, time=time)
    return last.get("schema") == JOIN_SCHEMA and last["hash"] not in before


def _check_loras(archive: Path) -> None:
    """Open every LoRA's header before any file is written: its name is its hash, its format the safe one."""
    import tempfile

    from lifeos.lora.safetensors_file import read_header

    for name, data in read_members(archive):
        if not name.startswith(f"{LORAS}/"):
            continue
        if hash_bytes(data) != Path(name).stem:
            raise InputError(f"{archive}: accepted a LoRA named by its hash, got {name!r}; next: pack it again")
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "lora.safetensors"
            copy.write_bytes(data)
            try:
                read_header(copy)
            except InputError as error:
                raise InputError(f"{archive}: {name}: {str(error).removeprefix(f'{copy}: ')}") from error


def _refuse_others(manifest: PackManifest, place: Callable[[str], Path | None]) -> None:
    for name, packed in manifest.files.items():
        path = place(name)
        if path is None or not os.path.lexists(path):
            continue
        same = path.is_file() and not path.is_symlink() and path.stat().st_size == packed.size
        if not same or hash_file(path) != packed.sha256:
            raise InputError(f"{path}: accepted nothing or the archive's file, got other bytes; next: move it away")


def _write(path: Path, data: bytes, *, runs: bool = False) -> bool:
    if path.is_file():
        return False
    write_bytes(path, data)
    if runs and os.name != "nt":
        path.chmod(0o755)
    return True


def _there(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
