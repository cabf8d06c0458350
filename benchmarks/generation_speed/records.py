"""What was measured so far: one JSON file a run, so that a comparison goes on where it was cut off."""

import json
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.generation_speed.work import Work
from benchmarks.machine import versions_of
from evals.atomic import write_json
from evals.content_hash import hash_file, hash_json
from lifeos.git import git_state

SCHEMA = "lifeos.generation-speed/1"


@dataclass(frozen=True)
class Records:
    """Runs of one work on one machine at one commit with one script; others lie in folders of their own.

    Args:
        folder: of the records, made by the first of them.
        identity: what they have in common.
    """

    folder: Path
    identity: dict[str, Any]

    def read(self, name: str) -> dict[str, Any] | None:
        """Return a record; None where there is none that can be read."""
        try:
            stored = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
            return dict(stored["record"]) if stored["identity"] == self.identity else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, name: str, record: dict[str, Any]) -> None:
        """Keep a record."""
        write_json(self.folder / f"{name}.json", {"schema": SCHEMA, "identity": self.identity, "record": record})


def records_of(work: Work, script: Path | None, folder: Path, root: Path) -> Records:
    """Return the records of a work below ``folder``."""
    identity = {
        "work": work.to_json(),
        "machine": machine(work),
        "commit": git_state(root)["git_commit"],
        "script": None if script is None or not script.is_file() else hash_file(script),
    }
    return Records(folder / "records" / hash_json(identity)[:16], identity)


def machine(work: Work) -> dict[str, Any]:
    """Return what the times depend on; no torch is imported."""
    versions = versions_of(("torch", "torchvision", "diffusers", "transformers", "peft", "accelerate"))
    return {"system": f"{platform.system()} {platform.machine()}", "python": platform.python_version(),
            "device": gpu_name() if work.device == "cuda" else "cpu", "threads": work.threads,
            "versions": versions}  # fmt: skip


def gpu_name() -> str | None:
    """Return the name of the first GPU that the driver lists; None where no driver answers."""
    from lifeos.pods.probe.nvml import gpu_names

    return next(iter(gpu_names()), None)
