"""The front matter of a briefing."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from lifeos.operations.briefing.model import OUTCOMES, SCHEMA, TAINTS, Input
from lifeos.operations.briefing.reading import Reading
from lifeos.operations.strict_yaml import Document

_PATH = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")
# Names of devices on Windows: a briefing's id becomes a file name.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)")
_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,79}")
_HEX64, _COMMIT = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}|unknown")


def is_path(text: str) -> bool:
    """Return whether a text is a path below the checkout: parts of letters, digits, ``_ . -`` joined by ``/``."""
    return bool(_PATH.fullmatch(text)) and not any(set(part) == {"."} for part in text.split("/"))


def is_time(value: Any) -> bool:
    """Return whether a value is a UTC time such as ``"2026-11-27T07:00:00Z"``."""
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value, re.ASCII):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def read_head(document: Document, reading: Reading) -> dict[str, Any]:
    """Return the fields of ``Briefing`` that stand in its front matter; what is wrong is noted in ``reading``."""

    def pattern(regex: re.Pattern[str], what: str) -> Callable[[Any], str | None]:
        return lambda value: None if isinstance(value, str) and regex.fullmatch(value) else what

    def one_of(words: tuple[str, ...]) -> Callable[[Any], str | None]:
        return lambda value: None if value in words else f"one of {', '.join(words)}"

    def name(value: Any) -> str | None:
        good = isinstance(value, str) and _NAME.fullmatch(value) and not _RESERVED.fullmatch(value)
        return None if good else "lower-case letters, digits and -, at most 80"

    checks: dict[str, Callable[[Any], str | None]] = {
        "schema": one_of((SCHEMA,)),
        "id": name,
        "run_id": pattern(_RUN, "letters, digits and -, at most 80"),
        "agent": name,
        "contract": lambda value: None if isinstance(value, str) and is_path(value) else "a path below the checkout",
        "created": lambda value: None if is_time(value) else "a UTC time such as 2026-11-27T07:00:00Z",
        "base_commit": pattern(_COMMIT, "40 hexadecimal digits or unknown"),
        "outcome": one_of(OUTCOMES),
        "taint": one_of(TAINTS),
        "inputs": lambda value: None if isinstance(value, list) else "a list of path and sha256",
    }
    values = document.values
    for key in values:
        if key not in checks:
            reading.refuse(1, f"front matter: unknown key {key!r}")
    for key, check in checks.items():
        if key not in values:
            reading.refuse(1, f"front matter: {key} is missing")
        elif (accepted := check(values[key])) is not None:
            reading.refuse(1, f"front matter: {key}: accepted {accepted}, got {values[key]!r}"[:200])
    head = {key: values.get(key) for key in checks if key not in ("schema", "inputs")}
    given = values.get("inputs")
    return {**head, "inputs": _inputs(given if isinstance(given, list) else [], reading)}


def _inputs(given: list[Any], reading: Reading) -> tuple[Input, ...]:
    found = []
    for each in given:
        path, digest = (each.get("path"), each.get("sha256")) if isinstance(each, dict) else (None, None)
        if (
            isinstance(each, dict)
            and set(each) == {"path", "sha256"}
            and isinstance(path, str)
            and is_path(path)
            and isinstance(digest, str)
            and _HEX64.fullmatch(digest)
        ):
            found.append(Input(path, digest))
        else:
            reading.refuse(1, f"front matter: inputs: accepted path and sha256, got {each!r}"[:200])
    return tuple(found)
