"""``lifeos new-persona``."""

import json
import re
from pathlib import Path

from lifeos.errors import InputError
from lifeos.new_persona.plan import Request, plan_persona


def run_new_persona(request: Request, root: Path, artifacts: Path, *, as_json: bool) -> int:
    """Make a persona of photographs and show it; returns the exit status 0.

    Raises:
        InputError: what ``plan_persona`` and ``create_persona`` raise; what was left out is shown before.
    """
    from lifeos.new_persona.create import TooFewPhotographsError, create_persona
    from lifeos.new_persona.show import show_left_out, show_persona, to_json
    from lifeos.report.progress_bars import show_progress

    plan = plan_persona(request, root)
    try:
        with show_progress() as progress:
            made = create_persona(plan, artifacts, progress)
    except TooFewPhotographsError as error:
        if not as_json:
            show_left_out(error.left_out)
        raise
    if as_json:
        print(json.dumps(to_json(made), allow_nan=False))
    else:
        show_persona(made)
    return 0


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Return (width, height) of ``512x768`` or ``512``; None for None.

    Raises:
        InputError: another text.
    """
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,5})(?:[xX](\d{1,5}))?", text)
    if match is None:
        raise InputError(f"--size: accepted WIDTHxHEIGHT in pixels, got {text!r}; next: --size 512x512")
    return int(match[1]), int(match[2] or match[1])
