"""Whether a persona can be rendered and judged at all; asked before minutes are spent."""

from pathlib import Path

from lifeos.errors import InputError
from lifeos.persona import load_persona


def missing_parts(persona: Path, root: Path) -> str | None:
    """Return what keeps a persona from being rendered and judged (base, calibration), or None; reads no weights."""
    from lifeos.lora.families import get_family

    try:
        loaded = load_persona(persona, root)
        get_family(loaded.family).modules(loaded.base)
    except InputError as error:
        return str(error)
    if not loaded.calibration.exists():
        return f"{loaded.calibration}: there is no calibration; next: lifeos calibrate {persona.name}"
    return None
