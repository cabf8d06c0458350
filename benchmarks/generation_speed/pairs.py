"""One pair of ``python -m benchmarks``: a training run, or a set of images, by each side."""

from functools import partial
from typing import Any, Literal

from benchmarks.comparison import Context, Pair, UnmeasuredError, in_turn
from benchmarks.generation_speed.measure import Part, obstacle, recorded, run_missing
from benchmarks.generation_speed.profile import LOAD
from benchmarks.generation_speed.records import Records, records_of
from benchmarks.generation_speed.report import SAME_LEVELS
from benchmarks.generation_speed.work import Work, usual_work
from lifeos.processor import available_cores

Device = Literal["cpu", "cuda"]


def sampled_pair(ours: dict[str, Any], theirs: dict[str, Any]) -> Pair:
    """Return the pair of both sides' float32 records.

    Raises:
        UnmeasuredError: the images differ, or were not compared.
    """
    apart = [record["difference"]["largest"] for record in (ours, theirs) if "difference" in record]
    if not apart:
        raise UnmeasuredError("the images were not compared")
    if not max(apart) <= SAME_LEVELS:
        raise UnmeasuredError(f"the images differ by {max(apart):.1f} of 255 levels: not the same images")
    drawing = [sum(record["stages"].values()) - record["stages"][LOAD] for record in (ours, theirs)]
    return Pair(*drawing, details={"images": ours["images"], "difference": max(apart)})


def _training(device: Device, context: Context, number: int) -> Pair:
    """Time a training run, start of the process to its end, against diffusers' script."""
    work, records = _work_and_records(context, number, device)
    name = "train-{}-0-long"
    ours, theirs = in_turn(
        lambda: _made(context, work, records, "train-ours")[name.format("ours")],
        lambda: _made(context, work, records, "train-theirs")[name.format("theirs")],
        number,
    )
    return Pair(ours["seconds"], theirs["seconds"], details={"images": work.trained_images("long")})


def _sampling(device: Device, context: Context, number: int) -> Pair:
    """Time drawing and saving against a plain loop over a pipeline; loading is not in it."""
    work, records = _work_and_records(context, number, device)
    found = _made(context, work, records, "sample")
    return sampled_pair(found["sample-ours-0-float32"], found["sample-theirs-0-float32"])


def _work_and_records(context: Context, number: int, device: Device) -> tuple[Work, Records]:
    size: Literal["full", "small"] = "full" if device == "cuda" else "small"
    work = usual_work(size, device, available_cores(), rounds=1)
    identity = records_of(work, context.script, context.folder, context.root).identity
    # One round a pair; base and pictures are made once and shared by all of them.
    return work, Records(context.folder / f"records-{number}", identity)


def _made(context: Context, work: Work, records: Records, part: Part) -> dict[str, dict[str, Any]]:
    script = None if context.script is None else context.script.absolute()
    reason = obstacle(work, script, part)
    if reason is not None:
        raise UnmeasuredError(reason)
    run_missing(work, script, context.folder, context.root, records, (part,), None)
    found = {job.name: record for job, record in recorded(work, records)}
    for name, record in found.items():
        if "failed" in record:
            raise UnmeasuredError(f"{name}: {record['failed']}")
    return found


training_pair, training_gpu_pair = partial(_training, "cpu"), partial(_training, "cuda")
sampling_pair, sampling_gpu_pair = partial(_sampling, "cpu"), partial(_sampling, "cuda")
