"""Is the persona's insightface pack there and whole: its files, then the pack at work on one picture."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.verdict import Verdict, failed, passed

if TYPE_CHECKING:
    from lifeos.pods.probe.child import Stage

_PINS = Path(__file__).with_name("face_packs.toml")
LENGTH_TOLERANCE = 1e-3


def file_findings(folder: Path, pins: Path = _PINS) -> list[str]:
    """Return what is wrong with the files of a pack, found without opening a network.

    A file that is not among the published ones is only looked at for being empty: other packs are welcome.

    Args:
        folder: the pack; its ``*.onnx`` files lie directly in it.
        pins: published names with size and SHA-256.
    """
    from evals.content_hash import hash_file

    if not folder.is_dir():
        return [f"{folder} is not there"]
    files = sorted(folder.glob("*.onnx"))
    if not files:
        return [f"{folder} holds no *.onnx"]
    known = {row["name"]: row for row in tomllib.loads(pins.read_text(encoding="utf-8"))["file"]}
    findings = []
    for file in files:
        pin, size = known.get(file.name), file.stat().st_size
        if size == 0:
            findings.append(f"{file.name} is empty")
        elif pin is not None and size != pin["bytes"]:
            findings.append(f"{file.name} has {size} of {pin['bytes']} bytes")
        elif pin is not None and hash_file(file) != pin["sha256"]:
            findings.append(f"{file.name} is not the published file (another SHA-256)")
    return findings


def probe(request: dict[str, Any], stage: "Stage") -> dict[str, Any]:
    """Open the pack named ``request["folder"]`` and embed a grey crop; runs in the child.

    On CUDA where it loads; whether it loads is the finding of another probe.

    Args:
        request: ``folder``.
        stage: told what comes next.
    """
    import numpy as np

    from evals.faces import ALIGNED_SIDE, open_backend

    folder = Path(request["folder"])
    stage("the files of the pack")
    findings = file_findings(folder)
    if findings:
        return {"findings": findings}
    stage("FaceAnalysis")
    backend = open_backend("insightface", folder, "auto")
    stage("detection")
    backend.detect(np.full((256, 256, 3), 127, dtype=np.uint8))
    stage("recognition")
    vector = backend.embed(np.full((ALIGNED_SIDE, ALIGNED_SIDE, 3), 127, dtype=np.uint8))
    length = float(np.linalg.norm(vector)) if np.isfinite(vector).all() else None
    return {"findings": [], "length": length, "dimensions": int(vector.size), "files": sorted(backend.identity.weights)}


def pack_verdict(body: dict[str, Any]) -> Verdict:
    """Judge the answer of ``probe``: files as published, both networks run, the embedding is a unit vector."""
    if body["findings"]:
        return failed(f"insightface pack: {'; '.join(body['findings'])}; next: unpack it again and name its folder in "
                      "persona.toml under [face] folder")  # fmt: skip
    if body["length"] is None or not abs(body["length"] - 1.0) <= LENGTH_TOLERANCE:
        return failed("insightface pack: the embedding of a grey crop is no unit vector; next: unpack the pack again")
    return passed(f"{' and '.join(body['files'])} are whole and give embeddings of {body['dimensions']} numbers")
