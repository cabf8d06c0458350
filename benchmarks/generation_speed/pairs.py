"""One round of a comparison as a pair of the table over all comparisons."""

from benchmarks.comparison import Context, Pair, UnmeasuredError
from benchmarks.generation_speed.measure import Part, obstacle, recorded, run_missing
from benchmarks.generation_speed.profile import LOAD
from benchmarks.generation_speed.records import gpu_name, records_of
from benchmarks.generation_speed.work import Work, usual_work
from lifeos.processor import available_cores


def training_pair(context: Context, number: int) -> Pair:
    """Time both trainings once, start to end of each process.

    Raises:
        UnmeasuredError: a side cannot be run here, or failed.
    """
    work, found = _round(context, number, ("train-ours", "train-theirs"))
    ours, theirs = (found[f"train-{side}-{number}-long"]["seconds"] for side in ("ours", "theirs"))
    return Pair(ours, theirs, details={"steps": work.long})


def sampling_pair(context: Context, number: int) -> Pair:
    """Time both ways of drawing the same images once, loading left out.

    Raises:
        UnmeasuredError: a side cannot be run here, or failed.
    """
    work, found = _round(context, number, ("sample",))
    runs = [found[f"sample-{side}-{number}-{work.sampling_dtypes[0]}"] for side in ("ours", "theirs")]
    ours, theirs = (sum(run["stages"].values()) - run["stages"][LOAD] for run in runs)
    return Pair(ours, theirs, details={"images": runs[0]["images"]})


def _round(context: Context, number: int, parts: tuple[Part, ...]) -> tuple[Work, dict[str, dict[str, float]]]:
    size, device = ("small", "cpu") if gpu_name() is None else ("full", "cuda")
    work = usual_work(size, device, available_cores(), rounds=number + 1)
    for part in parts:
        reason = obstacle(work, context.script, part)
        if reason is not None:
            raise UnmeasuredError(reason)
    folder = (context.folder / "speed").absolute()
    script = None if context.script is None else context.script.absolute()
    records = records_of(work, script, folder, context.root)
    run_missing(work, script, folder, context.root, records, parts, None)
    found = {job.name: record for job, record in recorded(work, records) if job.part in parts}
    failed = [f"{name}: {record['failed']}" for name, record in found.items() if "failed" in record]
    if failed:
        raise UnmeasuredError(failed[0])
    return work, found
