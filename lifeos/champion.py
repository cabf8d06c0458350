"""The promoted LoRA of a persona: ``champion.json``, the file it stands for, and the check that a loader makes.

``champion.json`` names a LoRA by the hash of its bytes, the row of the history that authorised it, and where it lies.
It holds a hash over itself, so that one edited by hand is refused.
"""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evals.atomic import write_text
from evals.content_hash import hash_file, hash_json
from lifeos.errors import InputError
from lifeos.settings import validation_line

CHAMPION_FILE = "champion.json"
LARGEST_DOWNLOAD = 8 * 2**30
_CHUNK = 2**20
_TIMEOUT_SECONDS = 60

_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Open = Callable[[str], AbstractContextManager[IO[bytes]]]


class NotTheChampionError(Exception):
    """The file is not exactly what was approved; the text says why."""


class Champion(BaseModel):
    """What ``champion.json`` says.

    Args:
        persona: its name.
        lora: SHA-256 of the LoRA file.
        row: id of the scorecard that stands for it; ``row_hash`` its hash in the chain.
        policy, calibration, base: SHA-256 of what it was judged by.
        approved: False for a model from before lifeos, which is compared with and never loaded.
        promoted: UTC time.
        dirty: changed files of the checkout that judged it, where somebody allowed them.
        location: where the file lies: a path, absolute or relative to the persona's folder, or an https address.
        previous: SHA-256 of the LoRA it replaced.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    schema_: Literal["lifeos.champion/1"] = Field("lifeos.champion/1", alias="schema")
    persona: Annotated[str, Field(min_length=1)]
    lora: _Hash
    row: Annotated[str, Field(min_length=1)]
    row_hash: _Hash
    policy: _Hash | None
    calibration: _Hash | None
    base: _Hash | None
    approved: bool
    promoted: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    dirty: list[str] = []
    location: Annotated[str, Field(min_length=1)] | None = None
    previous: _Hash | None = None

    def to_text(self) -> str:
        """Return the file: its fields and a hash over them."""
        content = self.model_dump(by_alias=True)
        return json.dumps({**content, "sha256": hash_json(content)}, indent=2) + "\n"

    @classmethod
    def from_text(cls, text: str, path: Path) -> Self:
        """Read a file's text.

        Raises:
            InputError: it is no JSON object, has other fields, or was changed since it was written.
        """
        try:
            content = json.loads(text)
            del content["sha256"]
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
            raise _damaged(path, f"{type(error).__name__}: {error}") from error
        try:
            champion = cls.model_validate(content)
        except ValidationError as error:
            raise InputError(validation_line(path, error, "lifeos promote-lora ROW")) from error
        # The whole text, its hash included: a key that stands twice reads as one.
        if champion.to_text() != text.replace("\r\n", "\n"):
            raise _damaged(path, "one that was changed since")
        return champion


def read_champion(path: Path) -> Champion:
    """Read ``champion.json``.

    Raises:
        InputError: it is missing, unreadable, damaged or was changed by hand.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: accepted a promoted champion, got no file; next: lifeos promote-lora ROW"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(path, str(error)) from error
    return Champion.from_text(text, Path(path))


def write_champion(path: Path, champion: Champion) -> None:
    """Write ``champion.json``, whole or not at all."""
    write_text(path, champion.to_text())


def champion_lora(path: Path, artifacts: Path) -> Path:
    """Return the verified LoRA file of a ``champion.json``: where it says, or where ``fetch_champion`` put it.

    Args:
        path: the ``champion.json``.
        artifacts: data folder.

    Raises:
        InputError: ``champion.json`` cannot be read, or the file is nowhere or holds other bytes.
    """
    champion = read_champion(path)
    fetched = fetched_file(artifacts, champion.lora)
    places = [place for place in (_local(path, champion.location), fetched) if place is not None]
    for place in places:
        if place.is_file() and hash_file(place) == champion.lora:
            return place
    looked = " or ".join(str(place) for place in places)
    raise InputError(
        f"{path}: accepted the champion's file ({champion.lora[:12]}) at {looked}, got none with these bytes; "
        "next: lifeos fetch-champion"
    )


def fetched_file(artifacts: Path, sha256: str) -> Path:
    """Return where a fetched champion lies."""
    return Path(artifacts) / "champions" / f"{sha256}.safetensors"


def fetch_champion(path: Path, artifacts: Path, open_address: Open | None = None) -> Path:
    """Bring the champion's bytes from its location to ``artifacts/champions`` and return the file.

    Bytes are hashed while they come; the file gets its name only when they are the approved ones. What lies there
    already and is right is not brought again.

    Args:
        path: the ``champion.json``.
        artifacts: data folder.
        open_address: opens an https address; None: the standard library's.

    Raises:
        InputError: ``champion.json`` cannot be read, has no location, or the location cannot be read.
        NotTheChampionError: other bytes lie there.
    """
    champion = read_champion(path)
    target = fetched_file(artifacts, champion.lora)
    if target.is_file() and hash_file(target) == champion.lora:
        return target
    if champion.location is None:
        raise InputError(
            f"{path}: accepted a location to fetch from, got none; next: lifeos promote-lora ROW --location WHERE"
        )
    local = _local(path, champion.location)
    try:
        with (local.open("rb") if local is not None else (open_address or _open_https)(champion.location)) as source:
            _receive(source, target, champion)
    except OSError as error:
        raise InputError(
            f"{champion.location}: accepted the champion's file, got {error}; next: correct the location"
        ) from error
    return target


def keep_copy(file: Path, sha256: str, artifacts: Path) -> bool:
    """Copy a LoRA to where ``champion_lora`` looks, if it holds these bytes; returns whether it lies there now."""
    from evals.atomic import write_bytes

    target = fetched_file(artifacts, sha256)
    if not (target.is_file() and hash_file(target) == sha256):
        if not file.is_file() or hash_file(file) != sha256:
            return False
        write_bytes(target, file.read_bytes())
    return True


def check_champion(file: Path, path: Path, history: Path) -> Champion:
    """Return the champion if ``file`` holds exactly the approved bytes and the row that approved them stands.

    What a production loader calls before it loads anything; it reads the file once and imports no numpy.

    Args:
        file: LoRA that is about to be loaded.
        path: the ``champion.json``.
        history: history file with the row.

    Raises:
        InputError: a file is missing or cannot be read.
        NotTheChampionError: other bytes, a champion that was adopted and not approved, or a row that is missing, was
            changed, or says something else.
    """
    from evals.history import read, verify

    champion = read_champion(path)
    if not Path(file).is_file():
        raise InputError(f"{file}: accepted a LoRA file, got none there; next: lifeos fetch-champion")
    if not Path(history).is_file():
        raise InputError(f"{history}: accepted the history with the row, got none there; next: pass --history FILE")
    if not champion.approved:
        raise NotTheChampionError(f"row {champion.row} adopted this model, it was never approved")
    found = hash_file(file)
    if found != champion.lora:
        raise NotTheChampionError(f"{file} holds other bytes ({found[:12]}) than the champion ({champion.lora[:12]})")
    problems = verify(Path(history)).problems
    if problems:
        raise NotTheChampionError(f"the history does not verify: {problems[0]}")
    row = next((row for row in read(Path(history)) if row["hash"] == champion.row_hash), None)
    if row is None or row.get("id") != champion.row:
        raise NotTheChampionError(f"row {champion.row}, which approved it, is not in {history}")
    if row.get("verdict") != "approved" or row.get("hashes", {}).get("lora") != champion.lora:
        raise NotTheChampionError(f"row {champion.row} does not approve this LoRA")
    return champion


def _receive(source: IO[bytes], target: Path, champion: Champion) -> None:
    import hashlib
    import os
    import tempfile

    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    descriptor, name = tempfile.mkstemp(dir=target.parent, suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > LARGEST_DOWNLOAD:
                    raise NotTheChampionError(f"{champion.location} is larger than {LARGEST_DOWNLOAD >> 30} GiB")
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if digest.hexdigest() != champion.lora:
            raise NotTheChampionError(
                f"{champion.location} holds other bytes ({digest.hexdigest()[:12]}) than the champion "
                f"({champion.lora[:12]})"
            )
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)


def _local(path: Path, location: str | None) -> Path | None:
    """The location as a path; None where it is an address or there is none."""
    if location is None or location.startswith("https://"):
        return None
    if "://" in location:
        raise InputError(f"{path}: location: accepted a path or https://, got {location!r}; next: promote with another")
    return Path(path).parent / location


def _open_https(address: str) -> AbstractContextManager[IO[bytes]]:
    from urllib.request import urlopen

    opened: AbstractContextManager[IO[bytes]] = urlopen(address, timeout=_TIMEOUT_SECONDS)  # noqa: S310 - https only
    return opened


def _damaged(path: Path, got: str) -> InputError:
    return InputError(f"{path}: accepted a champion as it was written, got {got}; next: lifeos promote-lora ROW")
