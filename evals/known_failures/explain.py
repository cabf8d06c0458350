"""Which known failures a log or a traceback shows: read in pieces, so that its size does not matter."""

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from evals.known_failures.entry import Entry

_PIECE_BYTES = 1 << 20
_LONGEST_LINE = 1 << 16
"""A longer line is searched in pieces; what a message says stands within far less."""
_KEPT_LINES = 3
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
"""How a shell of Windows writes a redirected log."""


@dataclass
class Match:
    """What of one entry stands in a text.

    Args:
        entry: the known failure.
        lines: the first lines that show it, as (number from 1, text).
        count: how many lines show it.
    """

    entry: Entry
    lines: list[tuple[int, str]] = field(default_factory=list)
    count: int = 0


def explain(stream: BinaryIO, entries: Sequence[Entry]) -> list[Match]:
    """Search a text for the signatures of entries; memory does not grow with its length.

    Args:
        stream: UTF-8, or UTF-16 with a byte-order mark; what is neither is searched as it is.
        entries: the registry.

    Returns:
        One match for each entry that shows, in the order of the lines that show them first.
    """
    searches = [
        (entry, signature.text.encode(), None if signature.pattern is None else re.compile(signature.pattern))
        for entry in entries
        for signature in entry.signatures
    ]
    found: dict[str, Match] = {}
    number = 1
    overlap = max((len(text) for _, text, _ in searches), default=1) - 1
    for piece in _pieces(_utf8(stream), overlap):
        hits: dict[tuple[int, str], tuple[Entry, bytes]] = {}
        for entry, text, pattern in searches:
            for start, line in _lines_with(piece, text):
                if pattern is None or pattern.search(line.decode("utf-8", "replace")):
                    hits[start, entry.id] = entry, line
        for start, name in sorted(hits):
            entry, line = hits[start, name]
            match = found.setdefault(name, Match(entry))
            match.count += 1
            if len(match.lines) < _KEPT_LINES:
                match.lines.append((number + piece.count(b"\n", 0, start), line.decode("utf-8", "replace")))
        number += piece.count(b"\n")
    return list(found.values())


def _lines_with(piece: bytes, text: bytes) -> Iterator[tuple[int, bytes]]:
    """Return start and content of every line that holds ``text``; a carriage return ends a line too."""
    place = piece.find(text)
    while place >= 0:
        # Carriage returns are looked for inside the line alone: most logs have none, and all of the piece was searched.
        start = piece.rfind(b"\n", 0, place) + 1
        start = max(start, piece.rfind(b"\r", start, place) + 1)
        end = piece.find(b"\n", place)
        end = len(piece) if end < 0 else end
        returned = piece.find(b"\r", place, end)
        end = end if returned < 0 else returned
        yield start, piece[start:end]
        place = piece.find(text, end)


def _pieces(chunks: Iterable[bytes], overlap: int) -> Iterator[bytes]:
    """Cut chunks at line ends; a line longer than ``_LONGEST_LINE`` in pieces that overlap, and counts as several."""
    held = b""
    for chunk in chunks:
        held += chunk
        end = max(held.rfind(b"\n"), held.rfind(b"\r")) + 1
        if end:
            yield held[:end]
            held = held[end:]
        elif len(held) > _LONGEST_LINE:
            yield held
            held = held[len(held) - overlap :]
    if held:
        yield held


def _utf8(stream: BinaryIO) -> Iterator[bytes]:
    chunk = stream.read(_PIECE_BYTES)
    encoding = _UTF16.get(chunk[:2])
    decoder = None if encoding is None else codecs.getincrementaldecoder(encoding)("replace")
    while chunk:
        yield chunk if decoder is None else decoder.decode(chunk).encode("utf-8", "replace")
        chunk = stream.read(_PIECE_BYTES)
