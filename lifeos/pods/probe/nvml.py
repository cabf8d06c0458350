"""Driver and GPUs as NVIDIA's management library tells them; no CUDA context, no torch."""

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class GpuReading:
    """One GPU.

    Args:
        name: as the driver gives it, e.g. ``"NVIDIA A40"``.
        total_bytes, free_bytes: its memory.
        capability: compute capability, e.g. ``(8, 6)``.
        processes: how many processes compute on it now; None where the driver does not say.
    """

    name: str
    total_bytes: int
    free_bytes: int
    capability: tuple[int, int]
    processes: int | None = None


@dataclass(frozen=True)
class Machine:
    """What the driver of this machine says.

    Args:
        gpus: in the driver's order; empty where ``problem`` says why.
        driver: version, e.g. ``"570.124.06"``; empty when unknown.
        cuda: newest CUDA that the driver serves, e.g. ``(12, 8)``; None when unknown.
        problem: why no GPU can be asked; None exactly when there is at least one GPU.
    """

    gpus: tuple[GpuReading, ...] = ()
    driver: str = ""
    cuda: tuple[int, int] | None = None
    problem: str | None = None


def read_machine() -> Machine:
    """Ask the driver for everything; a machine without one is an answer, not an error."""
    try:
        import pynvml
    except ImportError:
        return Machine(problem="no GPU can be asked: nvidia-ml-py is not installed")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Machine(problem=f"no GPU can be asked: {error}")
    try:
        machine = Machine(driver=_text(pynvml.nvmlSystemGetDriverVersion()), cuda=_cuda(pynvml))
        gpus = tuple(_reading(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError as error:
        return Machine(problem=f"no GPU can be asked: the driver broke off: {error}")
    finally:
        pynvml.nvmlShutdown()
    if not gpus:
        return replace(machine, problem="the driver answers and lists no GPU")
    return replace(machine, gpus=gpus)


def gpu_names() -> list[str]:
    """Return the names of the GPUs; empty where there is no driver, no library or no GPU."""
    return [gpu.name for gpu in read_machine().gpus]


def _reading(pynvml: Any, index: int) -> GpuReading:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    try:
        processes: int | None = len(pynvml.nvmlDeviceGetComputeRunningProcesses(handle))
    except pynvml.NVMLError:
        processes = None
    return GpuReading(
        _text(pynvml.nvmlDeviceGetName(handle)),
        int(memory.total),
        int(memory.free),
        (int(major), int(minor)),
        processes,
    )


def _cuda(pynvml: Any) -> tuple[int, int] | None:
    # 12080 is CUDA 12.8. With a forward-compatibility package this is what that package serves, which is what counts.
    try:
        number = int(pynvml.nvmlSystemGetCudaDriverVersion_v2())
    except pynvml.NVMLError:
        return None
    return number // 1000, number % 1000 // 10


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
