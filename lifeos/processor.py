"""What this machine's processor offers, found out without importing torch."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")

ComputeDtype = Literal["auto", "float32", "bfloat16"]
_NATIVE = ("avx512_bf16", "amx_bf16", "bf16")  # the last is the name on 64-bit Arm


def available_cores() -> int:
    """Return how many CPU cores this process may use, at least 1: those it is bound to, or ``OMP_NUM_THREADS`` of them.

    That variable is how a caller says that other work shares the machine; numerical libraries obey it by themselves.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return max(1, min(bound, int(asked)) if asked.isascii() and asked.isdigit() and int(asked) else bound)


def computes_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Return whether the processor multiplies bfloat16 in hardware, as the kernel lists its features.

    False where the list cannot be read (Windows, macOS): float32 is never wrong there, only slower at the worst, while
    bfloat16 without hardware made one training step of tiny-base twelve times slower than float32 (23 s against
    1.9 s, two cores with AVX2).
    """
    try:
        with cpuinfo.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() in ("flags", "Features"):
                    return not set(_NATIVE).isdisjoint(value.split())
    except OSError:
        pass
    return False


def gpus_compute_bfloat16() -> bool:
    """Return whether every GPU that the driver lists has bfloat16 hardware: compute capability 8.0 (Ampere) and later.

    False where no driver answers. The driver is asked and not PyTorch, which would take memory of the GPU for it.
    """
    try:
        import pynvml
    except ImportError:
        return False
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return False
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return bool(handles) and all(pynvml.nvmlDeviceGetCudaComputeCapability(handle)[0] >= 8 for handle in handles)
    except pynvml.NVMLError:
        return False
    finally:
        pynvml.nvmlShutdown()


def resolve_dtype(dtype: ComputeDtype, device: str = "cpu") -> Literal["float32", "bfloat16"]:
    """Return the arithmetic that ``auto`` stands for on this machine; the other two words stand for themselves."""
    if dtype != "auto":
        return dtype
    native = gpus_compute_bfloat16() if device == "cuda" else computes_bfloat16()
    return "bfloat16" if native else "float32"


def on_all_cores(function: Callable[[_Item], _Answer], items: Sequence[_Item]) -> Iterator[_Answer]:
    """Yield ``function`` of each item in their order, as many at a time as there are cores.

    For functions that spend their time outside the interpreter's lock (onnxruntime, OpenCV, NumPy): while one image is
    decoded and its skin measured, the next one's face is embedded.

    Raises:
        Exception: whatever the function raised for the first item in order that it refused; items behind it that have
            not begun are not begun then, nor after an interrupt.
    """
    pool = ThreadPoolExecutor(available_cores())
    try:
        yield from pool.map(function, items)
    finally:
        pool.shutdown(cancel_futures=True)
