"""``python -m benchmarks.vram [published|recipes] [NAME ...]``: predicted against published or measured memory."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.vram.measure import measure
from benchmarks.vram.published import predicted_gib
from benchmarks.vram.recipes import CASES, Case, question_of
from lifeos.errors import InputError
from lifeos.pods.spec import Gpu, load_gpus
from lifeos.pods.vram.prediction import predict_part
from lifeos.pods.vram.published import published_rows

GIB = 2**30
TARGETS = {"training": 0.03, "sampling": 0.05}
_WITHOUT_GPU = "A100 80GB"
# What stands in the table was rounded to a ten-thousandth.
_SAME_GIB = 1e-4


def main(arguments: Sequence[str]) -> int:
    """Print the table; 0: every target met, 1: one missed, or nothing was measured, 2: the command was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vram", description=__doc__)
    parser.add_argument("table", nargs="?", choices=("recipes", "published"), default="recipes")
    parser.add_argument("names", nargs="*", help="only rows whose name holds one of these")
    options = parser.parse_args(arguments)
    try:
        return _published(options.names) if options.table == "published" else _recipes(options.names)
    except InputError as error:
        print(f"benchmarks.vram: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _published(names: Sequence[str]) -> int:
    moved = 0
    print(f"{'row':<30} {'published':>10} {'predicted':>10} {'error':>8}  fitted")
    for row in published_rows():
        if names and not any(name in row.id for name in names):
            continue
        now = predicted_gib(row)
        moved += abs(now - row.predicted_gib) > _SAME_GIB
        print(f"{row.id:<30} {row.measured_gib:>10.3f} {now:>10.4f} {100 * (now / row.measured_gib - 1):>+7.2f}%  "
              f"{'yes' if row.fitted else 'no'}", flush=True)
    if moved:
        print(f"{moved} predictions differ from published.toml: the model changed")
    return 1 if moved else 0


def _recipes(names: Sequence[str]) -> int:
    gpu, has_gpu = gpu_here()
    print(f"{gpu.name}, {'measured here' if has_gpu else 'UNMEASURED: no GPU at hand'}")
    print(f"{'recipe':<40} {'peak':>8} {'reserved':>9} {'measured':>9} {'reserved':>9} {'error':>8} {'step s':>7} "
          f"{'traced s':>8}")
    wrong = 0
    for case in CASES:
        if not names or any(name in case.name for name in names):
            wrong += not _show(case, gpu, has_gpu)
    return 1 if wrong or not has_gpu else 0


def _show(case: Case, gpu: Gpu, has_gpu: bool) -> bool:
    asked, started = question_of(case, gpu), time.perf_counter()
    with tempfile.TemporaryDirectory() as fresh:
        usage = predict_part(asked, case.part, gpu, Path(fresh))
    seconds = time.perf_counter() - started
    kind = f"{case.name} ({case.part})" if case.part == "sampling" else case.name
    line = f"{kind:<40} {usage.peak_bytes / GIB:>8.2f} {usage.reserved_bytes / GIB:>9.2f}"
    if not has_gpu:
        print(f"{line} {'-':>9} {'-':>9} {'-':>8} {'-':>7} {seconds:>8.1f}", flush=True)
        return True
    measured = measure(asked, case.part)
    error = usage.peak_bytes / measured.peak_bytes - 1.0
    # A prediction below what was reserved would have said "fits" of what does not.
    target = TARGETS[case.part]
    met = abs(error) <= target and usage.reserved_bytes >= measured.reserved_bytes * (1.0 - target)
    step = "-" if measured.step_seconds is None else f"{measured.step_seconds:.3f}"
    print(f"{line} {measured.peak_bytes / GIB:>9.2f} {measured.reserved_bytes / GIB:>9.2f} {100 * error:>+7.2f}% "
          f"{step:>7} {seconds:>8.1f}{'' if met else '  MISSED'}", flush=True)
    return met


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
