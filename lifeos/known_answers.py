"""The instrument's verdict, remembered by the content of everything it depends on.

Judging the controls again took 2.6 s where every control image lay there already; finding the verdict takes .1 s. What
was not evaluated is asked again: it says what was missing, and that may have come.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.atomic import write_json
from evals.content_hash import hash_file, hash_json
from evals.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from lifeos.persona import Persona

FOLDER = "instrument"
# What a release is made from besides, and no control sees: leaving a key in costs a second judgement, leaving one out
# would cost a wrong one, so the list names what is dropped and not what is kept.
_NO_CONTROL_SEES = frozenset({"source", "training", "images", "champion", "second_faces", "clip"})


def instrument_key(content: Mapping[str, Any], persona: "Persona", lora: Path | None, measured_by: str) -> str:
    """Return one SHA-256 over what the controls, their measurement and their judgement depend on.

    Args:
        content: ``ReleaseInputs.content``: source of both packages, versions, engine, base, plan, references, training
            images, policy, calibration, face models.
        persona: whose strangers are kept beside the calibration.
        lora: the file whose strength is overdriven; None for finished images.
        measured_by: ``Measurements.identity``.

    Raises:
        InputError: the LoRA or the strangers cannot be read.
    """
    from lifeos.strangers import IMPOSTORS_FILE

    strangers = persona.folder / IMPOSTORS_FILE
    return hash_json(
        {
            **{key: value for key, value in content.items() if key not in _NO_CONTROL_SEES},
            "lora": None if lora is None else hash_file(lora),
            "strangers": hash_file(strangers) if strangers.exists() else None,
            "measured_by": measured_by,
        }
    )


def remembered(artifacts: Path, key: str, judge: Callable[[], Verdict]) -> Verdict:
    """Return the verdict that was reached under a key, or reach it; only *passed* and *failed* are kept.

    Args:
        artifacts: data folder; verdicts lie below ``instrument/``.
        key: from ``instrument_key``; a file that names another, or cannot be read, is no answer.
        judge: reaches the verdict.
    """
    path = artifacts / FOLDER / f"{key}.json"
    known = _read(path, key)
    if known is not None:
        return known
    verdict = judge()
    if verdict.outcome in (Outcome.PASSED, Outcome.FAILED):
        row = verdict.to_json()
        write_json(path, {"key": key, "verdict": row, "sha256": hash_json([key, row])})
    return verdict


def _read(path: Path, key: str) -> Verdict | None:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["key"] == key and kept["sha256"] == hash_json([key, kept["verdict"]]):
            return Verdict.from_json(kept["verdict"])
    except (OSError, ValueError, TypeError, KeyError):
        pass
    return None
