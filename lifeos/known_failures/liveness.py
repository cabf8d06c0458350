"""Is an entry live: its reproducer makes its detector fire and the healthy twin does not. Computed by running both."""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from evals.atomic import write_json
from evals.content_hash import hash_file, hash_folder, hash_json
from evals.known_failures import Entry, Place, is_recorded, reproduce
from lifeos.errors import InputError
from lifeos.inputs import SHARED_OPTIONS, read_inputs
from lifeos.known_failures.detection import Looked, detect
from lifeos.known_failures.given import Given
from lifeos.pods.probe.environment import installed_versions
from lifeos.settings import load_project, project_root

MACHINE, ROWS, SETTINGS = "machine", "rows", "settings"
"""What a reproducer calls a recorded machine, recorded image rows (of these a run looks at its own), and a
``lifeos.toml`` that stands in for the checkout's own and lies in a folder of its own."""


@dataclass(frozen=True)
class Liveness:
    """Whether an entry is live.

    Args:
        live: the broken artefact was found and the healthy one was not.
        why: why it is not live; what was found where it is.
        recorded: a recording stood in for what the failure needs.
    """

    live: bool
    why: str
    recorded: bool = False


def available(need: str) -> bool:
    """Return whether this machine has what an entry needs; another image or host it never has."""
    if need == "gpu":
        from lifeos.pods.probe.nvml import read_machine

        return read_machine().problem is None
    return sys.platform.startswith({"windows": "win", "linux": "linux"}.get(need, "none"))


def without_hardware(need: str) -> bool:
    """Return False for a GPU: what a page says of an entry is what any machine of this system can say."""
    return need != "gpu" and available(need)


def liveness(entry: Entry, artifacts: Path, available: Callable[[str], bool] = available) -> Liveness:
    """Make the artefact of an entry and its twin in a folder of their own and look at both.

    Args:
        entry: of the registry.
        artifacts: data folder; what is looked at is remembered there as in any run.
        available: says whether what an entry needs is here.
    """
    if entry.not_live_because is not None:
        return Liveness(False, entry.not_live_because)
    recorded = is_recorded(entry, project_root(), available)
    try:
        with tempfile.TemporaryDirectory(prefix="lifeos-known-failure-") as folder:
            broken, healthy = (
                detect(entry, reproduced(entry, Path(folder) / name, artifacts, broken=broken, available=available))
                for name, broken in (("broken", True), ("healthy", False))
            )
    except InputError as error:
        return Liveness(False, str(error), recorded)
    except Exception as error:  # whatever a reproducer breaks on is why it is not live
        return Liveness(False, f"the reproducer or the detector broke: {type(error).__name__}: {error}", recorded)
    return compare(broken, healthy, recorded)


def compare(broken: Looked, healthy: Looked, recorded: bool = False) -> Liveness:
    """Return whether what was seen in the broken artefact and in its healthy twin makes an entry live."""
    if broken.found is None:
        return Liveness(False, f"the detector does not see the reproduced failure{_blind(broken)}", recorded)
    if healthy.found is not None:
        return Liveness(False, f"the detector sees it in the healthy twin too: {healthy.found}", recorded)
    if healthy.blind is not None:
        return Liveness(False, f"the healthy twin could not be looked at{_blind(healthy)}", recorded)
    return Liveness(True, broken.found, recorded)


def reproduced(
    entry: Entry, folder: Path, artifacts: Path, *, broken: bool, available: Callable[[str], bool] = available
) -> Given:
    """Make one artefact in a new folder and return it as a run would be given it.

    Raises:
        InputError: it cannot be made, or the options that hand it in are none of ``lifeos gate``.
    """
    # What libraries remark on a spoiled model is no remark on the user's; they read these when they are imported.
    for library in ("DIFFUSERS", "TRANSFORMERS"):
        os.environ.setdefault(f"{library}_VERBOSITY", "error")
    project = load_project()
    folder.mkdir(parents=True)
    options: dict[str, Any] = dict(reproduce(entry, Place(folder, project.root), broken=broken, available=available))
    machine, rows, settings = (options.pop(name, None) for name in (MACHINE, ROWS, SETTINGS))
    if settings is not None:
        project = replace(project, settings=load_project(Path(settings).parent).settings)
    unknown = sorted(set(options) - {name for name, _ in SHARED_OPTIONS} - {"artifacts"})
    if unknown:
        raise InputError(f"{entry.id}: accepted options of lifeos gate, got {unknown[0]!r}; next: edit its reproducer")
    inputs = read_inputs({"artifacts": str(artifacts), **options}, project)
    if machine is None:
        return Given(inputs, offline=True, recorded_rows=None if rows is None else Path(rows))
    from lifeos.pods.probe.recorded import recorded_machine

    return Given(inputs, offline=True, on=recorded_machine(Path(machine)))


def all_liveness(entries: Sequence[Entry], artifacts: Path) -> Iterable[tuple[Entry, Liveness]]:
    """Give each entry with its liveness, in order; what was run over the same files and packages is not run again.

    Heavy reproducers import torch: 38 entries took 10 s of processor time. The file that remembers is named by a hash
    over everything that a reproducer or a detector reads, so that any change of any of it runs all of them again.
    """
    known_at = artifacts / "checks" / f"known-failures-{_everything_read()[:32]}.json"
    try:
        known: dict[str, dict[str, Any]] = json.loads(known_at.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    for entry in entries:
        if entry.id not in known:
            known[entry.id] = asdict(liveness(entry, artifacts))
            write_json(known_at, known, durable=False)
        yield entry, Liveness(**known[entry.id])


def _everything_read() -> str:
    root = project_root()
    folders = {
        "evals": "**/*.py", "evals/known_failures": "*/*.toml", "lifeos": "**/*.py", "lifeos/pods": "**/*.toml",
        "lifeos/lora": "**/*.toml", "tests/known_failures": "*/*.py", "pods": "*.toml", "models/tiny-base": "**/*",
        "models/faces": "*.onnx", "personas/pistachio": "**/*",
    }  # fmt: skip
    read = {name: hash_folder(root / name, pattern) for name, pattern in folders.items() if (root / name).is_dir()}
    for name in ("evals/policy.toml", "gates/manifest.toml", "lifeos/pods/snapshot.jsonl.gz"):
        read[name] = hash_file(root / name)
    return hash_json([read, dict(installed_versions()), sys.version, available("gpu")])


def _blind(looked: Looked) -> str:
    return "" if looked.blind is None else f": {looked.blind}"
