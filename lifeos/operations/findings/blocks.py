"""Marker blocks: the only bytes of a control file that the reducer writes."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evals.content_hash import hash_bytes
from lifeos.errors import InputError
from lifeos.operations.briefing.item_text import inert
from lifeos.operations.briefing.model import Kind
from lifeos.operations.findings.fold import Entry

_BEGIN = re.compile(rb"<!-- lifeos:begin ([a-z-]+) sha256=([0-9a-f]{64}) -->(\r?\n)")
_ANY = re.compile(rb"lifeos:(?:begin|end)\b")
EMPTY_LINE = "None yet."


@dataclass(frozen=True)
class Place:
    """Where the items of a kind stand.

    Args:
        file: control file, relative to the checkout.
        name: of its block.
        most_bytes: of the block's lines; what does not fit is counted in its last line.
    """

    file: str
    name: str
    most_bytes: int


PLACES: dict[Kind, Place] = {
    "finding": Place("context/session-learnings.md", "findings", 5000),
    "task": Place("PROGRESS.md", "pending-tasks", 5000),
    "rule": Place("CLAUDE.md", "critical-rules", 3000),
}


class HandEditedError(InputError):
    """A block holds other bytes than its marker states: a person's edit would be lost."""


def empty_block(name: str) -> str:
    """Return a block without items, to be put into a control file, with ``\\n`` line ends."""
    return f"{_begin(name, [EMPTY_LINE])}\n{EMPTY_LINE}\n<!-- lifeos:end {name} -->\n"


def replace_block(data: bytes, name: str, lines: Sequence[str], where: str, *, overwrite: bool = False) -> bytes:
    """Return a file's bytes with the lines of one block replaced; every byte outside the block stays.

    The block takes the line ends of its first marker. The hash in that marker is of its lines with ``\\n`` ends, so a
    checkout with Windows line ends agrees.

    Args:
        data: the file.
        name: of the block.
        lines: new content, without line ends; none gives the line of an empty block.
        where: the file, for messages.
        overwrite: write over a block that was edited by hand.

    Raises:
        HandEditedError: its bytes are not those that its marker states; the message holds the difference.
        InputError: the block is not there, not closed, or there twice.
    """
    begin, content, end = _find(data, name, where)
    stated = begin.group(2).decode("ascii")
    if not overwrite and _digest(content.replace(b"\r\n", b"\n")) != stated:
        said = " | ".join(_difference(content.decode("utf-8", "replace"), lines or [EMPTY_LINE])[:6])
        raise HandEditedError(
            f"{where}: block {name}: accepted the lines that promotion wrote, got others (against what it writes now: "
            f"{said}); next: move your lines out of the block, or lifeos promote-findings --apply --overwrite-edited"
        )
    ending = begin.group(3)
    body = b"".join(line.encode("utf-8") + ending for line in (lines or [EMPTY_LINE]))
    head = _begin(name, lines or [EMPTY_LINE]).encode("ascii") + ending
    return data[: begin.start()] + head + body + data[end:]


def block_lines(data: bytes, name: str, where: str) -> list[str]:
    """Return the lines of a block as they are; raises ``InputError`` as ``replace_block`` for one that is not there."""
    _, content, _ = _find(data, name, where)
    return content.decode("utf-8", "replace").splitlines()


def render_entries(entries: Sequence[Entry], most_bytes: int) -> list[str]:
    """Return one line an entry, in order of key and id, as many as fit.

    Where not all fit, those stay that were seen most often, then those that came last.

    Args:
        entries: active ones of one kind.
        most_bytes: of the lines with their ends; the line that counts what was left out is within it.
    """
    ranked = sorted(entries, key=lambda each: (-each.seen, _backwards(each.since), each.id))
    kept: list[Entry] = []
    used = len(_left_out(len(entries))) + 1
    for entry in ranked:
        size = len(entry_line(entry).encode("utf-8")) + 1
        if used + size > most_bytes:
            break
        kept.append(entry)
        used += size
    lines = [entry_line(entry) for entry in sorted(kept, key=lambda each: (each.key, each.id))]
    left = len(entries) - len(kept)
    return [*lines, _left_out(left)] if left else lines


def entry_line(entry: Entry) -> str:
    """Return the Markdown line of an entry; its text means nothing to Markdown."""
    facts = [entry.id]
    if entry.kind == "rule":
        facts.append(f"enforced by `{entry.enforced_by}`")
    if entry.seen > 1:
        facts.append(f"{entry.seen} times")
    if entry.until is not None:
        facts.append(f"until {entry.until}")
    return f"- {inert(entry.key)}: {inert(entry.text)} ({', '.join(facts)})"


def _left_out(count: int) -> str:
    return f"- {count} more do not fit here: lifeos promote-findings lists them"


def _backwards(text: str) -> tuple[int, ...]:
    return tuple(-ord(character) for character in text)


def _find(data: bytes, name: str, where: str) -> tuple[re.Match[bytes], bytes, int]:
    named = name.encode("ascii")
    begins = [match for match in _BEGIN.finditer(data) if match.group(1) == named and _at_line(data, match)]
    closing = f"<!-- lifeos:end {name} -->".encode("ascii")
    if len(begins) != 1:
        how = "none" if not begins else f"{len(begins)} of them"
        raise InputError(
            f"{where}: accepted one block {name}, got {how}; next: put these three lines there: "
            f"{' / '.join(empty_block(name).splitlines())}"
        )
    begin = begins[0]
    end = data.find(closing, begin.end())
    content = data[begin.end() : end]
    if end < 0 or (content and not content.endswith(b"\n")) or _ANY.search(content):
        raise InputError(f"{where}: accepted {closing.decode('ascii')} on a line of its own, got none; next: git diff")
    return begin, content, end


def _at_line(data: bytes, match: re.Match[bytes]) -> bool:
    return match.start() == 0 or data[match.start() - 1 : match.start()] == b"\n"


def _begin(name: str, lines: Sequence[str]) -> str:
    content = "".join(f"{line}\n" for line in lines).encode("utf-8")
    return f"<!-- lifeos:begin {name} sha256={_digest(content)} -->"


def _digest(content: bytes) -> str:
    return hash_bytes(content)


def _difference(there: str, lines: Sequence[str]) -> list[str]:
    changed = difflib.unified_diff(list(lines), there.splitlines(), "promotion", "file", lineterm="", n=0)
    return [line[:120] for line in changed if not line.startswith(("---", "+++", "@@"))]


def read_control_file(root: Path, place: Place) -> bytes:
    """Return the bytes of a control file.

    Raises:
        InputError: it is not there or cannot be read.
    """
    try:
        return (Path(root) / place.file).read_bytes()
    except OSError as error:
        raise InputError(
            f"{place.file}: accepted a control file, got {error.strerror}; next: git checkout {place.file}"
        ) from error
