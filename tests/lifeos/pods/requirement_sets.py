"""Requirement sets of which the right verdict is known, the shipped one, and sets drawn by chance."""

import random
import tomllib
from dataclasses import dataclass
from pathlib import Path

from lifeos.settings import project_root

SEED = 20261125
BLACKWELL = "xformers-blackwell-too-new"
# The verdict on requirements-pod.txt for every shipped pod.
SHIPPED = {
    "a40": "passed",
    "a100-80": "passed",
    "h100": "passed",
    "h200": "passed",
    "l40s": "passed",
    "rtx4090": "passed",
    "t4": "passed",
    "b200": "failed",
    "rtx5090": "failed",
}


@dataclass(frozen=True)
class RequirementSet:
    """Lines, the pod, and what must be said of them."""

    name: str
    pod: str
    lines: tuple[str, ...]
    verdict: str
    findings: tuple[str, ...]


def known_sets():
    """Return the sets of ``requirement_sets.toml``."""
    values = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return [
        RequirementSet(
            name=row["name"],
            pod=row["pod"],
            lines=tuple(row["lines"] if "lines" in row else values["full"]),
            verdict=row["verdict"],
            findings=tuple(row["findings"]),
        )
        for row in values["set"]
    ]


def shipped_sets():
    """Return the shipped set for every pod of ``SHIPPED``."""
    lines = (project_root() / "requirements-pod.txt").read_text(encoding="utf-8").splitlines()
    return [
        RequirementSet("the shipped set", pod, tuple(lines), verdict, () if verdict == "passed" else (BLACKWELL,))
        for pod, verdict in SHIPPED.items()
    ]


def drawn_sets(snapshot, pods, count):
    """Return sets drawn from the snapshot: 2 to 5 packages, each pinned to any version that it has."""
    draw = random.Random(SEED)
    names = ["torch", "torchvision", "diffusers", "transformers", "peft", "huggingface-hub", "onnxruntime-gpu"]
    names += ["insightface", "xformers", "bitsandbytes", "opencv-python-headless", "numpy", "accelerate"]
    found = []
    for number in range(count):
        chosen = sorted(draw.sample(names, draw.randrange(2, 6)))
        lines = tuple(f"{name}=={draw.choice(sorted(snapshot.versions[name]))}" for name in chosen)
        found.append(RequirementSet(f"drawn {number}", draw.choice(sorted(pods)), lines, "", ()))
    return found
