"""A machine that was written down: what a pod answered, as JSON, so that a failure of its can be looked at anywhere."""

import json
from pathlib import Path
from typing import Any

from lifeos.errors import InputError
from lifeos.pods.probe.ask import Answer
from lifeos.pods.probe.gates import PodMachine
from lifeos.pods.probe.nvml import GpuReading, Machine
from lifeos.pods.probe.storage import Space

GIB = 1024**3
_KEYS = {"driver", "cuda", "gpus", "answers", "variables", "installed", "providers", "torch_cuda", "volumes", "space",
         "problem"}  # fmt: skip


def recorded_machine(path: Path) -> PodMachine:
    """Read a recorded machine.

    The file is an object; what it leaves out was not asked, and asking for it is an error. Keys: ``driver`` (text),
    ``cuda`` ([12, 8]), ``gpus`` (list of ``name``, ``memory_gib``, ``free_gib``, ``capability``, ``processes``),
    ``problem`` (why no GPU can be asked), ``answers`` (probe to ``body``, ``ending``, ``crashed``, ``notices``),
    ``variables``, ``installed``, ``providers``, ``torch_cuda``, ``volumes`` (folders that lie on another file system
    than the rest), ``space`` (folder to [total GiB, free GiB]; "" stands for every other).

    Raises:
        InputError: no such file, no JSON object, or an unknown key.
    """
    path = Path(path)
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: accepted a recorded machine as JSON, got {error}; next: correct it") from error
    unknown = sorted(set(record) - _KEYS) if isinstance(record, dict) else ["no object"]
    if unknown:
        raise InputError(f"{path}: accepted {', '.join(sorted(_KEYS))}, got {unknown[0]}; next: correct it")

    def said(key: str) -> Any:
        if key not in record:
            raise InputError(f"{path.name}: accepted a machine that was asked for {key}, got none; next: record it")
        return record[key]

    def ask(subject: str, request: dict[str, Any], seconds: float) -> Answer:
        if subject not in said("answers"):
            raise InputError(f"{path.name}: accepted an answer of the probe {subject}, got none; next: record it")
        answer = record["answers"][subject]
        return Answer(
            subject, answer.get("body"), answer.get("ending"), answer.get("crashed", False),
            tuple(answer.get("notices", ())),
        )  # fmt: skip

    def device(place: Path) -> int:
        volumes = [Path(volume) for volume in said("volumes")]
        return next((number for number, volume in enumerate(volumes, 2) if _below(place, volume)), 1)

    def space(place: Path) -> Space:
        spaces = said("space")
        known = next((size for name, size in spaces.items() if name and _below(place, Path(name))), spaces.get(""))
        total, free = known or (0, 0)
        return Space(int(total * GIB), int(free * GIB))

    return PodMachine(
        read=lambda: _machine(record), ask=ask, device=device, space=space, variables=record.get("variables", {}),
        torch_cuda=lambda: said("torch_cuda"), installed=lambda: said("installed"),
        providers=lambda: said("providers"),
    )  # fmt: skip


def _below(place: Path, folder: Path) -> bool:
    return place.absolute().is_relative_to(folder.absolute())


def _machine(record: dict[str, Any]) -> Machine:
    gpus = tuple(
        GpuReading(
            gpu["name"], int(gpu["memory_gib"] * GIB), int(gpu.get("free_gib", gpu["memory_gib"]) * GIB),
            (gpu["capability"][0], gpu["capability"][1]), gpu.get("processes"),
        )
        for gpu in record.get("gpus", [])
    )  # fmt: skip
    cuda = record.get("cuda")
    problem = record.get("problem") or (None if gpus else "no GPU can be asked: the record lists none")
    return Machine(gpus, record.get("driver", ""), None if cuda is None else (cuda[0], cuda[1]), problem)
