"""Where each row of a history lies: an index beside the file, so that a question reads the rows it is about.

The index is never more than a memory of the history. It is brought up to date when rows were added, made anew when the
file changed in any other way, and thrown away when it is damaged. Every row that leaves here was read from the history
itself and holds to its hash. Whether the chain is whole says ``evals.history.verify``.
"""

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from evals.errors import InputError
from evals.history_line import hash_of, parse_line, whole_lines

FACTS = ("id", "schema", "time", "phase", "persona", "verdict", "run_id")
"""Facts of a row that the index keeps, as text; None where a row has none."""
_REVISION = 1
_TABLES = """
CREATE TABLE rows (
  number INTEGER PRIMARY KEY, offset INTEGER, length INTEGER, hash TEXT, reused INTEGER,
  id TEXT, schema TEXT, time TEXT, phase TEXT, persona TEXT, verdict TEXT, run_id TEXT
);
CREATE INDEX by_hash ON rows (hash);
CREATE INDEX by_id ON rows (id);
CREATE INDEX by_run ON rows (run_id);
CREATE INDEX by_kind ON rows (schema, persona);
CREATE TABLE state (revision INTEGER, size INTEGER, changed INTEGER);
"""
_INSERT = "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True)
class Entry:
    """What the index knows of one row: its place in the file from 1, its ``hash``, ``reused``, and ``FACTS``."""

    number: int
    hash: str
    reused: bool | None
    facts: Mapping[str, str | None]


def index_path(history: Path) -> Path:
    """Return where the index of a history lies."""
    return history.with_name(f"{history.name}.index")


def entries(history: Path, *, last: int | None = None, **facts: str | tuple[str, ...]) -> list[Entry]:
    """Return what the index knows of the rows with these facts, in file order; a missing file has none.

    Args:
        history: the history file.
        last: only so many, from the end; None for all.
        facts: names of ``FACTS`` and the text each must have, or several of which it must have one.

    Raises:
        InputError: a line that the index does not know yet is no row whose hash derives again.
    """
    with _opened(history) as found:
        return [] if found is None else [
            Entry(row["number"], row["hash"], None if row["reused"] is None else bool(row["reused"]),
                  {name: row[name] for name in FACTS})
            for row in _chosen(found[0], facts, last)
        ]  # fmt: skip


def rows(history: Path, *, last: int | None = None, **facts: str | tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the rows with these facts, read from the history and held to their hashes; otherwise as ``entries``."""
    with _opened(history) as found:
        return [] if found is None else [_read(history, found[1], row) for row in _chosen(found[0], facts, last)]


def starting_with(history: Path, start: str) -> list[dict[str, Any]]:
    """Return the rows whose id or hash starts with ``start`` (not empty), in file order; otherwise as ``rows``."""
    with _opened(history) as found:
        if found is None or not start:
            return []
        database, file = found
        end = start + "\U0010ffff"
        asked = "SELECT * FROM rows WHERE (id >= ? AND id < ?) OR (hash >= ? AND hash < ?) ORDER BY number"
        return [_read(history, file, row) for row in database.execute(asked, (start, end, start, end))]


@contextlib.contextmanager
def _opened(history: Path) -> Iterator[tuple[sqlite3.Connection, BinaryIO] | None]:
    history = Path(history)
    if not history.is_file():
        yield None
        return
    with history.open("rb") as file, contextlib.closing(_up_to_date(history, file)) as database:
        yield database, file


def _up_to_date(history: Path, file: BinaryIO) -> sqlite3.Connection:
    path = index_path(history)
    for attempt in range(2):
        try:
            database = _connected(path)
            try:
                _bring_up(database, history, file)
            except BaseException:
                database.close()
                raise
            return database
        except sqlite3.OperationalError:
            break  # a folder that cannot be written, or an index that another process holds
        except sqlite3.DatabaseError:
            if attempt:
                break
            with contextlib.suppress(OSError):
                path.unlink()
    database = _connected(":memory:")
    _bring_up(database, history, file)
    return database


def _connected(path: Path | str) -> sqlite3.Connection:
    # Autocommit, so that each transaction below is one that is written out.
    database = sqlite3.connect(path, timeout=10.0, isolation_level=None)
    database.row_factory = sqlite3.Row
    # What a power cut takes from the index is made anew.
    database.execute("PRAGMA synchronous = OFF")
    return database


def _bring_up(database: sqlite3.Connection, history: Path, file: BinaryIO) -> None:
    known = history.stat()
    if _state(database) == (_REVISION, known.st_size, known.st_mtime_ns):
        return
    database.execute("BEGIN IMMEDIATE")
    try:
        start, number = _goes_on_from(database, file, known.st_size)
        if not number:
            _empty(database)
        database.executemany(_INSERT, _values(history, file, start, number))
        database.execute("DELETE FROM state")
        database.execute("INSERT INTO state VALUES (?, ?, ?)", (_REVISION, known.st_size, known.st_mtime_ns))
        database.execute("COMMIT")
    except BaseException:
        database.execute("ROLLBACK")
        raise


def _state(database: sqlite3.Connection) -> tuple[int, int, int] | None:
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'state'").fetchone():
        return None
    row = database.execute("SELECT revision, size, changed FROM state").fetchone()
    return None if row is None else (row["revision"], row["size"], row["changed"])


def _goes_on_from(database: sqlite3.Connection, file: BinaryIO, size: int) -> tuple[int, int]:
    """Return where the rows that the index lacks begin, and how many it has; (0, 0) to begin anew."""
    state = _state(database)
    if state is None or state[0] != _REVISION:
        return 0, 0
    last = database.execute("SELECT number, offset, length, hash FROM rows ORDER BY number DESC LIMIT 1").fetchone()
    if last is None:
        return 0, 0
    # Grown, with the last row that is known where it was: all before it is as old as that row.
    grown = size > state[1]
    file.seek(last["offset"])
    line = file.read(last["length"])
    same = line.endswith(b"\n") and hash_of(line[:-1].removesuffix(b"\r")) == last["hash"]
    return (last["offset"] + last["length"], last["number"]) if grown and same else (0, 0)


def _empty(database: sqlite3.Connection) -> None:
    for table in ("rows", "state"):
        database.execute(f"DROP TABLE IF EXISTS {table}")
    for statement in filter(str.strip, _TABLES.split(";")):
        database.execute(statement)


def _values(history: Path, file: BinaryIO, start: int, number: int) -> Iterator[tuple[Any, ...]]:
    for count, (offset, length, line) in enumerate(whole_lines(file, start), number + 1):
        row = parse_line(history, count, line)
        reused = row.get("reused")
        facts = (None if row.get(name) is None else str(row[name]) for name in FACTS)
        yield count, offset, length, row["hash"], None if reused is None else int(bool(reused)), *facts


def _chosen(
    database: sqlite3.Connection, facts: Mapping[str, str | tuple[str, ...]], last: int | None
) -> list[sqlite3.Row]:
    unknown = sorted(facts.keys() - set(FACTS))
    if unknown:
        raise ValueError(f"accepted facts of {', '.join(FACTS)}, got {unknown[0]}")
    accepted = {name: (value,) if isinstance(value, str) else value for name, value in facts.items()}
    where = " AND ".join(f"{name} IN ({', '.join('?' * len(texts))})" for name, texts in accepted.items()) or "1"
    asked = f"SELECT * FROM rows WHERE {where} ORDER BY number DESC LIMIT ?"  # noqa: S608 - names of FACTS alone
    texts = itertools.chain(*accepted.values())
    return database.execute(asked, (*texts, -1 if last is None else last)).fetchall()[::-1]


def _read(history: Path, file: BinaryIO, entry: sqlite3.Row) -> dict[str, Any]:
    file.seek(entry["offset"])
    line = file.read(entry["length"])
    row = parse_line(history, entry["number"], line.removesuffix(b"\n").removesuffix(b"\r"))
    if row["hash"] != entry["hash"]:
        raise InputError(f"{history}: line {entry['number']}: accepted the row that was there, got another one; "
                         "next: lifeos history verify")  # fmt: skip
    return row
