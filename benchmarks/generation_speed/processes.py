"""A command from start to end: seconds, processor time and peak memory of all its processes, watched from outside."""

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lifeos.child import child_environment

_LOOK_SECONDS = 0.05


@dataclass(frozen=True)
class Run:
    """What one command took.

    Args:
        seconds: wall time.
        processor_seconds: of all its processes together, as last seen before each ended.
        memory_bytes: largest sum of resident memory of its processes, looked at every 0.05 s.
        gpu_bytes: largest memory in use on the first GPU beyond what was before; None without one.
    """

    seconds: float
    processor_seconds: float
    memory_bytes: int
    gpu_bytes: int | None

    def to_json(self) -> dict[str, Any]:
        """Return the run as JSON values."""
        return asdict(self)


def watched(command: Sequence[str], folder: Path, threads: int, log: Path, timeout_seconds: float) -> Run:
    """Run a command in ``folder`` with ``threads`` threads, its output in ``log``.

    Raises:
        subprocess.SubprocessError: it failed, with the last line it wrote, or ran too long.
    """
    import psutil

    environment = {**child_environment(), "OMP_NUM_THREADS": str(threads)}
    log.parent.mkdir(parents=True, exist_ok=True)
    with _gpu_memory() as gpu, log.open("wb") as output:
        before = gpu()
        started = time.perf_counter()
        child = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
        watch = _Watch(psutil.Process(child.pid), gpu)
        watcher = threading.Thread(target=watch.look_on, daemon=True)
        watcher.start()
        try:
            status = child.wait(timeout=timeout_seconds)
        finally:
            seconds = time.perf_counter() - started
            watch.ended.set()
            watcher.join()
            if child.poll() is None:
                child.kill()
                child.wait()
    if status != 0:
        lines = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").strip().splitlines()
        raise subprocess.SubprocessError(f"{Path(command[1]).name} ended with status {status}: "
                                         f"{(lines or ['no message'])[-1].strip()[:300]}")  # fmt: skip
    on_gpu = None if before is None else max(0, watch.gpu_bytes - before)
    return Run(seconds, sum(watch.processor.values()), watch.memory_bytes, on_gpu)


class _Watch:
    def __init__(self, process: Any, gpu: Any) -> None:
        self._process, self._gpu = process, gpu
        self.ended = threading.Event()
        self.processor: dict[int, float] = {}
        self.memory_bytes = self.gpu_bytes = 0

    def look_on(self) -> None:
        import psutil

        while not self.ended.is_set():
            resident = 0
            with contextlib.suppress(psutil.Error):
                for each in [self._process, *self._process.children(recursive=True)]:
                    with contextlib.suppress(psutil.Error):
                        times = each.cpu_times()
                        self.processor[each.pid] = times.user + times.system
                        resident += each.memory_info().rss
            self.memory_bytes = max(self.memory_bytes, resident)
            self.gpu_bytes = max(self.gpu_bytes, self._gpu() or 0)
            self.ended.wait(_LOOK_SECONDS)


@contextlib.contextmanager
def _gpu_memory() -> Iterator[Any]:
    """Give a function that returns the bytes in use on the GPU that PyTorch calls 0; None where no driver answers."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:
        # No package, no library or no driver: three classes of error, one answer.
        yield lambda: None
        return
    try:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0].strip()
        handle = (pynvml.nvmlDeviceGetHandleByIndex(int(visible)) if visible.isdigit()
                  else pynvml.nvmlDeviceGetHandleByUUID(visible))  # fmt: skip
        yield lambda: int(pynvml.nvmlDeviceGetMemoryInfo(handle).used)
    finally:
        pynvml.nvmlShutdown()
