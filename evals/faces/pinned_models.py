"""Reads ``face_models.toml`` and hands out weights only when their SHA-256 is the pinned one."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from evals.content_hash import hash_bytes
from evals.errors import InputError

PINS_FILE = "face_models.toml"
FETCH_COMMAND = "python models/faces/fetch_face_models.py"


@dataclass(frozen=True)
class PinnedModel:
    """One weights file: what it is called, what it must hash to, and under which licence it came."""

    file: str
    sha256: str
    licence: str


def read_pins(folder: Path) -> dict[str, PinnedModel]:
    """Return role (``"detector"``, ``"embedder"``) to pinned model from ``folder/face_models.toml``.

    Raises:
        InputError: the folder or file is missing, is not TOML, or a role lacks file, sha256 or licence.
    """
    path = Path(folder) / PINS_FILE
    try:
        with path.open("rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise InputError(
            f"{path}: accepted a folder of face models with {PINS_FILE}, got {error.strerror}; next: {FETCH_COMMAND}"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: accepted TOML, got {error}; next: git checkout {path.name}") from error
    pins = {}
    for role in ("detector", "embedder"):
        entry = content.get(role)
        values = [entry.get(key) if isinstance(entry, dict) else None for key in ("file", "sha256", "licence")]
        if not all(isinstance(value, str) and value for value in values):
            raise InputError(f"{path}: accepted [{role}] with file, sha256, licence, got {entry!r}; next: restore it")
        file_name, sha256, licence = (str(value) for value in values)
        if Path(file_name).name != file_name:
            raise InputError(f"{path}: accepted a bare file name in [{role}], got {file_name!r}; next: restore it")
        pins[role] = PinnedModel(file_name, sha256, licence)
    return pins


def read_pinned(folder: Path, model: PinnedModel) -> bytes:
    """Return the bytes of a pinned model; what is returned is what was hashed.

    Raises:
        InputError: the file is missing, unreadable, or of another SHA-256.
    """
    path = Path(folder) / model.file
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: accepted the pinned weights, got {error.strerror}; next: {FETCH_COMMAND}") from error
    found = hash_bytes(data)
    if found != model.sha256:
        raise InputError(f"{path}: accepted SHA-256 {model.sha256}, got {found}; next: {FETCH_COMMAND}")
    return data
