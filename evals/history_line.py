"""A row of the history as one line of text: sealed with its own hash, and held to that hash when it is read."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from evals.content_hash import canonical_json, hash_bytes, sorted_json
from evals.errors import InputError

_TAIL_BYTES = 1 << 14
_OWN_HASH = re.compile(rb'"hash":"([0-9a-f]{64})"')


@dataclass(frozen=True)
class Tail:
    """How a history ends.

    Args:
        last: the last whole line without its end, or None where there is no whole line.
        torn: bytes behind it, which no line end closes.
        torn_at: offset of those bytes, which is the length of the file where there are none.
    """

    last: bytes | None
    torn: bytes
    torn_at: int


@dataclass(frozen=True)
class Content:
    """A row that lacks its place in the chain, as text: the members before ``hash``, up to ``previous``, and behind.

    ``members`` is what a reader gets of them.
    """

    before: str
    between: str
    behind: str
    members: Mapping[str, Any]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Content":
        """Write the members down, once for the hash and the line.

        Args:
            content: JSON types with finite numbers; ``hash`` and ``previous`` are left out.

        Raises:
            ValueError: it holds a NaN or an infinity.
            TypeError: it holds another type.
        """
        given = {key: value for key, value in content.items() if key not in ("hash", "previous")}
        try:
            # Canonical JSON sorts its keys, so the two have one place each.
            texts = (_members({key: value for key, value in given.items() if key < "hash"}),
                     _members({key: value for key, value in given.items() if "hash" < key < "previous"}),
                     _members({key: value for key, value in given.items() if key > "previous"}))  # fmt: skip
        except TypeError:
            canonical_json(given)  # knows what to say of keys that are no text
            raise
        members = json.loads(_object(*texts))
        if members != given:
            # Tuples, which come back as lists, or keys that are no text and are refused: looking at every key of every
            # row instead takes as long as writing the row down.
            canonical_json(given)
        return cls(*texts, members)

    def sealed(self, previous: str | None) -> tuple[dict[str, Any], bytes]:
        """Return the row behind the one with hash ``previous``, as a reader will get it, and its line with the end."""
        parent = f'"previous":{json.dumps(previous)}'
        own = hash_bytes(_object(self.before, self.between, parent, self.behind))
        line = _object(self.before, f'"hash":"{own}"', self.between, parent, self.behind) + b"\n"
        return {**self.members, "previous": previous, "hash": own}, line


def line_of(row: Mapping[str, Any]) -> bytes:
    """Return the line of a sealed row, with its line end."""
    return canonical_json(dict(row)).encode("ascii") + b"\n"


def parse_line(path: Path, number: int, line: bytes) -> dict[str, Any]:
    """Return the row of a line whose hash derives again.

    Args:
        path, number: where it stands, for the message.
        line: without its line end.

    Raises:
        InputError: it is no JSON object, or was changed since it was sealed.
    """
    where = f"{path}: line {number}"
    try:
        row = json.loads(line.decode("ascii"), parse_constant=_refuse_constant)
        # The text as well as the hash: a key written twice parses to one and would hide behind it. And 1e999 is JSON
        # and reads as infinity, which has no text.
        same_text = canonical_json(row).encode("ascii") == line
    except (ValueError, RecursionError) as error:
        raise _corrupt(where, f"a line that is not JSON ({error})") from error
    if not isinstance(row, dict) or not isinstance(row.get("hash"), str):
        raise _corrupt(where, "a line without a hash")
    previous, joins = row.get("previous", ""), row.get("joins", [])
    if not (previous is None or (isinstance(previous, str) and previous)):
        raise _corrupt(where, "a row without a previous hash")
    if not isinstance(joins, list) or not all(isinstance(parent, str) for parent in joins):
        raise _corrupt(where, "joins that are not hashes")
    if not same_text or hash_of(line) != row["hash"]:
        raise _corrupt(where, "a row whose hash does not re-derive")
    return row


def hash_of(line: bytes) -> str | None:
    """Return the hash that a line carries and that its other bytes derive again; None where none does.

    Nothing is parsed, so the next writer pays no more for a row of 1 MB than reading it. Whether the line is the one
    text of its row is for who reads it (``parse_line``).
    """
    for found in _OWN_HASH.finditer(line):
        before, behind = line[: found.start()], line[found.end() :]
        rest = before + behind[1:] if behind.startswith(b",") else before.removesuffix(b",") + behind
        if hash_bytes(rest).encode("ascii") == found[1]:
            return found[1].decode("ascii")
    return None


def read_tail(file: BinaryIO) -> Tail:
    """Return how a history ends, reading from its end: the rows before the last one cost nothing."""
    size = file.seek(0, os.SEEK_END)
    start, data = size, b""
    while start > 0 and data.count(b"\n") < 2:
        step = max(_TAIL_BYTES, len(data))
        begin = max(0, start - step)
        file.seek(begin)
        data, start = file.read(start - begin) + data, begin
    *whole, torn = data.split(b"\n")
    last = whole[-1].removesuffix(b"\r") if whole else None
    return Tail(last, torn, size - len(torn))


def whole_lines(file: BinaryIO, start: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """Yield offset, length with the line end, and text of each whole line from ``start`` on, one at a time."""
    file.seek(start)
    for line in file:
        if line.endswith(b"\n"):
            # A checkout that turned line ends into CRLF has changed no row.
            yield start, len(line), line[:-1].removesuffix(b"\r")
        start += len(line)


def _members(content: Mapping[str, Any]) -> str:
    return sorted_json(content)[1:-1]


def _object(*members: str) -> bytes:
    return ("{" + ",".join(filter(None, members)) + "}").encode("ascii")


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of JSON")


def _corrupt(where: str, got: str) -> InputError:
    return InputError(f"{where}: accepted an unchanged row, got {got}; next: lifeos history verify")
