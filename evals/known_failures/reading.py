"""Every entry, read from the files beside this: found by folder, so that adding one edits no list."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from evals.errors import InputError
from evals.known_failures.entry import Entry

FOLDER = Path(__file__).parent
SUBJECTS: dict[str, str] = {
    "packaging": "versions that install together and do not work together",
    "hardware": "wheels, drivers and GPUs that do not fit",
    "pod": "the rented machine: disks, volumes, billing, start",
    "training": "recipes that cannot learn, and runs that went wrong",
    "dataset": "pictures and captions",
    "lora_file": "what was written, and what a loader makes of it",
    "samples": "pictures that came out, and how they are judged",
}
"""Folder to what belongs there, in the order in which it costs money."""


def read_entries(folder: Path = FOLDER) -> list[Entry]:
    """Read every entry, sorted by subject and id.

    Args:
        folder: holds one folder a subject.

    Raises:
        InputError: a file is no TOML, a key is unknown, missing or out of range, a subject is unknown, or an id comes
            twice.
    """
    entries: list[Entry] = []
    for path in sorted(Path(folder).glob("*/*.toml")):
        entry = _read(path)
        twice = next((other for other in entries if other.id == entry.id), None)
        if twice is not None:
            raise InputError(f"{path}: accepted an id of its own, got that of one in {twice.subject}; next: rename it")
        entries.append(entry)
    order = list(SUBJECTS)
    return sorted(entries, key=lambda entry: (order.index(entry.subject), entry.id))


def entry_of(name: str, entries: Sequence[Entry]) -> Entry:
    """Return an entry by id.

    Raises:
        InputError: no entry has this id; the nearest one is named.
    """
    import difflib

    found = next((entry for entry in entries if entry.id == name), None)
    if found is None:
        near = difflib.get_close_matches(name, [entry.id for entry in entries], 1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise InputError(f"known failure: accepted an id of the registry, got {name!r}{meant}; next: lifeos "
                         "known-failures list")  # fmt: skip
    return found


def _read(path: Path) -> Entry:
    if path.parent.name not in SUBJECTS:
        raise InputError(f"{path}: accepted a folder of {', '.join(SUBJECTS)}, got {path.parent.name!r}; next: move it")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: accepted TOML in UTF-8, got {error}; next: edit {path.name}") from error
    named = sorted({"id", "subject"} & set(values))
    if named:
        raise InputError(f"{path}: accepted no key {named[0]}, which the file's place says; next: delete that line")
    try:
        return Entry.model_validate({**values, "id": path.stem, "subject": path.parent.name})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the entry"
        message = first["msg"].removeprefix("Value error, ")
        got = "" if first["type"] in ("missing", "value_error") else f", got {first['input']!r:.80}"
        raise InputError(f"{path}: {where}: {message}{got}; next: edit {path.name}") from error
