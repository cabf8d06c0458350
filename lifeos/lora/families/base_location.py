"""Where a base lies: a folder in diffusers' layout, a repository of the hub in its cache, or a converted single file.

Nothing is fetched or converted here, and nothing large is read: a base that is not ready is named with the command that
makes it so.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from evals.content_hash import hash_bytes
from lifeos.errors import InputError

HUB_PREFIX = "hub:"
_HUB_NAME = re.compile(r"(hub:)?([A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?:@([\w./-]{1,100}))?", re.ASCII)
_PICKLES = (".ckpt", ".pt", ".pth", ".bin")


@dataclass(frozen=True)
class HubName:
    """A repository of the hub.

    Args:
        repository: ``OWNER/NAME``.
        revision: branch, tag or commit; None: what the cache last saw as ``main``.
    """

    repository: str
    revision: str | None

    def __str__(self) -> str:
        """Return it as it is written in a recipe."""
        return f"{HUB_PREFIX}{self.repository}" + (f"@{self.revision}" if self.revision else "")


def hub_name(written: str) -> HubName | None:
    """Return what ``OWNER/NAME`` or ``OWNER/NAME@REVISION`` means, with ``hub:`` before it or not; else None."""
    match = _HUB_NAME.fullmatch(written)
    return None if match is None else HubName(match[2], match[3])


def locate_base(written: Path, places: Iterable[Path], artifacts: Path) -> Path:
    """Return the folder of a base that a recipe or persona names, or a path that ``require_base`` refuses.

    A path that exists wins over a hub id; one with ``hub:`` before it is no path.

    Args:
        written: a path to a folder or to a single file, or a hub id.
        places: folders that a relative path is looked for in, the first wins.
        artifacts: data folder, which holds the converted files.
    """
    places = list(places)
    for place in () if written.as_posix().startswith(HUB_PREFIX) else places:
        path = place / written
        if path.is_dir():
            return path
        if path.is_file():
            return converted_folder(path, artifacts) or path
    name = hub_name(written.as_posix())
    return (None if name is None else cached_snapshot(name)) or places[0] / written


def require_base(base: Path) -> None:
    """Refuse a base that is no folder.

    Raises:
        InputError: it is a single file that was not converted, a pickle, a hub id that is not in the cache, or nothing.
    """
    if not base.is_dir():
        refuse_base(base)


def refuse_base(base: Path, place: str = "") -> NoReturn:
    """Say what is wrong with a base that is no folder, and what makes it one.

    Args:
        base: as ``locate_base`` returned it.
        place: what begins the line; the path when empty.

    Raises:
        InputError: always.
    """
    _, is_hub, written = base.as_posix().rpartition(HUB_PREFIX)
    name = hub_name(written) if is_hub else None
    if base.is_file():
        _refuse_file(base)
    if name is not None:
        raise InputError(f"{place or name}: accepted a base in the hub's cache, got none of {name}; "
                         f"next: lifeos base fetch {name}")
    if is_hub:
        raise InputError(f"{place or 'base'}: accepted hub:OWNER/NAME or hub:OWNER/NAME@REVISION, got "
                         f"{HUB_PREFIX + written!r:.120}; next: correct base")
    raise InputError(f"{place or base}: accepted a folder in diffusers' layout, a .safetensors file, or a hub id that "
                     f"is in the cache, got none{f' at {base}' if place else ''}; "
                     "next: correct base, or lifeos base fetch OWNER/NAME")


def refuse_pickle(file: Path) -> NoReturn:
    """Say how to do without a pickle.

    Raises:
        InputError: always.
    """
    raise InputError(f"{file}: accepted a safetensors file, got a pickle, which can run code when it is read, refused "
                     "unread; next: fetch the .safetensors file that its publisher offers in its place")


def is_pickle(file: Path) -> bool:
    """Return whether a file is a pickle by its name."""
    return file.suffix.lower() in _PICKLES


def _refuse_file(file: Path) -> NoReturn:
    if is_pickle(file):
        refuse_pickle(file)
    raise InputError(f"{file}: accepted a single file that was converted, got one that was not, or that changed since; "
                     f"next: lifeos base convert {file} --like FOLDER")


def cached_snapshot(name: HubName) -> Path | None:
    """Return the folder of a repository in the hub's cache, None where it is not there; never asks the hub.

    A file that the cache links to is read through the link; on systems without links the cache holds the file itself.
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    # Not its snapshot_download: that calls a folder incomplete which lacks what nobody asked for.
    try:
        index = try_to_load_from_cache(name.repository, "model_index.json", revision=name.revision)
    except HFValidationError:
        return None
    return Path(index).parent if isinstance(index, str) else None


def conversions_folder(artifacts: Path) -> Path:
    """Return where converted single files lie."""
    return artifacts / "bases"


def converted_folder(file: Path, artifacts: Path) -> Path | None:
    """Return what a single file was converted into; None where it was not, or its size or time changed since."""
    try:
        record = json.loads(conversion_record(file, artifacts).read_text(encoding="utf-8"))
        folder = conversions_folder(artifacts) / str(record["folder"])
        same = record["file"] == file_state(file)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return folder if same and folder.is_dir() else None


def conversion_record(file: Path, artifacts: Path) -> Path:
    """Return the JSON file that says what the single file at this path was converted into."""
    return conversions_folder(artifacts) / "files" / f"{hash_bytes(str(file.resolve()).encode('utf-8'))[:32]}.json"


def file_state(file: Path) -> dict[str, int]:
    """Return size in bytes and time of change in nanoseconds: what tells that a file is still the one converted."""
    state = file.stat()
    return {"size": state.st_size, "changed": state.st_mtime_ns}
