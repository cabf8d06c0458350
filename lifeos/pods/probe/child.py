"""``python -m lifeos.pods.probe.child FOLDER``: one probe, in a process that may crash or hang.

Reads ``request.json``, writes ``answer.json``: the probe's findings, or ``{"error": "Type: text"}``, and with either
the ``notices`` (Python warnings). Whatever libraries write to their logs and to the terminal is read by the parent.
"""

import importlib
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from evals.atomic import write_json, write_text
from lifeos.orphan import end_with_parent

# Subject -> module with ``probe(request, stage)``.
SUBJECTS = {
    "imports": "lifeos.pods.probe.imports",
    "onnxruntime": "lifeos.pods.probe.onnxruntime_cuda",
    "xformers": "lifeos.pods.probe.xformers_kernel",
    "matmul": "lifeos.pods.probe.matmul",
    "bitsandbytes": "lifeos.pods.probe.bitsandbytes_step",
    "training": "lifeos.pods.probe.training_smoke",
    "insightface": "lifeos.pods.probe.insightface_pack",
}

Stage = Callable[[str], None]
"""Told what comes next, so that a crash can be laid at its door."""


def run(folder: Path) -> None:
    """Run the probe that ``request.json`` in ``folder`` asks for and write its answer there."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    probe = importlib.import_module(SUBJECTS[request["subject"]]).probe
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            body = dict(probe(request, lambda what: write_text(folder / "stage", what)))
        except Exception as error:  # whatever a broken library raises is the finding
            body = {"error": error_line(error)}
    write_json(folder / "answer.json", {**body, "notices": notices_of(caught)})


def error_line(error: BaseException) -> str:
    """Return an error with what caused it as one line of at most 600 characters."""
    parts: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(parts) < 3:
        parts.append(" ".join(f"{type(seen).__name__}: {seen}".split()))
        seen = seen.__cause__ or seen.__context__
    return " <- ".join(parts)[:600]


def notices_of(caught: list[Any]) -> list[str]:
    """Return each distinct warning as one line, in order."""
    lines = [" ".join(f"{item.category.__name__}: {item.message}".split())[:400] for item in caught]
    return list(dict.fromkeys(lines))


if __name__ == "__main__":
    end_with_parent()
    run(Path(sys.argv[1]))
