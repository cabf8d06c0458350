"""Files that are either whole or absent: a killed process leaves the old content, never half of the new."""

import contextlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

_REPLACE_ATTEMPTS = 20
_REPLACE_PAUSE_SECONDS = 0.05


def write_bytes(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Write ``data`` to ``path`` through a temporary file in the same folder, which is created when missing.

    The content is on the disk before the name points to it (fsync, then ``os.replace``, then fsync of the folder where
    the system has such a thing). A reader sees the old content or the new one.

    ``durable=False`` leaves the syncing out: for records of a cache, whose reader makes a damaged one again. A record
    takes two syncs, and on a busy disk one took .1 s: half an hour for 10,000 pictures. A reader still sees whole
    content unless the machine itself goes down.

    Raises:
        OSError: the folder cannot be written; the previous content is untouched and the temporary file is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        # mkstemp makes 0600 files; what is shared in a repository must be readable as any other file there.
        os.chmod(temporary, 0o644)
        _replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    if durable:
        sync_folder(path.parent)


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """Write ``text`` as UTF-8 with its line ends as given (no ``\\r\\n`` on Windows: hashes must agree)."""
    write_bytes(path, text.encode("utf-8"), durable=durable)


def write_json(path: Path, obj: Any, *, durable: bool = True) -> None:
    """Write ``obj`` as indented JSON with sorted keys and a final line end; ``durable`` as in ``write_bytes``.

    Raises:
        ValueError: ``obj`` holds a NaN or an infinity.
        TypeError: ``obj`` holds something JSON has no form for.
    """
    write_text(path, json.dumps(obj, sort_keys=True, indent=1, allow_nan=False) + "\n", durable=durable)


def sync_folder(folder: Path) -> None:
    """Make a rename or a new name in ``folder`` durable; does nothing where folders cannot be opened (Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(source: str, target: Path) -> None:
    # On Windows a virus scanner or a reader without delete sharing holds the target for moments.
    for attempt in range(_REPLACE_ATTEMPTS):
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if os.name != "nt" or attempt == _REPLACE_ATTEMPTS - 1:
                raise
            time.sleep(_REPLACE_PAUSE_SECONDS)
