"""The append-only log of scorecards: one JSON line a row, each naming the hash of the row before it.

A row's hash covers everything in it, the previous hash included, so no earlier row can change without every later one
changing; against a commit that holds an earlier tip the chain is tamper-evident. Two rows with one parent are a fork
(two clones went on from one history), not corruption: a join row names both tips.
"""

import contextlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from evals.atomic import sync_folder, write_bytes
from evals.content_hash import canonical_json, hash_bytes, hash_json
from evals.errors import InputError
from evals.scorecard import compact_time, row_id

JOIN_SCHEMA = "lifeos.join/1"
LOCK_SECONDS = 60.0

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
    _refuse_unwritable(scorecard)
    with _locked(path):
        _recover(path, on_recovery)
        lines = _whole_lines(path)
        last = _parse_line(path, len(lines), lines[-1]) if lines else None
        row = _sealed({**scorecard, "previous": None if last is None else last["hash"]})
        _append_line(path, row)
    return row


def read(path: Path) -> list[dict[str, Any]]:
    """Return all rows in file order, joins included; an unfinished last line is left out, a missing file has no rows.

    Raises:
        InputError: a line is not a JSON object whose hash re-derives.
    """
    path = Path(path)
    return [_parse_line(path, number, line) for number, line in enumerate(_whole_lines(path), 1)]


def find(path: Path, row: str) -> dict[str, Any]:
    """Return the one row whose id or hash starts with ``row``.

    Raises:
        InputError: no row or more than one does, or the history is corrupt.
    """
    found = [r for r in read(path) if row and (str(r.get("id", "")).startswith(row) or r["hash"].startswith(row))]
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
    with _locked(path):
        data = path.read_bytes()
    whole, tail = _split(data)
    problems: list[str] = []
    seen: dict[str, bool] = {}  # hash of a row -> whether no row follows it
    for number, line in enumerate(whole, 1):
        try:
            row = _parse_line(path, number, line)
        except InputError as error:
            problems.append(str(error))
            continue
        if row["hash"] in seen:
            problems.append(f"{path}: line {number}: row {row['hash'][:12]} is there twice")
            continue
        problems.extend(f"{path}: line {number}: {text}" for text in _parent_problems(row, seen))
        for parent in _parents(row):
            seen[parent] = False
        seen[row["hash"]] = True
    if tail:
        problems.append(f"{path}: the last line is unfinished ({len(tail)} bytes); the next append moves it aside")
    problems.extend(f"{path}: row {tip[:12]}, once a tip, is gone" for tip in known_tips if tip not in seen)
    tips = tuple(name for name, is_tip in seen.items() if is_tip)
    return Verification(len(whole), tips, tuple(problems), _torn_files(path))


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
    with _locked(path):
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
            rows.append(_sealed({"id": row_id(stamp, content), **content}))
        if not rows:
            raise InputError(f"{path}: accepted a history with rows, got an empty one; next: lifeos gate release")
        if len(rows) > len(own):
            write_bytes(path, b"".join(_line(row) for row in rows))
    return rows[-1]


def _sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    # Through JSON and back, so that what is returned is what a reader will get.
    row: dict[str, Any] = json.loads(canonical_json(dict(content)))
    row["hash"] = hash_json(row)
    return row


def _line(row: Mapping[str, Any]) -> bytes:
    return canonical_json(dict(row)).encode("ascii") + b"\n"


def _parents(row: Mapping[str, Any]) -> list[str]:
    if row.get("schema") == JOIN_SCHEMA:
        return list(row.get("joins", []))
    return [] if row["previous"] is None else [row["previous"]]


def _parent_problems(row: Mapping[str, Any], seen: Mapping[str, bool]) -> Iterator[str]:
    parents = _parents(row)
    for parent in parents:
        if parent not in seen:
            yield f"parent {str(parent)[:12]} is not above it"
    if row.get("schema") == JOIN_SCHEMA and (len(set(parents)) < 2 or row["previous"] != parents[0]):
        yield "a join names at least two rows, the first as its previous"


def _parse_line(path: Path, number: int, line: bytes) -> dict[str, Any]:
    where = f"{path}: line {number}"
    try:
        row = json.loads(line.decode("ascii"), parse_constant=_refuse_constant)
        canonical_json(row)  # 1e999 is JSON and reads as infinity
    except (ValueError, RecursionError) as error:
        raise _corrupt(where, f"a line that is not JSON ({error})") from error
    if not isinstance(row, dict) or not isinstance(row.get("hash"), str):
        raise _corrupt(where, "a line without a hash")
    previous, joins = row.get("previous", ""), row.get("joins", [])
    if not (previous is None or (isinstance(previous, str) and previous)):
        raise _corrupt(where, "a row without a previous hash")
    if not isinstance(joins, list) or not all(isinstance(parent, str) for parent in joins):
        raise _corrupt(where, "joins that are not hashes")
    content = {key: value for key, value in row.items() if key != "hash"}
    # The text as well as the hash: a key written twice parses to one and would hide behind it.
    if hash_json(content) != row["hash"] or _line(row) != line + b"\n":
        raise _corrupt(where, "a row whose hash does not re-derive")
    return row


def _split(data: bytes) -> tuple[list[bytes], bytes]:
    *whole, tail = data.split(b"\n")
    # A checkout that turned line ends into CRLF has changed no row.
    return [line.removesuffix(b"\r") for line in whole], tail


def _whole_lines(path: Path) -> list[bytes]:
    return _split(path.read_bytes())[0] if path.is_file() else []


def _recover(path: Path, on_recovery: Callable[[str], None] | None) -> None:
    if not path.is_file():
        return
    data = path.read_bytes()
    whole, tail = _split(data)
    if not tail:
        return
    try:
        _parse_line(path, len(whole) + 1, tail)
    except InputError:
        aside = path.with_name(f"{path.name}.torn-{hash_bytes(tail)[:_TORN_DIGITS]}")
        # Safe first, cut second: a kill in between repeats the move and loses nothing.
        write_bytes(aside, tail)
        with path.open("r+b") as file:
            file.truncate(len(data) - len(tail))
            os.fsync(file.fileno())
        said = f"{path}: the last line was torn by a killed writer; its {len(tail)} bytes are in {aside.name}"
        _logger.warning(said)
        if on_recovery is not None:
            on_recovery(said)
    else:
        with path.open("ab") as file:
            _write_through(file.fileno(), b"\n")


def _append_line(path: Path, row: Mapping[str, Any]) -> None:
    is_new = not path.exists()
    with path.open("ab", buffering=0) as file:
        _write_through(file.fileno(), _line(row))
    if is_new:
        sync_folder(path.parent)


def _write_through(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path.with_name(path.name + ".lock"), timeout=LOCK_SECONDS)
    try:
        with lock:
            yield
    except Timeout as error:
        raise InputError(
            f"{path}: accepted a history that no other process holds, got one locked for {LOCK_SECONDS:g} s; "
            "next: wait for the other run"
        ) from error


def _torn_files(path: Path) -> tuple[str, ...]:
    prefix = f"{path.name}.torn-"
    return tuple(sorted(file.name for file in path.parent.iterdir() if file.name.startswith(prefix)))


def _refuse_unwritable(scorecard: Mapping[str, Any]) -> None:
    taken = sorted({"previous", "hash", "joins"} & scorecard.keys())
    if taken:
        raise InputError(
            f"scorecard: accepted a row without {' and '.join(taken)}, got one; next: pass a new scorecard"
        )
    try:
        canonical_json(dict(scorecard))
    except (ValueError, TypeError) as error:
        raise InputError(
            f"scorecard: accepted JSON types with finite numbers, got {error}; next: correct what built the scorecard"
        ) from error


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number of JSON")


def _corrupt(where: str, got: str) -> InputError:
    return InputError(f"{where}: accepted an unchanged row, got {got}; next: lifeos history verify")
