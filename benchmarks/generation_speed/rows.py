"""A comparison from its runs to its lines, as ``benchmarks/table.py`` takes them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.generation_speed.measure import PARTS, Part, obstacle, recorded, run_missing
from benchmarks.generation_speed.records import records_of
from benchmarks.generation_speed.report import lines_of
from benchmarks.generation_speed.work import Work
from benchmarks.table import Line


def rows(
    root: Path, work: Work, script: Path | None, folder: Path, parts: Sequence[Part] = PARTS,
    within_seconds: float | None = None, tell: Callable[[str], object] = lambda line: None,
) -> list[Line]:  # fmt: skip
    """Make the missing runs of some parts and return every line of the comparison.

    Args:
        root: of this checkout.
        work: what is compared.
        script: diffusers' training script; None: its part is not measured.
        folder: for base, runs and records.
        parts: what may be run; with none, the lines of what is recorded.
        within_seconds: see ``run_missing``.
        tell: called with a line before each run.

    Raises:
        InputError: a run of ours cannot be prepared.
    """
    script, folder = None if script is None else script.absolute(), folder.absolute()
    records = records_of(work, script, folder, root)
    left = run_missing(work, script, folder, root, records, parts, within_seconds, tell)
    if left:
        tell(f"{left} runs are left; next: the same command again")
    found = {job.name: record for job, record in recorded(work, records)}
    return lines_of(work, found, lambda part: obstacle(work, script, part))
