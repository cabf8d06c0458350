"""Which files a base and a LoRA are, and whether a server says that it draws with these.

A base is a folder here and one file on a server. Their hashes have nothing in common, so what counts is the SHA-256 of
the file that the folder was converted from, which ``lifeos base convert`` records.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from evals.content_hash import hash_file
from lifeos.errors import InputError
from lifeos.lora.backends import Served
from lifeos.lora.converted_metadata import data_hash


@dataclass(frozen=True)
class SingleFile:
    """A checkpoint that a folder was converted from: its file name, and the SHA-256 of its bytes."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Evidence:
    """Whether base and LoRA were shown by hash; a LoRA that is not asked for is shown."""

    base: bool
    lora: bool


def single_files(base: Path) -> tuple[SingleFile, ...]:
    """Return the files that a base was converted from, as recorded beside it; none for any other folder.

    The record of a conversion that was made before the hash was kept counts for nothing: convert again, which takes no
    longer than reading the file.
    """
    found = []
    for record in sorted((base.parent / "files").glob("*.json")):
        try:
            values = json.loads(record.read_text(encoding="utf-8"))
            if values["folder"] == base.name:
                found.append(SingleFile(Path(str(values["path"])).name, str(values["sha256"])))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return tuple(found)


def lora_hashes(lora: Path) -> frozenset[str]:
    """Return the hashes that servers know a LoRA by: SHA-256 of the whole file, and of what lies behind its header.

    The second is the one that stable-diffusion-webui gives (``extensions-builtin/Lora/network.py``).

    Raises:
        InputError: the file cannot be read.
    """
    whole = hash_file(lora)
    return frozenset({whole, data_hash(lora.read_bytes())})


def compare_hashes(
    served: Served, files: tuple[SingleFile, ...], lora: Path | None, hashes: frozenset[str], address: str
) -> Evidence:
    """Compare what a server says of its models with the files here.

    Args:
        served: an image that it drew with the LoRA, where there is one.
        files: what the base was converted from.
        lora: the LoRA; None for the base alone.
        hashes: of the LoRA, as ``lora_hashes`` returned them.
        address: names the server.

    Raises:
        InputError: it says another hash.
    """
    known = {file.sha256 for file in files}
    if served.base_sha256 is not None and known and served.base_sha256 not in known:
        raise InputError(f"image server {address}: accepted a checkpoint with SHA-256 {min(known)[:12]}... as the base "
                         f"was converted from, got {served.base_sha256[:12]}...; next: put that file on the server, "
                         "or correct checkpoint in [sampler.server]")  # fmt: skip
    base = served.base_sha256 is not None and bool(known)
    if lora is None:
        return Evidence(base, True)
    if served.lora_hash is None:
        return Evidence(base, False)
    if not any(each.startswith(served.lora_hash) for each in hashes):
        raise InputError(f"image server {address}: accepted a LoRA with the hash of {lora}, got {served.lora_hash}; "
                         f"next: copy {lora} to the server again")  # fmt: skip
    return Evidence(base, True)


def name_on_server(lora: Path) -> str:
    """Return a file name that no other LoRA has: a server may keep what it loaded under a name that was used before."""
    return f"lifeos-{hash_file(lora)[:16]}.safetensors"
