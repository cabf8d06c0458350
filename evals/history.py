"""The append-only log of scorecards: one JSON line a row, each naming the hash of the row before it.

A row's hash covers everything in it, the previous hash included, so no earlier row can change without every later one
changing; against a commit that holds an earlier tip the chain is tamper-evident. Two rows with one parent are a fork
(two clones went on from one history), not corruption: a join row names both tips.
"""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from evals.atomic import sync_folder, write_bytes
from evals.content_hash import hash_bytes
from evals.errors import InputError
from evals.history_index import starting_with
from evals.history_line import Content, Tail, hash_of, line_of, parse_line, read_tail, whole_lines
from evals.history_lock import locked
from evals.scorecard import compact_time, row_id

JOIN_SCHEMA = "lifeos.join/1"

_logger = logging.getLogger(__name__)
_TORN_DIGITS = 12


@dataclass(frozen=True)
class Verification:
    """What a history says about itself.

    Args:
        rows: number of whole rows.
        tips: hashes of the rows that no other row follows, in file order; more than one is an unjoined fork.
        problems: one line each; empty if every hash re-derives and every parent is there.
        torn: names of the files beside the history that hold torn last lines moved aside.
    """

    rows: int
    tips: tuple[str, ...]
    problems: tuple[str, ...]
    torn: tuple[str, ...]


def append(
    path: Path, scorecard: Mapping[str, Any], *, on_recovery: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Append one row and return it with ``previous`` (hash of the last row, or None) and ``hash`` (its own).

    The row is on the disk when this returns. Writers wait for each other on ``<name>.lock``. A last line torn by a
    killed writer is moved to ``<name>.torn-<hash>`` first and said, by a log warning and to ``on_recovery``; a row that
    lacks nothing but its line end is kept.

    Args:
        path: the history file; made when missing.
        scorecard: JSON types with finite numbers, without ``previous``, ``hash`` and ``joins``.
        on_recovery: told one line when a torn line was moved aside.

    Raises:
        InputError: the scorecard holds a NaN, an infinity, another type, or a key of the chain; the last whole row is
            corrupt; or the lock stays taken for 60 s. Nothing is appended then.
        OSError: the file cannot be written.
    """
    path = Path(path)
    content = _content_of(scorecard)
    with locked(path), path.open("a+b", buffering=0) as file:
        last = _last_hash(path, file, on_recovery)
        row, line = content.sealed(last)
        _append_line(path, file, line, is_first=last is None)
    return row


def read(path: Path) -> list[dict[str, Any]]:
    """Return all rows in file order, joins included; an unfinished last line is left out, a missing file has no rows.

    Raises:
        InputError: a line is not a JSON object whose hash re-derives.
    """
    path = Path(path)
    if not path.is_file():
        return []
    with path.open("rb") as file:
        return [parse_line(path, number, line) for number, (_, _, line) in enumerate(whole_lines(file), 1)]


def find(path: Path, row: str) -> dict[str, Any]:
    """Return the one row whose id or hash starts with ``row``.

    Raises:
        InputError: no row or more than one does, or one that nobody asked for before is corrupt.
    """
    found = starting_with(path, row)
    if len(found) != 1:
        raise InputError(
            f"{path}: accepted the start of one row's id or hash, got {row!r} which fits {len(found)}; "
            "next: lifeos history"
        )
    return found[0]


def verify(path: Path, known_tips: Sequence[str] = ()) -> Verification:
    """Re-derive every hash and follow every parent.

    Args:
        path: the history file.
        known_tips: hashes that this history once ended with (from an earlier commit, say); each must still be in it.

    Raises:
        InputError: the lock stays taken for 60 s.
    """
    path = Path(path)
    if not path.is_file():
        return Verification(0, (), (f"{path}: there is no history file",), ())
    problems: list[str] = []
    seen: dict[str, bool] = {}  # hash of a row -> whether no row follows it
    rows = 0
    with path.open("rb") as file:
        with locked(path):
            tail = read_tail(file)
        for offset, _, line in whole_lines(file):
            if offset >= tail.torn_at:
                break  # written since
            rows += 1
            problems.extend(_line_problems(path, rows, line, seen))
    if tail.torn:
        problems.append(
            f"{path}: the last line is unfinished ({len(tail.torn)} bytes); the next append moves it aside"
        )
    problems.extend(f"{path}: row {tip[:12]}, once a tip, is gone" for tip in known_tips if tip not in seen)
    tips = tuple(name for name, is_tip in seen.items() if is_tip)
    return Verification(rows, tips, tuple(problems), _torn_files(path))


def merge(path: Path, other: Path, *, time: str) -> dict[str, Any]:
    """Bring the rows of another history that this one lacks into it and append a join row naming the tips.

    ``other`` may be ``path`` itself, to join a fork that is already in the file. The file is replaced whole or not at
    all. Where nothing forks (one history merely continues the other) no join is needed and the last row is returned.

    Args:
        path: the history that grows.
        other: the history whose rows come in; left as it is.
        time: UTC, ``"2026-11-23T20:29:00Z"``.

    Returns:
        The join row, with ``joins`` (the tips, this history's first), ``previous`` (the first of them) and ``hash``.

    Raises:
        InputError: either history is missing or does not verify, both share no row and are not empty, or ``time`` is
            malformed.
    """
    path, other = Path(path), Path(other)
    stamp = compact_time(time)
    for each in (path, other):
        problems = verify(each).problems
        if problems:
            raise InputError(f"{problems[0]}; accepted histories that verify; next: lifeos history verify")
    incoming = read(other)
    with locked(path):
        rows = read(path)
        own = {row["hash"] for row in rows}
        fresh = [row for row in incoming if row["hash"] not in own]
        if rows and incoming and len(fresh) == len(incoming):
            raise InputError(
                f"{other}: accepted a history that shares a row with {path}, got an unrelated one; "
                "next: name a history of this repository"
            )
        rows += fresh
        followed = {parent for row in rows for parent in _parents(row)}
        tips = [row["hash"] for row in rows if row["hash"] not in followed]
        if len(tips) > 1:
            content = {"schema": JOIN_SCHEMA, "time": time, "joins": tips, "previous": tips[0]}
            rows.append(Content.of({"id": row_id(stamp, content), **content}).sealed(tips[0])[0])
        if not rows:
            raise InputError(f"{path}: accepted a history with rows, got an empty one; next: lifeos gate release")
        if len(rows) > len(own):
            write_bytes(path, b"".join(line_of(row) for row in rows))
    return rows[-1]


def _parents(row: Mapping[str, Any]) -> list[str]:
    if row.get("schema") == JOIN_SCHEMA:
        return list(row.get("joins", []))
    return [] if row["previous"] is None else [row["previous"]]


def _line_problems(path: Path, number: int, line: bytes, seen: dict[str, bool]) -> list[str]:
    try:
        row = parse_line(path, number, line)
    except InputError as error:
        return [str(error)]
    if row["hash"] in seen:
        return [f"{path}: line {number}: row {row['hash'][:12]} is there twice"]
    problems = [f"{path}: line {number}: {text}" for text in _parent_problems(row, seen)]
    for parent in _parents(row):
        seen[parent] = False
    seen[row["hash"]] = True
    return problems


def _parent_problems(row: Mapping[str, Any], seen: Mapping[str, bool]) -> Iterator[str]:
    parents = _parents(row)
    for parent in parents:
        if parent not in seen:
            yield f"parent {str(parent)[:12]} is not above it"
    if row.get("schema") == JOIN_SCHEMA and (len(set(parents)) < 2 or row["previous"] != parents[0]):
        yield "a join names at least two rows, the first as its previous"


def _last_hash(path: Path, file: BinaryIO, on_recovery: Callable[[str], None] | None) -> str | None:
    tail = read_tail(file)
    if tail.torn:
        tail = _recovered(path, file, tail, on_recovery)
    if tail.last is None:
        return None
    own = hash_of(tail.last)
    # A line whose hash does not derive again is parsed for the message of what is wrong with it.
    return own if own is not None else str(parse_line(path, _line_count(file), tail.last)["hash"])


def _recovered(path: Path, file: BinaryIO, tail: Tail, on_recovery: Callable[[str], None] | None) -> Tail:
    try:
        parse_line(path, 0, tail.torn)
    except InputError:
        aside = path.with_name(f"{path.name}.torn-{hash_bytes(tail.torn)[:_TORN_DIGITS]}")
        # Safe first, cut second: a kill in between repeats the move and loses nothing.
        write_bytes(aside, tail.torn)
        file.truncate(tail.torn_at)
        os.fsync(file.fileno())
        said = f"{path}: the last line was torn by a killed writer; its {len(tail.torn)} bytes are in {aside.name}"
        _logger.warning(said)
        if on_recovery is not None:
            on_recovery(said)
    else:
        _write_through(file.fileno(), b"\n")
    return read_tail(file)


def _line_count(file: BinaryIO) -> int:
    return sum(1 for _ in whole_lines(file))


def _append_line(path: Path, file: BinaryIO, line: bytes, *, is_first: bool) -> None:
    _write_through(file.fileno(), line)
    if is_first:
        sync_folder(path.parent)


def _write_through(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)


def _torn_files(path: Path) -> tuple[str, ...]:
    prefix = f"{path.name}.torn-"
    return tuple(sorted(file.name for file in path.parent.iterdir() if file.name.startswith(prefix)))


def _content_of(scorecard: Mapping[str, Any]) -> Content:
    taken = sorted({"previous", "hash", "joins"} & scorecard.keys())
    if taken:
        raise InputError(
            f"scorecard: accepted a row without {' and '.join(taken)}, got one; next: pass a new scorecard"
        )
    try:
        return Content.of(scorecard)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"scorecard: accepted JSON types with finite numbers, got {error}; next: correct what built the scorecard"
        ) from error
