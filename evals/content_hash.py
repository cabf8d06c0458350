"""SHA-256 over content: equal content gives an equal hash on every machine, whatever its path or time."""

import hashlib
import json
from pathlib import Path
from typing import Any

from evals.errors import InputError

_CHUNK_BYTES = 1 << 20


def canonical_json(obj: Any) -> str:
    """Serialise ``obj`` to the one JSON text that is hashed and stored.

    Keys are sorted, separators carry no spaces, non-ASCII characters are escaped, and every mapping key is a string.

    Args:
        obj: dicts with string keys, lists, tuples, strings, ints, finite floats, booleans and None, nested freely.

    Raises:
        ValueError: a float is NaN or infinite (JSON has no such number; it would come back as something else).
        TypeError: a value or a mapping key is of another type. Non-string keys are refused because ``{1: ...}`` and
            ``{"1": ...}`` would hash alike.
    """
    _refuse_other_keys(obj)
    return sorted_json(obj)


def sorted_json(obj: Any) -> str:
    """Return what ``canonical_json`` returns, of an object whose mapping keys the caller knows to be strings.

    Raises:
        ValueError, TypeError: as there, but a key of another type is written as a string or cannot be sorted.
    """
    return json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def hash_bytes(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 lowercase hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def hash_json(obj: Any) -> str:
    """Return the SHA-256 of ``canonical_json(obj)``; raises what that raises."""
    return hash_bytes(canonical_json(obj).encode("ascii"))


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read in chunks.

    Raises:
        InputError: the file does not exist or cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise InputError(f"{path}: accepted a readable file, got {error.strerror}; next: check the path") from error
    return digest.hexdigest()


def hash_folder(path: Path, pattern: str = "**/*") -> str:
    """Return one SHA-256 over the relative names (with ``/``) and contents of the files below ``path``.

    Args:
        path: a folder; symbolic links to files are followed and hashed by content.
        pattern: which files count, as a glob relative to ``path``.

    Raises:
        InputError: ``path`` is not a folder, a file cannot be read, or no file matches (an empty set would give every
            empty folder the same valid-looking hash).
    """
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"{folder}: accepted a folder, got none there; next: check the path")
    # Sorted by the name that is hashed: Path ordering ignores case on Windows.
    files = sorted((file.relative_to(folder).as_posix(), file) for file in folder.glob(pattern) if file.is_file())
    if not files:
        raise InputError(f"{folder}: accepted at least one file matching {pattern}, got none; next: check the folder")
    return hash_json([[name, hash_file(file)] for name, file in files])


def _refuse_other_keys(obj: Any) -> None:
    if isinstance(obj, dict):
        for key, value in obj.items():
            if not isinstance(key, str):
                raise TypeError(f"mapping keys must be str, but got {type(key).__name__} {key!r}")
            _refuse_other_keys(value)
    elif isinstance(obj, list | tuple):
        for value in obj:
            _refuse_other_keys(value)
