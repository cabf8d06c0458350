"""Comparisons and results that nobody measured."""

from pathlib import Path

from benchmarks import results
from benchmarks.comparison import Comparison, Context, Outcome, Pair, Target, UnmeasuredError

MACHINE = {
    "processor": "Test Processor", "cores": 2, "threads": 2, "memory_gib": 8, "gpus": [], "system": "Linux x86_64",
    "python": "3.11.7",
}  # fmt: skip


def row(**changes):
    """Return a comparison whose pairs are ``pair`` of this module."""
    values = {"id": "sums", "title": "numbers added", "ours": "sum", "alternative": "a <loop>", "unit": "s",
              "run": "tests.benchmarks.synthetic:pair"}  # fmt: skip
    return Comparison(**{**values, **changes})


def pair(context, number):
    """Return pairs whose ratios are 2, 3 and 4, and leave a note of each call."""
    with (context.folder.parent / "calls").open("a", encoding="utf-8") as notes:
        notes.write(f"{number} ")
    return Pair(1.0, 2.0 + max(number, 0), details={"images": 3.0})


def breaks(context, number):
    """Fail at the second pair, with a path of this machine in the message."""
    if number == 1:
        raise UnmeasuredError(f"{context.root / 'lifeos' / 'x.py'} and /srv/data/people/file.png are not there")
    return Pair(1.0, 2.0)


def context(tmp_path: Path) -> Context:
    """Return a context whose checkout is an empty folder."""
    return Context(root=tmp_path, checkout=tmp_path, persona=tmp_path / "persona", folder=tmp_path)


def line(commit="a" * 40, time="2026-11-29T05:00:00Z", commit_time="2026-11-28T05:00:00+00:00", machine=None,
         outcomes=None, dirty=False):  # fmt: skip
    """Return a line as ``benchmarks.results.record`` makes it."""
    made = [Outcome(row(target=Target("ratio", low=2.5)), (Pair(1.0, 2.0), Pair(1.0, 3.0), Pair(1.0, 4.0)))]
    return {
        "schema": results.SCHEMA, "time": time, "commit": commit, "commit_time": commit_time, "dirty": dirty,
        "machine": {**MACHINE, **(machine or {})}, "load": {"before": 0.1, "after": 0.2}, "script_sha256": None,
        "lora_sha256": None, "comparisons": [results._of(each) for each in (made if outcomes is None else outcomes)],
    }  # fmt: skip
