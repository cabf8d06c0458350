"""``lifeos pod pack`` and ``lifeos pod unpack``."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lifeos.cli_options import artifacts_path, history_path, utc_now
from lifeos.errors import InputError

if TYPE_CHECKING:
    from lifeos.pods.carry.manifest import PackManifest
    from lifeos.progress import Progress


def pack(
    archive: Path, results: bool, rows: Sequence[str], persona: Path | None, lora: Path | None, allow_dirty: bool,
    history: str | None, artifacts: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Pack a project, or results; see ``lifeos pod pack --help``.

    Raises:
        InputError: as ``pack_project`` and ``pack_results``, or options of the one with the other.
    """
    from lifeos.persona import load_persona
    from lifeos.pods.carry.pack import pack_project, pack_results
    from lifeos.report.progress_bars import show_progress
    from lifeos.settings import load_project

    project = load_project()
    if not archive.name.endswith(".tar.gz"):
        raise InputError(f"{archive}: accepted a name ending in .tar.gz, got {archive.name!r}; next: rename it")
    if (rows and not results) or (results and (persona or lora or allow_dirty)):
        raise InputError("pod pack: accepted --row with --results, and --persona, --lora and --allow-dirty without it, "
                         "got both; next: lifeos pod pack --help")  # fmt: skip
    rows_file, data = history_path(history).absolute(), artifacts_path(artifacts)
    with show_progress() as progress:
        tell = _in_mebibytes(progress, "packing")
        if results:
            manifest = pack_results(
                project.root, archive, history=rows_file, artifacts=data, created=utc_now(), rows=rows, progress=tell
            )  # fmt: skip
        else:
            folder = persona or project.path("persona")
            loaded = load_persona(folder if folder.is_dir() else project.root / "personas" / folder, project.root)
            manifest = pack_project(project.root, loaded, archive, history=rows_file, artifacts=data, created=utc_now(),
                                    lora=lora, allow_dirty=allow_dirty, progress=tell)  # fmt: skip
    if as_json:
        print(json.dumps({"schema": "lifeos.pod_pack/1", "archive": str(archive), **_facts(manifest)}, allow_nan=False))
        return 0
    size = archive.stat().st_size / 2**20
    print(f"{archive}: {len(manifest.files)} files, {size:.1f} MiB, {_told(manifest)}")
    if results:
        print(f"next, on the laptop: lifeos pod unpack {archive.name}")
    else:
        print(f"it holds the pictures of {manifest.persona}: copy it to machines of yours alone")
        print(f"next, on the pod: tar xzf {archive.name} && cd lifeos-project && ./lifeos.sh gate pod")
    return 0


def unpack(archive: Path, into: Path | None, history: str | None, artifacts: str | None, as_json: bool) -> int:
    """Verify and write an archive; see ``lifeos pod unpack --help``.

    Raises:
        InputError: as ``lifeos.pods.carry.unpack.unpack``, or a folder is missing or named where none belongs.
    """
    from lifeos.pods.carry.archive import verify_archive
    from lifeos.pods.carry.unpack import unpack as take
    from lifeos.report.progress_bars import show_progress

    with show_progress() as progress:
        tell = _in_mebibytes(progress, "verifying")
        kind = verify_archive(archive, tell).kind
        if (kind == "to_pod") != (into is not None):
            wanted = "--into FOLDER for a packed project" if kind == "to_pod" else "no --into for results"
            raise InputError(f"pod unpack: accepted {wanted}, got {into or 'none'}; next: lifeos pod unpack --help")
        done = take(archive, (into or Path()).absolute(), history=history_path(history).absolute(),
                    artifacts=artifacts_path(artifacts), time=utc_now(), progress=tell)  # fmt: skip
    if as_json:
        facts = {"written": list(done.written), "loras": [str(path) for path in done.loras], "joined": done.joined}
        print(json.dumps({"schema": "lifeos.pod_unpack/1", **_facts(done.manifest), **facts}, allow_nan=False))
        return 0
    print(f"{archive}: {len(done.manifest.files)} files verified, {len(done.written)} written, {_told(done.manifest)}")
    if into is not None:
        print(f"next: cd {into} && ./lifeos.sh gate pod")
        return 0
    for path in done.loras:
        print(f"LoRA: {path}")
    print("both histories had grown: joined" if done.joined else "history: up to date")
    for row in done.manifest.rows:
        print(f"next: lifeos report {row}")
    return 0


def _in_mebibytes(progress: "Progress", stage: str) -> Callable[[int, int], None]:
    """Tell of whole MiB alone, each once: a call a file would flood a log."""
    told = -1

    def tell(done: int, total: int) -> None:
        nonlocal told
        if done >> 20 > told:
            told = done >> 20
            progress(stage, told, max(total >> 20, 1))

    return tell


def _facts(manifest: "PackManifest") -> dict[str, Any]:
    return {"kind": manifest.kind, "persona": manifest.persona, "commit": manifest.commit, "changed": manifest.changed,
            "rows": manifest.rows, "files": len(manifest.files)}  # fmt: skip


def _told(manifest: "PackManifest") -> str:
    at = f"at commit {manifest.commit[:12]}" if manifest.commit else "at no commit"
    changed = f" with {len(manifest.changed)} changed files" if manifest.changed else ""
    return f"persona {manifest.persona}, {at}{changed}"
