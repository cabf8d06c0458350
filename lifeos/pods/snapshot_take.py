"""Take the metadata snapshot: ``python -m lifeos.pods.snapshot_take [--out FILE]``. Reads metadata, downloads no wheel.

Asks the index that pip is configured for. Wheels of 48 MiB and more are opened over range requests for their unpacked
size: the directory of a wheel stands at its end.
"""

import argparse
import functools
import gzip
import io
import json
import re
import sys
import time
import tomllib
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import Parser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from evals.atomic import write_bytes
from evals.content_hash import hash_json
from lifeos.errors import InputError
from lifeos.pods.asked_set import marker_environment, read_asked
from lifeos.pods.pip_configuration import pip_settings
from lifeos.pods.snapshot import default_snapshot, tag_serves
from lifeos.settings import load_project

_MEASURED_FROM_BYTES = 48 * 2**20
_TIMEOUT_SECONDS = 60
_WORKERS = 8
_ATTEMPTS = 6
_JSON = "application/vnd.pypi.simple.v1+json"


def _opened(request: urllib.request.Request) -> Any:
    """Send a request, again after a pause when the network fails.

    Raises:
        OSError: the last of the attempts failed, or the server refused.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)  # noqa: S310 - the index's own links
        except urllib.error.HTTPError as error:
            if error.code < 500 or attempt == _ATTEMPTS - 1:
                raise
        except OSError:
            if attempt == _ATTEMPTS - 1:
                raise
        time.sleep(2**attempt)
    raise OSError("no attempt was made")


@dataclass
class RemoteFile(io.RawIOBase):
    """A file behind a server that answers range requests, read as one reads a file.

    Raises:
        OSError: the server does not answer, or not with the range that was asked for.
    """

    url: str
    position: int = 0
    length: int = field(init=False)

    def __post_init__(self) -> None:
        request = urllib.request.Request(self.url, method="HEAD")  # noqa: S310
        with _opened(request) as answer:
            self.length = int(answer.headers["Content-Length"])

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The position in bytes."""
        return self.position

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move, as files do."""
        self.position = offset + (0, self.position, self.length)[whence]
        return self.position

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer from the position on."""
        end = min(self.length, self.position + len(buffer))
        if end <= self.position:
            return 0
        wanted = {"Range": f"bytes={self.position}-{end - 1}"}
        request = urllib.request.Request(self.url, headers=wanted)  # noqa: S310
        with _opened(request) as answer:
            if answer.status != 206:
                raise OSError(f"a range was asked for and the server answered {answer.status}")
            data = answer.read()
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)


def open_wheel(url: str) -> zipfile.ZipFile:
    """Open a wheel over range requests: only what is read is fetched."""
    return zipfile.ZipFile(io.BufferedReader(RemoteFile(url), 2**20))


@dataclass(frozen=True)
class Seeds:
    """What to take: Pythons, the platform's glibc 2.N, single releases, and the floor of each package taken whole."""

    pythons: tuple[str, ...]
    newest_glibc_minor: int
    also: frozenset[tuple[str, Version]]
    floors: dict[str, Version]


def load_seeds(path: Path | None = None) -> Seeds:
    """Read the list of packages; a file of the checkout, so a mistake in it raises as it comes."""
    path = path or Path(__file__).with_name("snapshot_seeds.toml")
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    floors = {name: Version(floor) for name, floor in values["floors"].items()}
    also = frozenset((name, Version(version)) for name, version in (pin.split("==") for pin in values["also"]))
    return Seeds(tuple(values["pythons"]), int(values["newest_glibc_minor"]), also, floors)


class Index:
    """The package index that pip is configured for, asked through the JSON form of the simple interface."""

    def __init__(self, seeds: Seeds, kept: Path | None = None) -> None:
        """Read pip's configuration; pip's own default where it names no index.

        Releases do not change, so those read before are kept in the folder ``kept``: an interrupted run goes on.
        """
        self.seeds, self.kept = seeds, kept
        from pip._internal.models.index import PyPI

        self.root = pip_settings().get("index-url", "") or PyPI.simple_url

    @functools.cache  # noqa: B019 - one index lives as long as the program
    def files(self, name: str) -> dict[Version, list[dict[str, Any]]]:
        """Return the wheels that fit one of the Pythons and the platform, by version; yanked ones are left out."""
        address = self.root.rstrip("/") + f"/{name}/"
        request = urllib.request.Request(address, headers={"Accept": _JSON})  # noqa: S310
        with _opened(request) as answer:
            page = json.load(answer)
            base = answer.url
        found: dict[Version, list[dict[str, Any]]] = {}
        for row in page["files"]:
            if not row["filename"].endswith(".whl") or row.get("yanked"):
                continue
            try:
                _, version, _, tags = parse_wheel_filename(row["filename"])
            except (InvalidVersion, ValueError):
                continue
            if any(self._fits(tag.interpreter, tag.abi, tag.platform) for tag in tags):
                found.setdefault(version, []).append({**row, "url": urljoin(base, row["url"])})
        return found

    def _fits(self, interpreter: str, abi: str, platform: str) -> bool:
        return self._is_platform(platform) and any(
            tag_serves(interpreter, abi, python) for python in self.seeds.pythons
        )

    def _is_platform(self, platform: str) -> bool:
        # Older names of glibc 2.17, 2.12 and 2.5 are served by every newer one.
        if platform in ("any", "linux_x86_64", "manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"):
            return True
        found = re.fullmatch(r"manylinux_2_(\d+)_x86_64", platform)
        return found is not None and int(found[1]) <= self.seeds.newest_glibc_minor

    def metadata(self, row: dict[str, Any]) -> str:
        """Return the METADATA of one wheel, served beside it or read out of it."""
        if row.get("core-metadata") or row.get("data-dist-info-metadata"):
            with _opened(urllib.request.Request(row["url"] + ".metadata")) as answer:  # noqa: S310
                return str(answer.read().decode("utf-8"))
        with open_wheel(row["url"]) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            return archive.read(name).decode("utf-8")

    def release(self, name: str, version: Version) -> dict[str, Any]:
        """Return one line of the snapshot."""
        rows = self.files(name)[version]
        key = hash_json([name, str(version), sorted(str(row["hashes"]["sha256"]) for row in rows)])
        kept = self.kept / f"{key}.json" if self.kept is not None else None
        if kept is not None and kept.exists():
            return dict(json.loads(kept.read_text(encoding="utf-8")))
        release = self._read_release(name, version, rows)
        if kept is not None:
            write_bytes(kept, json.dumps(release).encode("utf-8"))
        return release

    def _read_release(self, name: str, version: Version, rows: list[dict[str, Any]]) -> dict[str, Any]:
        message = Parser().parsestr(self.metadata(rows[0]), headersonly=True)
        return {
            "name": name,
            "version": str(version),
            "python": message.get("Requires-Python", ""),
            "requires": message.get_all("Requires-Dist", []),
            "extras": message.get_all("Provides-Extra", []),
            "wheels": [
                [row["filename"], row["size"], self._unpacked(row), row["hashes"]["sha256"]]
                for row in sorted(rows, key=lambda row: str(row["filename"]))
            ],
        }

    def _unpacked(self, row: dict[str, Any]) -> int | None:
        if row["size"] < _MEASURED_FROM_BYTES:
            return None
        with open_wheel(row["url"]) as archive:
            return sum(entry.file_size for entry in archive.infolist())


def wanted_versions(index: Index, name: str, condition: SpecifierSet, floor: Version | None) -> list[Version]:
    """Return the versions to take: all from the floor on, or else the newest that condition and each Python admit."""
    stable = [version for version in index.files(name) if not version.is_prerelease]
    if floor is not None:
        return [version for version in stable if version >= floor]
    newest = set()
    for python in index.seeds.pythons:
        fitting = [
            version
            for version in condition.filter(stable)
            if SpecifierSet(index.files(name)[version][0].get("requires-python") or "").contains(f"{python}.0")
        ]
        newest |= set(sorted(fitting)[-1:])
    return sorted(newest)


def required(release: dict[str, Any], pythons: Iterable[str]) -> list[Requirement]:
    """Return what a release requires on the platform under any of the Pythons, with or without its CUDA extras."""
    found = []
    for text in release["requires"]:
        requirement = Requirement(re.sub(r"\s+", " ", text))
        for python in pythons:
            for extra in ("", *(extra for extra in release["extras"] if release["name"] in _WITH_EXTRAS)):
                if requirement.marker is None or requirement.marker.evaluate(marker_environment(python, extra)):
                    found.append(requirement)
                    break
    return found


_WITH_EXTRAS = ("onnxruntime-gpu", "cuda-toolkit", "cuda-bindings")


def shipped_pins(path: Path, pythons: Iterable[str]) -> set[tuple[str, Version]]:
    """Return the pins of a requirements file: what is shipped must be judged without a network for ever."""
    pins = {(one.name, one.pinned) for python in pythons for one in read_asked(path, python).asked}
    return {(name, version) for name, version in pins if version is not None}


def take(index: Index, shipped: set[tuple[str, Version]]) -> list[dict[str, Any]]:
    """Return the lines of the snapshot, sorted by name and version."""
    taken: dict[tuple[str, Version], dict[str, Any]] = {}
    todo = {
        (name, version)
        for name, floor in index.seeds.floors.items()
        for version in wanted_versions(index, name, SpecifierSet(), floor)
    }
    todo |= shipped | index.seeds.also
    with ThreadPoolExecutor(_WORKERS) as pool:
        while todo:
            batch = sorted(todo)
            print(f"{len(taken)} taken, {len(batch)} to go", file=sys.stderr)
            for key, release in zip(batch, pool.map(lambda key: index.release(*key), batch), strict=True):
                taken[key] = release
                if len(taken) % 25 == 0:
                    print(f"{len(taken)} taken", file=sys.stderr)
            wanted: dict[str, set[str]] = {}
            for key in batch:
                for requirement in required(taken[key], index.seeds.pythons):
                    name = canonicalize_name(requirement.name)
                    wanted.setdefault(name, set()).add(str(requirement.specifier))
            list(pool.map(index.files, wanted))
            todo = {
                (name, version)
                for name, conditions in wanted.items()
                for condition in conditions
                for version in wanted_versions(index, name, SpecifierSet(condition), index.seeds.floors.get(name))
            } - set(taken)
    return [taken[key] for key in sorted(taken)]


def main(arguments: list[str] | None = None) -> int:
    """Write the snapshot; 0 when it was written, 2 when the index did not answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=default_snapshot(), metavar="FILE")
    out = parser.parse_args(arguments).out
    project = load_project()
    try:
        index = Index(load_seeds(), project.path("artifacts") / "pods" / "releases")
        releases = take(index, shipped_pins(project.path("requirements"), index.seeds.pythons))
    except OSError as error:
        raise InputError(f"index: accepted an answer, got {type(error).__name__}; next: try again") from error
    taken = datetime.now(UTC).date().isoformat()
    lines = [{"schema": "lifeos.pod_snapshot/1", "taken": taken, "pythons": index.seeds.pythons}, *releases]
    text = "".join(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" for line in lines)
    # Without a time in it, the same releases give the same bytes.
    data = gzip.compress(text.encode("utf-8"), mtime=0)
    write_bytes(out, data)
    print(f"{out}: {len(releases)} releases, {len(data)} bytes")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except InputError as error:
        print(f"lifeos: {error}", file=sys.stderr)
        sys.exit(2)
