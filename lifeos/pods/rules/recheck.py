"""Read the sources of the rule tables again: ``python -m lifeos.pods.rules.recheck [--archs]``.

Opens the wheels that the rows name over range requests, on the index that pip is configured for: metadata, small files
and names of libraries, a few MB in all. ``--archs`` also reads torch's compiled kernels, some 600 MB a row. Prints one
line a row, then the versions on the index that no row covers. Exit status: 0 every row holds, 1 one does not, 2 the
index gave no answer.
"""

import argparse
import collections
import json
import re
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from typing import IO

from packaging.version import Version

from lifeos.pods.rule_tables import Proof, Rules, Wheel, load_rules
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
        with opener(proof.package, version) as archive:
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


def main(arguments: list[str] | None = None) -> int:
    """Check every row; see the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", action="store_true", help="read torch's compiled kernels too")
    with_archs = parser.parse_args(arguments).archs
    rules, index = load_rules(), Index(load_seeds())

    def opener(package: str, version: str) -> zipfile.ZipFile:
        return open_wheel(index.files(package)[Version(version)][0]["url"])

    complaints = []
    try:
        for skew in rules.tables.skew:
            found = [text for proof in skew.proof for text in proof_complaints(proof, opener)]
            print(f"{'WRONG' if found else 'holds'} {skew.id}", *found, sep="\n  ", flush=True)
            complaints += found
        for row in rules.tables.wheel:
            found = []
            for number, version in enumerate(row.checked):
                if Version(version) in index.files(row.package):
                    with opener(row.package, version) as archive:
                        found += wheel_complaints(row, version, archive, with_archs and number == 0)
            print(f"{'WRONG' if found else 'holds'} {row.package} {row.versions}", *found, sep="\n  ", flush=True)
            complaints += found
        for text in uncovered(rules, index):
            print(f"no row: {text}")
    except OSError as error:
        print(f"lifeos: index: accepted an answer, got {type(error).__name__}; next: try again", file=sys.stderr)
        return 2
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
