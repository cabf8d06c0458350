"""Is this the machine that was asked for: GPU, driver, CUDA, free memory. Pure functions over a ``Machine``."""

import ast
import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

from evals.verdict import Verdict, failed, not_evaluated, passed
from lifeos.pods.probe.nvml import GpuReading, Machine

if TYPE_CHECKING:
    from lifeos.pods.spec import Pod

GIB = 1024**3
FREE_SHARE = 0.9
"""Share of a GPU's memory that must be free before the run: a context of a desktop or of NVIDIA's own takes less than a
tenth of any card from T4 up, another tenant's model takes more."""
MEMORY_SHARE = 0.93
"""Share of the table's memory that the driver must list: it keeps up to 7 % of a nominal size for itself."""


def present_verdict(machine: Machine) -> Verdict:
    """Passed when the driver lists a GPU; not evaluated on a machine without one."""
    if machine.problem is not None:
        return not_evaluated(machine.problem)
    listed = ", ".join(
        f"{gpu.name} ({gpu.total_bytes / GIB:.1f} GiB, {_dotted(gpu.capability)})" for gpu in machine.gpus
    )
    return passed(f"driver {machine.driver} lists {listed}", value=len(machine.gpus), threshold=1)


def driver_verdict(machine: Machine, torch_cuda: str | None) -> Verdict:
    """Judge whether the driver serves the CUDA that torch was built for.

    Within one major version every driver serves every minor one (NVIDIA, CUDA Compatibility, "minor version
    compatibility"); an older major it does not.

    Args:
        machine: what the driver says.
        torch_cuda: what ``installed_torch_cuda`` found: ``"13.0"``, ``""`` for a build without CUDA, None for no torch.
    """
    if torch_cuda is None:
        return not_evaluated("torch is not installed; next: install the pod's requirements")
    if not torch_cuda:
        return failed("the installed torch is a build without CUDA; next: install torch from the index of CUDA builds")
    if machine.cuda is None:
        return not_evaluated(f"driver {machine.driver} does not say which CUDA it serves")
    serves, major = _dotted(machine.cuda), int(torch_cuda.split(".")[0])
    if machine.cuda[0] < major:
        return failed(
            f"torch is built for CUDA {torch_cuda} and driver {machine.driver} serves CUDA {serves} at most; next: "
            f"rent a host with a newer driver, or install a torch for CUDA {machine.cuda[0]}",
            value=machine.cuda[0], threshold=major, threshold_source="torch/version.py",
        )  # fmt: skip
    return passed(
        f"driver {machine.driver} serves CUDA {serves}, torch is built for {torch_cuda}",
        value=machine.cuda[0], threshold=major, threshold_source="torch/version.py",
    )  # fmt: skip


def installed_torch_cuda(folder: Path | None = None) -> str | None:
    """Return the CUDA that the installed torch was built for, read from its ``version.py`` without importing it.

    Args:
        folder: the ``torch`` package; default: the installed one.

    Returns:
        e.g. ``"12.8"``; ``""`` for a build without CUDA; None when torch or the line is absent.
    """
    if folder is None:
        found = importlib.util.find_spec("torch")
        if found is None or found.origin is None:
            return None
        folder = Path(found.origin).parent
    try:
        tree = ast.parse((folder / "version.py").read_text(encoding="utf-8"))
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None
    for node in tree.body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        if any(isinstance(target, ast.Name) and target.id == "cuda" for target in targets):
            value = getattr(node, "value", None)
            if isinstance(value, ast.Constant):
                return "" if value.value is None else str(value.value)
    return None


def pod_verdict(machine: Machine, pod: "Pod") -> Verdict:
    """Judge whether the machine is the declared pod: number and kind of GPUs, memory, capability, driver."""
    if len(machine.gpus) < pod.count:
        return failed(
            f"pod {pod.name} has {pod.count} GPUs, the driver lists {len(machine.gpus)}; next: rent it again",
            value=len(machine.gpus), threshold=pod.count, threshold_source="pod",
        )  # fmt: skip
    for gpu in machine.gpus[: pod.count]:
        difference = _gpu_difference(gpu, pod)
        if difference:
            return failed(f"pod {pod.name}: {difference}; next: --pod NAME of what was rented, or rent it again")
    if _numbers(machine.driver) < list(pod.driver_version):
        return failed(
            f"pod {pod.name} was judged with driver {pod.driver}, this host has {machine.driver}; next: correct the "
            "driver in its file and run `lifeos gate predeploy` again, or rent another host"
        )
    return passed(f"{machine.gpus[0].name} with driver {machine.driver} is the declared pod {pod.name}")


def memory_verdict(machine: Machine) -> Verdict:
    """Judge whether each GPU is free: at least ``FREE_SHARE`` of its memory."""
    shares = [gpu.free_bytes / gpu.total_bytes if gpu.total_bytes else 0.0 for gpu in machine.gpus]
    share = min(shares)
    gpu = machine.gpus[shares.index(share)]
    said = f"{gpu.free_bytes / GIB:.1f} of {gpu.total_bytes / GIB:.1f} GiB of {gpu.name} are free"
    if share < FREE_SHARE:
        others = f", {gpu.processes} processes compute on it" if gpu.processes else ""
        return failed(f"{said}{others}; next: end them (nvidia-smi lists them), or rent another host",
                      value=share, threshold=FREE_SHARE, threshold_source="probe")  # fmt: skip
    return passed(said, value=share, threshold=FREE_SHARE, threshold_source="probe")


def _gpu_difference(gpu: GpuReading, pod: "Pod") -> str | None:
    if gpu.name not in pod.gpu.driver_names:
        return f"accepted {' or '.join(pod.gpu.driver_names)}, got {gpu.name}"
    if gpu.capability != pod.gpu.capability:
        return f"accepted compute capability {_dotted(pod.gpu.capability)}, got {_dotted(gpu.capability)} ({gpu.name})"
    if gpu.total_bytes < MEMORY_SHARE * pod.gpu.memory_gib * GIB:
        return f"accepted {pod.gpu.memory_gib:.1f} GiB of GPU memory, got {gpu.total_bytes / GIB:.1f} ({gpu.name})"
    return None


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def _dotted(pair: tuple[int, int]) -> str:
    return f"{pair[0]}.{pair[1]}"
