"""Predicted memory against what was measured: a pair a recipe on a GPU, a pair a published row anywhere."""

import tempfile
from pathlib import Path

from benchmarks.comparison import Context, Pair, UnmeasuredError
from benchmarks.vram.recipes import CASES, Case

GIB = 2**30
TRAINING = tuple(case for case in CASES if case.part == "training")
SAMPLING = tuple(case for case in CASES if case.part == "sampling")


def training_pair(_: Context, number: int) -> Pair:
    """Return the peak of a training recipe as predicted, and as the GPU counted it, GiB."""
    return _measured(TRAINING[number])


def sampling_pair(_: Context, number: int) -> Pair:
    """Return the peak of a sampling recipe as predicted, and as the GPU counted it, GiB."""
    return _measured(SAMPLING[number])


def published_pair(_: Context, number: int) -> Pair:
    """Return a row of ``published.toml`` as the model predicts it now, and as others measured it, GiB."""
    from benchmarks.vram.published import predicted_gib
    from lifeos.pods.vram.published import published_rows

    row = published_rows()[number]
    return Pair(predicted_gib(row), row.measured_gib, name=row.id, details={"fitted": float(row.fitted)})


def _measured(case: Case) -> Pair:
    from benchmarks.vram.__main__ import gpu_here
    from benchmarks.vram.measure import measure
    from benchmarks.vram.recipes import question_of
    from lifeos.pods.vram.prediction import predict_part

    gpu, is_here = gpu_here()
    if not is_here:
        raise UnmeasuredError("PyTorch finds no GPU")
    asked = question_of(case, gpu)
    with tempfile.TemporaryDirectory() as fresh:
        usage = predict_part(asked, case.part, gpu, Path(fresh))
    measured = measure(asked, case.part)
    reserved = {"predicted_reserved_gib": usage.reserved_bytes, "measured_reserved_gib": measured.reserved_bytes}
    details = {name: size / GIB for name, size in reserved.items()}
    return Pair(usage.peak_bytes / GIB, measured.peak_bytes / GIB, name=case.name, details=details)
