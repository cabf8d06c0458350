"""Known failures of the insightface pack on a rented machine; no network is opened to find them."""

from pathlib import Path
from typing import TYPE_CHECKING

from evals.known_failures import detects

if TYPE_CHECKING:
    from lifeos.persona import Persona


@detects("insightface-model-missing")
def pack_missing(persona: "Persona") -> str | None:
    """Return whether the persona's insightface pack would have to be downloaded at first use."""
    if persona.face_backend != "insightface" or any(_networks(persona)):
        return None
    return f"{persona.face_folder} holds no *.onnx, and nothing may be downloaded on the pod"


@detects("antelopev2-nested-zip")
def pack_nested(persona: "Persona") -> str | None:
    """Return whether the pack lies one folder deeper than it is looked for."""
    if persona.face_backend != "insightface":
        return None
    direct, nested = _networks(persona)
    return None if direct or not nested else f"the *.onnx of {persona.face_folder} lie in {nested[0].parent.name} below"


def _networks(persona: "Persona") -> tuple[list[Path], list[Path]]:
    folder = Path(persona.face_folder)
    return sorted(folder.glob("*.onnx")), sorted(folder.glob("*/*.onnx"))
