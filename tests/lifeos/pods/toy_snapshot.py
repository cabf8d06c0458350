"""A snapshot of a handful of packages, so that a test says all that its resolver knows."""

import gzip
import json

from lifeos.pods.snapshot import load_snapshot


def toy_snapshot(folder, *releases):
    """Write a snapshot of ``"name==version: requirement; requirement"`` lines (a comma before a marker) and load it."""
    lines = [{"schema": "lifeos.pod_snapshot/1", "taken": "2026-01-01", "pythons": ["3.11", "3.12"]}]
    for text in releases:
        head, _, requires = text.partition(":")
        name, version = head.split("==")
        wheel = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
        lines.append(
            {
                "name": name,
                "version": version,
                "python": ">=3.10",
                "requires": [part.strip().replace(",", ";") for part in requires.split(";") if part.strip()],
                "extras": [],
                "wheels": [[wheel, 1000, 3000, f"{len(lines):064x}"]],
            }
        )
    path = folder / "snapshot.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode("utf-8"), mtime=0))
    return load_snapshot(path)
