"""A history of 100,000 rows: one append against a bare write and fsync, and `lifeos history` as a process.

    python -m benchmarks.history_scale [--rows N] [--rounds N]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.arguments import positive
from benchmarks.comparison import Context, Outcome, Pair, all_met, in_turn, interleaved
from benchmarks.registry import entry
from benchmarks.table import format_table
from evals.history import append
from evals.history_index import entries
from evals.history_line import Content

ROOT = Path(__file__).resolve().parents[1]
_GATES = 40
PAIR_ROWS, PAIR_APPENDS = 100_000, 50
_EVERY_LINE = """
import json, sys
with open(sys.argv[1], encoding="utf-8") as lines:
    rows = [row for row in map(json.loads, lines) if row["persona"] == sys.argv[2]]
for row in rows[-int(sys.argv[3]):]:
    print(row["id"], row["verdict"])
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; status 1 when a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history_scale", description=__doc__)
    parser.add_argument("--rows", type=positive, default=100_000)
    parser.add_argument("--rounds", type=positive, default=200)
    given = parser.parse_args(arguments)
    outcomes = history_outcomes(given.rows, given.rounds)
    print(format_table(outcomes))
    return 0 if all_met(outcomes) else 1


def history_outcomes(rows: int, rounds: int) -> list[Outcome]:
    """Return the rows of the table: appends and questions beside ``rows`` rows, the median of ``rounds`` appends."""
    with tempfile.TemporaryDirectory() as folder:
        history, bare = Path(folder, "history.jsonl"), Path(folder, "bare.jsonl")
        write_history(history, rows)
        card = scorecard(rows)
        text = json.dumps(card).encode() + b"\n"
        ours, theirs = interleaved(
            lambda _: _timed(lambda: append(history, card)), lambda _: _timed(lambda: _bare(bare, text)), rounds
        )
        started = time.perf_counter()
        entries(history)
        indexing = time.perf_counter() - started
        asked = ["history", "--history", str(history), "--persona", "persona-3", "--last", "20"]
        query = tuple(Pair(_timed(lambda: _lifeos(asked))) for _ in range(6))
        one = ["history", "show", "--history", str(history), _id(min(5, rows - 1))]
        shown = tuple(Pair(_timed(lambda: _lifeos(one))) for _ in range(6))
        whole = tuple(Pair(_timed(lambda: _lifeos(["history", "--history", str(history)]))) for _ in range(3))
        size = f"{rows:,} rows, {history.stat().st_size / 1e6:.0f} MB"
    timed = replace(entry("history-query"), alternative="")
    return [
        Outcome(replace(entry("history-append"), ours=f"evals.history.append, median of {rounds}"),
                (Pair(median(ours), median(theirs)),), note=size),
        Outcome(timed, query, note=size),
        Outcome(replace(timed, id="history-show", ours="lifeos history show ID, start to exit"), shown),
        Outcome(replace(timed, id="history-list", ours="lifeos history, every row, start to exit", target=None),
                whole),
        Outcome(replace(timed, id="history-index", ours="the index made from nothing", target=None),
                (Pair(indexing),), note="every row read and its hash derived again"),
    ]  # fmt: skip


def append_pair(context: Context, number: int) -> Pair:
    """Time an append beside 100,000 rows and a bare write and fsync, each the median of 50 in turn."""
    history, card = _history(context), scorecard(PAIR_ROWS + number)
    text = json.dumps(card).encode() + b"\n"
    ours, bare = interleaved(
        lambda _: _timed(lambda: append(history, card)),
        lambda _: _timed(lambda: _bare(context.folder / "bare.jsonl", text)),
        PAIR_APPENDS,
    )
    return Pair(median(ours), median(bare), details={"rows": PAIR_ROWS})


def query_pair(context: Context, number: int) -> Pair:
    """Time a question to 100,000 rows as a process, against a process that reads every line with ``json``."""
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


def _lifeos(arguments: Sequence[str]) -> None:
    subprocess.run([sys.executable, "-m", "lifeos", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    sys.exit(main())
