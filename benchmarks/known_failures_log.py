"""Known failures looked for in a long log: the registry's reader against a loop over lines and messages."""

import random
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.comparison import Context, Pair, UnmeasuredError, in_turn

MEBIBYTES, SEED = 16, 20261129


def log_pair(context: Context, number: int) -> Pair:
    """Time both ways of naming what a log of 16 MiB shows; the same entries must be named with as many lines each.

    Raises:
        UnmeasuredError: the answers differ.
    """
    from evals.known_failures import explain, read_entries

    entries = read_entries()
    log = context.folder / "training.log"
    if not log.exists():
        write_log(log, entries, MEBIBYTES * 2**20)

    def ours() -> tuple[float, dict[str, int]]:
        started = time.perf_counter()
        with log.open("rb") as stream:
            found = {match.entry.id: match.count for match in explain(stream, entries)}
        return time.perf_counter() - started, found

    def loop() -> tuple[float, dict[str, int]]:
        started = time.perf_counter()
        found = by_loop(log, entries)
        return time.perf_counter() - started, found

    (seconds, named), (their_seconds, their_names) = in_turn(ours, loop, number)
    if named != their_names:
        raise UnmeasuredError("both ways name other failures, or other numbers of lines")
    return Pair(seconds, their_seconds, details={"entries": len(named), "lines": sum(named.values())})


def write_log(path: Path, entries: Sequence[Any], size: int) -> None:
    """Write a log of training steps in which a few messages of known failures stand, near its end as they do."""
    generator = random.Random(SEED)  # noqa: S311 - a log, no secret
    messages = [signature.text for entry in entries[::20] for signature in entry.signatures[:1]]
    written, step = 0, 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        while written < size:
            step += 1
            written += file.write(f"step {step:>8} loss {generator.random():.6f} rate 0.000{generator.randrange(999)} "
                                  f"images/s {generator.random():.3f}\n")  # fmt: skip
        file.writelines(f"RuntimeError: {message}\n" for message in messages)


def by_loop(log: Path, entries: Sequence[Any]) -> dict[str, int]:
    """Return entry id -> lines that show it, each line searched for each message."""
    searches = [(entry.id, signature.text, None if signature.pattern is None else re.compile(signature.pattern))
                for entry in entries for signature in entry.signatures]  # fmt: skip
    found: dict[str, int] = {}
    with log.open(encoding="utf-8") as lines:
        for line in lines:
            shown = {name for name, text, pattern in searches
                     if text in line and (pattern is None or pattern.search(line.rstrip("\n")))}  # fmt: skip
            for name in shown:
                found[name] = found.get(name, 0) + 1
    return found
