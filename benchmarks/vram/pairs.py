"""Predicted memory against what was measured: a pair a recipe on a GPU, a pair a published row anywhere."""

import tempfile
import time
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path

from benchmarks.comparison import Context, Pair, UnmeasuredError
from benchmarks.vram.recipes import CASES, Case, question_of
from lifeos.errors import InputError
from lifeos.pods.spec import Gpu, load_gpus

GIB = 2**30
_WITHOUT_GPU = "A100 80GB"
TRAINING = tuple(case for case in CASES if case.part == "training")
SAMPLING = tuple(case for case in CASES if case.part == "sampling")


def published_pair(_: Context, number: int) -> Pair:
    """Return a row of ``published.toml`` as the model predicts it now, and as others measured it, GiB."""
    from benchmarks.vram.published import predicted_gib
    from lifeos.pods.vram.published import published_rows

    row = published_rows()[number]
    return Pair(predicted_gib(row), row.measured_gib, name=row.id, details={"fitted": float(row.fitted)})


@cache
def peak_and_reserved(case: Case) -> tuple[Pair, Pair]:
    """Return a recipe's peak and reserved memory, GiB, as predicted and as the GPU counted; run once a process.

    Without a GPU there is no alternative. ``details`` hold the seconds that the prediction and a step took.

    Raises:
        InputError: the GPU is none of ``gpus.toml``.
        RuntimeError: it is too small for the recipe.
    """
    from benchmarks.vram.measure import measure
    from lifeos.pods.vram.prediction import predict_part

    gpu, is_here = gpu_here()
    asked, started = question_of(case, gpu), time.perf_counter()
    with tempfile.TemporaryDirectory() as fresh:
        usage = predict_part(asked, case.part, gpu, Path(fresh))
    details = {"prediction_s": time.perf_counter() - started}
    measured = measure(asked, case.part) if is_here else None
    if measured is not None and measured.step_seconds is not None:
        details["step_s"] = measured.step_seconds
    sides = ((usage.peak_bytes, measured and measured.peak_bytes),
             (usage.reserved_bytes, measured and measured.reserved_bytes))  # fmt: skip
    peak, reserved = (Pair(ours / GIB, None if counted is None else counted / GIB, name=case.name, details=details)
                      for ours, counted in sides)  # fmt: skip
    return peak, reserved


def gpu_here() -> tuple[Gpu, bool]:
    """Return the GPU of this machine and True, or the one that predictions are for without any and False.

    Raises:
        InputError: the GPU is none of ``gpus.toml``.
    """
    import torch

    gpus = load_gpus()
    if not torch.cuda.is_available():
        return gpus[_WITHOUT_GPU], False
    name, capability = torch.cuda.get_device_name(), torch.cuda.get_device_capability()
    known = next((gpu for gpu in gpus.values() if name in gpu.driver_names), None)
    if known is None:
        raise InputError(f"GPU: accepted one of gpus.toml, got {name!r}; next: add it to lifeos/pods/gpus.toml")
    return known.model_copy(update={"capability": capability}), True


def _pair(cases: Sequence[Case], which: int, _: Context, number: int) -> Pair:
    pair = peak_and_reserved(cases[number])[which]
    if pair.alternative is None:
        raise UnmeasuredError("PyTorch finds no GPU")
    return pair


training_pair, training_reserved_pair = partial(_pair, TRAINING, 0), partial(_pair, TRAINING, 1)
sampling_pair, sampling_reserved_pair = partial(_pair, SAMPLING, 0), partial(_pair, SAMPLING, 1)
