"""What an archive says of itself: kind, commit, and hash and size of every file in it."""

import re
import unicodedata
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lifeos.errors import InputError

SCHEMA = "lifeos.pack/1"
MANIFEST_NAME = "lifeos-pack.json"
MOST_FILES = 200_000
LARGEST_MANIFEST_BYTES = 64 << 20
_LONGEST_NAME = 240
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_HIDDEN = frozenset({"Cf", "Cc", "Co", "Cs", "Cn", "Zl", "Zp"})
# Formats that run code when they are opened.
PICKLES = (".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin", ".joblib")

_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class PackedFile(BaseModel):
    """One file: hash, bytes, whether it is a program."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    sha256: _Hash
    size: Annotated[int, Field(ge=0)]
    runs: bool = False


class PackManifest(BaseModel):
    """The archive's table of contents.

    Args:
        kind: ``to_pod`` or ``from_pod``.
        created: UTC, as the packing command was told.
        commit: of the checkout that was packed, or None where git knew none.
        changed: files of it that differed from that commit.
        persona: its name.
        tip: hash of the history's last row, or None without one.
        rows: ids of the rows whose files are in it (``from_pod``).
        files: by name relative to the checkout, with ``/``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: Annotated[Literal["lifeos.pack/1"], Field(alias="schema")]
    kind: Literal["to_pod", "from_pod"]
    created: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None
    changed: list[str] = []
    persona: Annotated[str, Field(min_length=1, max_length=200)]
    tip: _Hash | None
    rows: list[str] = []
    files: Annotated[dict[str, PackedFile], Field(min_length=1, max_length=MOST_FILES)]

    @model_validator(mode="after")
    def _names_are_plain(self) -> "PackManifest":
        seen: dict[str, str] = {}
        for name in self.files:
            why = refused_name(name)
            if why is not None:
                raise ValueError(f"{name[:80]!r}: {why}")
            folded = unicodedata.normalize("NFC", name).casefold()
            if folded in seen:
                raise ValueError(f"{name[:80]!r}: the same name as {seen[folded][:80]!r} on some systems")
            seen[folded] = name
        folders = {folded.rsplit("/", depth)[0] for folded in seen for depth in range(1, folded.count("/") + 1)}
        both = folders & set(seen)
        if both:
            raise ValueError(f"{sorted(both)[0][:80]!r}: a file and a folder")
        return self


def refused_name(name: str) -> str | None:
    """Return why a name cannot be written on every system below a folder, or None."""
    parts = name.split("/")
    if not name or len(name) > _LONGEST_NAME:
        return f"accepted 1 to {_LONGEST_NAME} characters"
    if any(part in ("", ".", "..") for part in parts):
        return "accepted a path below the checkout"
    if any(character in '\\:*?"<>|' or unicodedata.category(character) in _HIDDEN for character in name):
        return "accepted characters that every system takes"
    if any(_RESERVED.fullmatch(part) or part.endswith((".", " ")) or part.startswith(" ") for part in parts):
        return "accepted names that every system takes"
    if parts[0].casefold() in (".git", ".venv", MANIFEST_NAME):
        return "accepted files of the project"
    if name.casefold().endswith(PICKLES):
        return "accepted no pickle: it runs code when it is opened; next: convert it to .safetensors"
    return None


def read_manifest(data: bytes, where: str) -> PackManifest:
    """Read an archive's manifest.

    Raises:
        InputError: it is something else, or names a file that no archive of ours holds.
    """
    try:
        return PackManifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part)[:60] for part in first["loc"]) or "the manifest"
        raise InputError(
            f"{where}: {place}: accepted an archive of lifeos pod pack, got {first['msg']}; next: pack it again"
        ) from error
