"""A history of 100,000 rows: an append against a bare write and fsync, and what a question to it takes."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.comparison import Context, Pair, in_turn
from benchmarks.interleave import interleaved
from benchmarks.table import Line, format_table
from evals.history import append
from evals.history_index import entries, index_path
from evals.history_line import Content

ROOT = Path(__file__).resolve().parents[1]
ROWS, APPENDS = 100_000, 50
_GATES = 40
PAIR_ROWS, PAIR_APPENDS = 20_000, 50
_EVERY_LINE = """
import json, sys
with open(sys.argv[1], encoding="utf-8") as lines:
    rows = [row for row in map(json.loads, lines) if row["persona"] == sys.argv[2]]
for row in rows[-int(sys.argv[3]):]:
    print(row["id"], row["verdict"])
"""


def append_pair(context: Context, number: int) -> Pair:
    """Append to the long history and write the same line bare, in turn; the median of ``APPENDS`` each."""
    history, bare = _history(context), context.folder / "bare.jsonl"
    card = scorecard(ROWS)
    text = json.dumps(card).encode() + b"\n"
    turns = [
        in_turn(lambda: _timed(lambda: append(history, card)), lambda: _timed(lambda: _bare(bare, text)), number + turn)
        for turn in range(APPENDS)
    ]
    return Pair(median(turn[0] for turn in turns), median(turn[1] for turn in turns))


def query_pair(context: Context, number: int) -> Pair:
    """Ask for the last rows of one persona: `lifeos history` as a process, and a process that reads every line."""
    history = _history(context)
    entries(history)
    asked = ["-m", "lifeos", "history", "--history", str(history), "--persona", "persona-3", "--last", "20"]
    ours, theirs = in_turn(
        lambda: _timed(lambda: _python(asked)), lambda: _timed(lambda: _python(["-c", _BY_JSON, str(history)])), number
    )
    return Pair(ours, theirs)


def index_pair(context: Context, number: int) -> Pair:
    """Make the index from nothing, and read every line with json alone."""
    history = _history(context)

    def ours() -> None:
        index_path(history).unlink(missing_ok=True)
        entries(history)

    one, other = in_turn(
        lambda: _timed(ours), lambda: _timed(lambda: _python(["-c", _BY_JSON, str(history)])), number
    )
    return Pair(one, other)


def _history(context: Context) -> Path:
    path = context.folder / "history.jsonl"
    if not path.exists():
        write_history(path, ROWS)
    return path


def append_pair(context: Context, number: int) -> Pair:
    """Time an append beside 20,000 rows and a bare write and fsync, each the median of 50 in turn."""
    history, card = _history(context), scorecard(PAIR_ROWS + number)
    text = json.dumps(card).encode() + b"\n"
    ours, bare = interleaved(
        lambda _: _timed(lambda: append(history, card)),
        lambda _: _timed(lambda: _bare(context.folder / "bare.jsonl", text)),
        PAIR_APPENDS,
    )
    return Pair(median(ours), median(bare), details={"rows": PAIR_ROWS})


def query_pair(context: Context, number: int) -> Pair:
    """Time a question to 20,000 rows as a process, against a process that reads every line with ``json``."""
    history = _history(context)
    asked = ["history", "--history", str(history), "--persona", "persona-3", "--last", "20"]
    plain = [sys.executable, "-c", _EVERY_LINE, str(history), "persona-3", "20"]
    ours, theirs = in_turn(
        lambda: _timed(lambda: _lifeos(asked)),
        lambda: _timed(lambda: subprocess.run(plain, stdout=subprocess.DEVNULL, check=True)),
        number,
    )
    return Pair(ours, theirs, details={"rows": PAIR_ROWS})


def _history(context: Context) -> Path:
    path = context.folder / "history.jsonl"
    if not path.exists():
        write_history(path, PAIR_ROWS)
    return path


def write_history(path: Path, rows: int) -> None:
    """Write a chain of ``rows`` scorecards in one go."""
    previous = None
    with path.open("wb") as file:
        for number in range(rows):
            row, line = Content.of(scorecard(number)).sealed(previous)
            previous = row["hash"]
            file.write(line)


def scorecard(number: int) -> dict[str, Any]:
    """Return a row of a release's size, 6.5 kB: what an invented release of one of ten personas would leave."""
    gate = {"severity": "hard", "verdict": "passed", "reason": "invented for a measure of time", "value": 0.5,
            "interval": [0.25, 0.75], "threshold": 0.125, "threshold_source": "calibration"}  # fmt: skip
    return {
        "id": _id(number), "schema": "lifeos.scorecard/1", "time": "2026-01-01T00:00:00Z", "phase": "release",
        "persona": f"persona-{number % 10}", "verdict": "approved", "reused": False, "run_id": f"run-{number:08d}",
        "gates": [{"id": f"gate_{place}", **gate} for place in range(_GATES)],
    }  # fmt: skip


def _id(number: int) -> str:
    return f"20260101T000000Z-{number:08x}"


def _timed(call: Any) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _bare(path: Path, text: bytes) -> None:
    with path.open("ab", buffering=0) as file:
        os.write(file.fileno(), text)
        os.fsync(file.fileno())


def _python(arguments: Sequence[str]) -> None:
    subprocess.run([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
