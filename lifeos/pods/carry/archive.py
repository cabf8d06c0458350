"""A .tar.gz whose bytes depend on its content alone, and which is read whole before anything of it is believed."""

import gzip
import hashlib
import json
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

from evals.content_hash import hash_bytes, hash_file
from lifeos.errors import InputError
from lifeos.pods.carry.manifest import (
    LARGEST_MANIFEST_BYTES,
    MANIFEST_NAME,
    PackedFile,
    PackManifest,
    read_manifest,
    refused_name,
)

TOP = "lifeos-project"
_CHUNK = 1 << 20
Source = Path | bytes


def table_of(sources: Mapping[str, Source]) -> dict[str, PackedFile]:
    """Return the manifest's table of files.

    Raises:
        InputError: a file cannot be read, or has a name that no archive takes.
    """
    found = {}
    for name in sorted(sources):
        why = refused_name(name)
        if why is not None:
            raise InputError(f"{name}: {why}, got another; next: rename or leave it out")
        source = sources[name]
        if isinstance(source, bytes):
            found[name] = PackedFile(sha256=hash_bytes(source), size=len(source), runs=name.endswith(".sh"))
        else:
            size = source.stat().st_size
            found[name] = PackedFile(sha256=hash_file(source), size=size, runs=name.endswith(".sh"))
    return found


def write_archive(
    target: Path, manifest: PackManifest, sources: Mapping[str, Source], progress: Callable[[int, int], None]
) -> None:
    """Write the archive, whole or not at all.

    Args:
        target: its name.
        manifest: written first.
        sources: a file or bytes for every name of the manifest.
        progress: called with (bytes done, bytes in all).

    Raises:
        InputError: a file changed since it was hashed, or the disk is full; no archive is left then.
    """
    import os

    total = sum(file.size for file in manifest.files.values())
    temporary = target.with_name(f".{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Level 1: pictures and weights hardly shrink, and a laptop waits for this.
        with temporary.open("wb") as file:
            with (
                gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=1) as zipped,
                tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
            ):
                head = json.dumps(manifest.model_dump(by_alias=True, mode="json"), sort_keys=True).encode("ascii")
                _add(tar, MANIFEST_NAME, head, PackedFile(sha256=hash_bytes(head), size=len(head)))
                done = 0
                for name, packed in manifest.files.items():
                    _add(tar, name, sources[name], packed)
                    done += packed.size
                    progress(done, total)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise InputError(f"{target}: accepted a place for {total >> 20} MiB, got {error}; next: free some") from error
    finally:
        temporary.unlink(missing_ok=True)


def verify_archive(path: Path, progress: Callable[[int, int], None]) -> PackManifest:
    """Read an archive to its end and hold every byte against its manifest; writes nothing.

    Raises:
        InputError: it is no such archive, is cut off, or holds anything that its manifest does not say.
    """
    manifest: PackManifest | None = None
    seen: set[str] = set()
    done = 0
    with _reading(path) as tar:
        for member in tar:
            name = _name_of(path, member)
            if manifest is None:
                manifest = _first(path, tar, member, name)
                total = sum(file.size for file in manifest.files.values())
                continue
            packed = manifest.files.get(name)
            if packed is None or name in seen:
                _refuse(path, f"{name[:80]!r} {'twice' if name in seen else 'that the manifest does not name'}")
            if member.size != packed.size:
                _refuse(path, f"{name!r} of {member.size} bytes where the manifest says {packed.size}")
            digest = hashlib.sha256()
            for chunk in _chunks(path, tar, member):
                digest.update(chunk)
            if digest.hexdigest() != packed.sha256:
                _refuse(path, f"{name!r} with other bytes than the manifest says")
            seen.add(name)
            done += packed.size
            progress(done, total)
    if manifest is None:
        _refuse(path, "an empty archive")
    missing = sorted(set(manifest.files) - seen)
    if missing:
        _refuse(path, f"no {missing[0]!r}, which its manifest names")
    return manifest


def read_members(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the files of an archive that was verified.

    Raises:
        InputError: it changed since.
    """
    with _reading(path) as tar:
        manifest: PackManifest | None = None
        for member in tar:
            name = _name_of(path, member)
            if manifest is None:
                manifest = _first(path, tar, member, name)
                continue
            data = b"".join(_chunks(path, tar, member))
            packed = manifest.files.get(name)
            if packed is None or hash_bytes(data) != packed.sha256:
                _refuse(path, f"{name!r} with other bytes than a moment ago")
            yield name, data


def _add(tar: tarfile.TarFile, name: str, source: Source, packed: PackedFile) -> None:
    import io

    info = tarfile.TarInfo(f"{TOP}/{name}")
    info.size, info.mtime, info.mode = packed.size, 0, 0o755 if packed.runs else 0o644
    if isinstance(source, bytes):
        tar.addfile(info, io.BytesIO(source))
        return
    with source.open("rb") as file:
        reader = _Hashing(file)
        tar.addfile(info, reader)
    if reader.digest.hexdigest() != packed.sha256 or source.stat().st_size != packed.size:
        raise InputError(f"{source}: accepted a file at rest, got one that changes; next: the same command")


class _Hashing:
    """Reads a file and hashes what it gave."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        return data


@contextmanager
def _reading(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r|gz") as tar:
            yield tar
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, UnicodeError, OverflowError) as error:
        _refuse(path, f"damaged or cut off ({type(error).__name__})", error)
    except OSError as error:
        raise InputError(f"{path}: accepted an archive, got {error.strerror or error}; next: check the path") from error


def _name_of(path: Path, member: tarfile.TarInfo) -> str:
    if not member.isreg() or member.issparse():
        _refuse(path, f"{member.name[:80]!r}, which is no plain file")
    top, slash, name = member.name.partition("/")
    if top != TOP or not slash or (name != MANIFEST_NAME and refused_name(name) is not None):
        _refuse(path, f"the name {member.name[:80]!r}")
    return name


def _first(path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> PackManifest:
    if name != MANIFEST_NAME:
        _refuse(path, f"{name[:80]!r} where the manifest belongs")
    if member.size > LARGEST_MANIFEST_BYTES:
        _refuse(path, f"a manifest of {member.size} bytes")
    return read_manifest(b"".join(_chunks(path, tar, member)), str(path))


def _chunks(path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    file = tar.extractfile(member)
    if file is None:
        _refuse(path, f"{member.name[:80]!r}, which holds nothing")
    while chunk := file.read(_CHUNK):
        yield chunk


def _refuse(path: Path, got: str, cause: BaseException | None = None) -> NoReturn:
    raise InputError(f"{path}: accepted an archive of lifeos pod pack, got {got}; next: pack it again") from cause
