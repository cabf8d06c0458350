"""Read the sources of the rule tables again: ``python -m lifeos.pods.rules.recheck [--archs]``.

Asks the index that pip is configured for and opens wheels over range requests: metadata, small files and names of
files. Skews are read in the versions that the row names, builds and companions in every version that it covers.
``--archs`` also reads torch's compiled kernels, some 600 MB a row. Prints one line a row, then the versions on the
index that no row covers. Drivers and packages that may be left out rest on documents, which only a reader can read
again. Exit status: 0 every row holds, 1 one does not, 2 the index gave no answer.
"""

import argparse
import collections
import functools
import json
import re
import struct
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from email.parser import Parser
from typing import IO

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from lifeos.pods.asked_set import marker_environment
from lifeos.pods.rule_tables import Companion, MissingWheel, Overwrite, Proof, Rules, Wheel, load_rules
from lifeos.pods.snapshot_take import Index, load_seeds, open_wheel
from lifeos.pods.version_ranges import parse_range

_FATBIN_MAGIC = b"\x50\xed\x55\xba"
_CUBIN = 2
_CHUNK = 64 * 2**20

Opener = Callable[[str, str], zipfile.ZipFile]


def proof_complaints(proof: Proof, opener: Opener) -> list[str]:
    """Return where a text is not as the row says: absent from a version that should hold it, or the reverse."""
    found = []
    for version, expected in [*((one, True) for one in proof.present), *((one, False) for one in proof.absent)]:
        try:
            archive = opener(proof.package, version)
        except KeyError:
            found.append(f"{proof.package} {version}: no longer on the index")
            continue
        with archive:
            is_there = proof.file in archive.namelist() and proof.text in archive.read(proof.file).decode("utf-8")
        if is_there is not expected:
            found.append(f"{proof.package} {version}: {proof.file} {'lacks' if expected else 'holds'} {proof.text!r}")
    return found


def wheel_complaints(row: Wheel, version: str, archive: zipfile.ZipFile, with_archs: bool = False) -> list[str]:
    """Return where an opened wheel contradicts its row."""
    read = _READERS.get(row.package)
    if read is None:
        return [f"{row.package}: nothing here knows how to read its wheels"]
    facts = read(archive, with_archs)
    found = []
    for name, value in facts.items():
        said = getattr(row, name)
        if name == "torch":
            agrees = said is not None and Version(str(value)) in parse_range(said)
        elif isinstance(value, list):
            agrees = sorted(value) == sorted(said)
        else:
            agrees = value == said
        if not agrees:
            found.append(f"{row.package} {version}: {name} is {value} in the wheel and {said} in the row")
    return found


def overwrite_complaints(row: Overwrite, files: Callable[[str], Iterable[str]]) -> list[str]:
    """Return the packages of a row that share no file with the one that is kept; ``files`` lists a package's files."""
    kept = {file for file in files(row.keep) if ".dist-info/" not in file}
    return [
        f"{name} writes no file that {row.keep} writes"
        for name in row.packages
        if name != row.keep and not kept & set(files(name))
    ]


def companion_complaints(row: Companion, version: str, metadata: Callable[[str, str | None], str]) -> list[str]:
    """Return where a version contradicts the row: it requires a library itself, or its extras bring none of a group.

    ``metadata`` returns the METADATA of a package's version, None for the newest; what an extra names is followed.
    """
    where, extras = f"{row.package} {version}", ",".join(row.extras)
    own = metadata(row.package, version)
    alone = _required_names(own, [""])
    with_extras = _required_names(own, row.extras)
    for name in sorted(with_extras - alone):
        with_extras |= _required_names(metadata(name, None), [""])
    found = [f"{where} requires {name} itself" for group in row.one_of for name in group if name in alone]
    groups = [" or ".join(group) for group in row.one_of if not with_extras & set(group)]
    return found + [f"{where}: [{extras}] brings no {group}" for group in groups]


def _required_names(metadata: str, extras: Iterable[str]) -> set[str]:
    environments = [marker_environment("3.11", extra) for extra in extras]
    lines = Parser().parsestr(metadata, headersonly=True).get_all("Requires-Dist", [])
    requirements = [Requirement(re.sub(r"\s+", " ", text)) for text in lines]
    return {
        canonicalize_name(one.name)
        for one in requirements
        if one.marker is None or any(one.marker.evaluate(environment) for environment in environments)
    }


def missing_wheel_complaints(row: MissingWheel, versions: Iterable[Version]) -> list[str]:
    """Return the versions of the row that do have a wheel."""
    return [f"{row.package} {version} has a wheel" for version in versions if version in parse_range(row.versions)]


def machine_code(file: IO[bytes]) -> list[str]:
    """Return the compute capabilities that most kernels of a library are compiled for, as ``"8.6"``, ascending.

    Reads the headers of CUDA's fat binaries: 16 bytes (magic 0xBA55ED50, version, header size, bytes that follow), then
    entries with their kind at 0, their header size at 4, their size at 8 and the architecture at 28. One library holds
    one such container a source file; an architecture that only single files are built for does not count.
    """
    counts: collections.Counter[int] = collections.Counter()
    tail = b""
    while True:
        chunk = file.read(_CHUNK)
        if not chunk:
            break
        data = tail + chunk
        for arch in _entries(data):
            counts[arch] += 1
        tail = data[-3:]
    most = max(counts.values(), default=0)
    return [f"{arch // 10}.{arch % 10}" for arch, count in sorted(counts.items()) if count > most / 2]


def _entries(data: bytes) -> Iterator[int]:
    place = data.find(_FATBIN_MAGIC)
    while place >= 0 and place + 16 <= len(data):
        version, header, following = struct.unpack_from("<HHQ", data, place + 4)
        if (version, header) == (1, 16):
            entry, end = place + 16, min(len(data), place + 16 + following)
            while entry + 32 <= end:
                kind, _, size_of_header, size = struct.unpack_from("<HHIQ", data, entry)
                if kind not in (1, _CUBIN) or size_of_header < 32:
                    break
                if kind == _CUBIN:
                    yield struct.unpack_from("<I", data, entry + 28)[0]
                entry += size_of_header + size
        place = data.find(_FATBIN_MAGIC, place + 4)


def _read_torch(archive: zipfile.ZipFile, with_archs: bool) -> dict[str, object]:
    text = archive.read("torch/version.py").decode("utf-8")
    found: dict[str, object] = {"cuda": "".join(re.findall(r"^cuda.*= '([\d.]+)'", text, re.MULTILINE))}
    if with_archs:
        with archive.open("torch/lib/libtorch_cuda.so") as library:
            found["archs"] = machine_code(library)
    return found


def _read_onnxruntime(archive: zipfile.ZipFile, _: bool) -> dict[str, object]:
    name = "onnxruntime/capi/build_and_package_info.py"
    if name not in archive.namelist():
        return {}
    return {"cuda": "".join(re.findall(r"cuda_version = '([\d.]+)'", archive.read(name).decode("utf-8")))}


def _read_xformers(archive: zipfile.ZipFile, _: bool) -> dict[str, object]:
    built = json.loads(archive.read("xformers/cpp_lib.json"))
    cuda = int(built["version"]["cuda"])
    archs = set(built["env"]["TORCH_CUDA_ARCH_LIST"].replace("+PTX", "").split())
    return {
        "cuda": f"{cuda // 100}.{cuda % 100}",
        "torch": built["version"]["torch"].split("+")[0],
        "archs": list(archs),
    }


def _read_bitsandbytes(archive: zipfile.ZipFile, _: bool) -> dict[str, object]:
    numbers = re.findall(r"libbitsandbytes_cuda(\d+)\.so", " ".join(archive.namelist()))
    return {"cudas": [f"{number[:-1]}.{number[-1]}" for number in dict.fromkeys(numbers)]}


_READERS: dict[str, Callable[[zipfile.ZipFile, bool], dict[str, object]]] = {
    "torch": _read_torch,
    "onnxruntime-gpu": _read_onnxruntime,
    "xformers": _read_xformers,
    "bitsandbytes": _read_bitsandbytes,
}


def uncovered(rules: Rules, index: Index) -> list[str]:
    """Return the stable versions from the snapshot's floors on that the index has and no row speaks of."""
    return [
        f"{name} {version}"
        for name in rules.built_packages
        for version in sorted(index.files(name))
        if version >= index.seeds.floors[name] and not version.is_prerelease and rules.wheel(name, version) is None
    ]


def recheck(rules: Rules, index: Index, with_archs: bool) -> Iterator[tuple[str, list[str]]]:
    """Yield each row's name and what contradicts it.

    Raises:
        OSError: the index gave no answer.
    """

    def opener(package: str, version: str) -> zipfile.ZipFile:
        return open_wheel(index.files(package)[Version(version)][0]["url"])

    def stable(package: str) -> list[Version]:
        return sorted(version for version in index.files(package) if not version.is_prerelease)

    def newest_files(package: str) -> list[str]:
        with opener(package, str(stable(package)[-1])) as archive:
            return archive.namelist()

    @functools.cache
    def metadata(package: str, version: str | None) -> str:
        versions = stable(package) if version is None else [Version(version)]
        # What has no wheel brings no library.
        return index.metadata(index.files(package)[versions[-1]][0]) if versions else ""

    for skew in rules.tables.skew:
        yield skew.id, [text for proof in skew.proof for text in proof_complaints(proof, opener)]
    for row in rules.tables.wheel:
        found = []
        # A range says more than the versions that somebody looked at: it is held against all that are there.
        for number, version in enumerate(one for one in stable(row.package) if one in row.range):
            with opener(row.package, str(version)) as archive:
                found += wheel_complaints(row, str(version), archive, with_archs and number == 0)
        yield f"{row.package} {row.versions}", found
    for overwrite in rules.tables.overwrite:
        yield overwrite.id, overwrite_complaints(overwrite, newest_files)
    for companion in rules.tables.companion:
        found = []
        for version in stable(companion.package):
            if version in parse_range(companion.versions):
                found += companion_complaints(companion, str(version), metadata)
        yield f"{companion.id} {companion.versions}", found
    for missing in rules.tables.missing_wheel:
        yield missing.id, missing_wheel_complaints(missing, stable(missing.package))


def main(arguments: list[str] | None = None) -> int:
    """Check every row; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", action="store_true", help="read torch's compiled kernels too")
    with_archs = parser.parse_args(arguments).archs
    rules, index = load_rules(), Index(load_seeds())
    is_wrong = False
    try:
        for name, found in recheck(rules, index, with_archs):
            print(f"{'WRONG' if found else 'holds'} {name}", *found, sep="\n  ", flush=True)
            is_wrong = is_wrong or bool(found)
        for text in uncovered(rules, index):
            print(f"no row: {text}")
    except OSError as error:
        print(f"lifeos: index: accepted an answer, got {type(error).__name__}; next: try again", file=sys.stderr)
        return 2
    return 1 if is_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
