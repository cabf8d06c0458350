"""Package metadata as it stood on one day, committed, so that a set can be resolved without any network.

``snapshot.jsonl.gz`` holds one line a package version: what it requires and which wheels it has for the pods' platform.
uv reads wheels, not metadata, so every version is written once as a wheel that holds its metadata and nothing else.
"""

import gzip
import json
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evals.content_hash import hash_file
from lifeos.errors import InputError

if TYPE_CHECKING:
    from packaging.version import Version

    from lifeos.pods.uv_resolver import Pinned


PLATFORM = "x86_64-manylinux_2_28"
"""For which a snapshot holds every wheel; as ``snapshot_seeds.toml`` says."""


@dataclass(frozen=True)
class Wheel:
    """One wheel: bytes to download, bytes unpacked (None: not measured), SHA-256."""

    file: str
    size: int
    unpacked: int | None
    sha256: str


@dataclass(frozen=True)
class Release:
    """One version of a package, with every wheel of it that fits the pods' platform and one of the Pythons."""

    name: str
    version: str
    requires_python: str
    requires: tuple[str, ...]
    extras: tuple[str, ...]
    wheels: tuple[Wheel, ...]

    def serves(self, python: str) -> bool:
        """Whether this Python (``"3.11"``) may install one of the wheels."""
        from packaging.specifiers import SpecifierSet
        from packaging.utils import parse_wheel_filename

        if not SpecifierSet(self.requires_python).contains(f"{python}.0"):
            return False
        tags = [tag for wheel in self.wheels for tag in parse_wheel_filename(wheel.file)[3]]
        return any(tag_serves(tag.interpreter, tag.abi, python) for tag in tags)


@dataclass(frozen=True)
class Snapshot:
    """Every release of the file, the day it was taken, and the Pythons for which it holds every wheel."""

    path: Path
    taken: str
    pythons: tuple[str, ...]
    releases: tuple[Release, ...]

    @property
    def title(self) -> str:
        """What a reader is told about the snapshot."""
        return f"the snapshot of {self.taken}"

    @cached_property
    def wheels(self) -> dict[str, Wheel]:
        """Every wheel by its file name."""
        return {wheel.file: wheel for release in self.releases for wheel in release.wheels}

    @cached_property
    def versions(self) -> "dict[str, dict[Version, Release]]":
        """Releases by canonical name and version."""
        from packaging.version import Version

        found: dict[str, dict[Version, Release]] = {}
        for release in self.releases:
            found.setdefault(release.name, {})[Version(release.version)] = release
        return found

    def measured(self, pinned: "Pinned") -> Wheel | None:
        """Return the sizes of the wheel that a resolution chose, None where the snapshot does not know it."""
        return self.wheels.get(pinned.wheel)

    def hashes(self, pinned: "Pinned") -> frozenset[str]:
        """Return the SHA-256 of every wheel that fits: of the real ones where the snapshot knows them."""
        known = [self.wheels[file] for file in (pinned.wheel, *pinned.other_wheels) if file in self.wheels]
        return frozenset(wheel.sha256 for wheel in known) or pinned.sha256


def tag_serves(interpreter: str, abi: str, python: str) -> bool:
    """Whether a wheel of this tag is for this CPython (``"3.11"``, not a free-threaded one), on whatever platform."""
    minor = int(python.split(".")[1])
    if interpreter.startswith("py"):
        return interpreter.startswith("py3") and int(interpreter[3:] or 0) <= minor
    if abi == "abi3":
        return interpreter.startswith("cp3") and int(interpreter[3:]) <= minor
    return interpreter == f"cp3{minor}" and not (abi.startswith("cp") and abi.endswith("t"))


def default_snapshot() -> Path:
    """Return the committed snapshot."""
    return Path(__file__).parent / "snapshot.jsonl.gz"


def load_snapshot(path: Path | None = None) -> Snapshot:
    """Read a snapshot.

    Raises:
        InputError: the file is missing, or a line is not what ``snapshot_take.py`` writes.
    """
    path = path or default_snapshot()
    try:
        lines = gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()
        header = json.loads(lines[0])
        taken, pythons = str(header["taken"]), tuple(str(python) for python in header["pythons"])
        releases = tuple(_release(json.loads(line)) for line in lines[1:])
    except (OSError, EOFError, zlib.error, ValueError, KeyError, IndexError, TypeError) as error:
        # gzip's own complaint about foreign bytes is an OSError without a text of the system's.
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise InputError(f"{path}: accepted a snapshot, got {reason}; next: git checkout -- {path}") from error
    return Snapshot(path, taken, pythons, releases)


def write_wheels(snapshot: Snapshot, cache: Path) -> Path:
    """Write a metadata-only wheel for every wheel of the snapshot below ``cache`` and return the folder.

    The folder is named after the snapshot's content and appears whole; it is made once.

    Raises:
        InputError: ``cache`` cannot be written.
    """
    folder = cache / f"wheels-{hash_file(snapshot.path)[:16]}"
    if folder.is_dir():
        return folder
    import tempfile

    try:
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".wheels-", dir=cache))
        for release in snapshot.releases:
            for wheel in release.wheels:
                _write_wheel(unfinished / wheel.file, release)
        try:
            unfinished.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    except OSError as error:
        raise InputError(f"{cache}: accepted a folder to write in, got {error.strerror}; next: free it") from error
    return folder


def _write_wheel(path: Path, release: Release) -> None:
    name, version, *tags = path.name.removesuffix(".whl").split("-")
    folder = f"{name}-{version}.dist-info"
    metadata = ["Metadata-Version: 2.1", f"Name: {release.name}", f"Version: {release.version}"]
    metadata += [f"Requires-Python: {release.requires_python}"] if release.requires_python else []
    metadata += [f"Provides-Extra: {extra}" for extra in release.extras]
    metadata += [f"Requires-Dist: {requirement}" for requirement in release.requires]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        # A fixed date: the archive is a function of the release alone.
        for file, lines in (
            ("METADATA", metadata),
            ("WHEEL", ["Wheel-Version: 1.0", "Generator: lifeos", "Root-Is-Purelib: true", f"Tag: {'-'.join(tags)}"]),
            ("RECORD", []),
        ):
            entry = zipfile.ZipInfo(f"{folder}/{file}", (1980, 1, 1, 0, 0, 0))
            archive.writestr(entry, "".join(f"{line}\n" for line in lines))


def _release(row: dict[str, Any]) -> Release:
    return Release(
        name=row["name"],
        version=row["version"],
        requires_python=row["python"],
        requires=tuple(row["requires"]),
        extras=tuple(row["extras"]),
        wheels=tuple(Wheel(*wheel) for wheel in row["wheels"]),
    )
