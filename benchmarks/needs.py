"""What a comparison needs that a machine or a caller may not have, and how its lack is said.

``gpu``, ``chromium``, ``script`` and ``package:NAME`` (an importable module).
"""

import importlib.util
import shutil
from pathlib import Path

from benchmarks.comparison import Comparison, Context

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


def unmet(comparison: Comparison, context: Context) -> str | None:
    """Return the first thing that is missing, in words, or None.

    Raises:
        ValueError: a need has no meaning here.
    """
    module = comparison.run.partition(":")[0]
    if not _is_there(module):
        return f"{module.replace('.', '/')}.py is not in this checkout"
    if context.checkout != context.root and not comparison.of_any_checkout:
        return "it measures this checkout alone; leave --checkout out"
    for need in comparison.needs:
        said = _missing(need, context)
        if said is not None:
            return said
    return None


def chromium() -> str | None:
    """Return where a Chromium is, or None."""
    return next((found for name in CHROMIUM_NAMES if (found := shutil.which(name))), None)


def gpu_names() -> list[str]:
    """Return the names of the NVIDIA GPUs that the driver lists; none where no driver answers."""
    try:
        import pynvml
    except ImportError:
        return []
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        names = [pynvml.nvmlDeviceGetName(handle) for handle in handles]
        return [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names]
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()


def _missing(need: str, context: Context) -> str | None:
    kind, _, name = need.partition(":")
    if kind == "gpu":
        return None if gpu_names() else "needs an NVIDIA GPU, and the driver lists none"
    if kind == "chromium":
        return None if chromium() else f"needs a Chromium on PATH ({', '.join(CHROMIUM_NAMES)})"
    if kind == "script":
        return _missing_script(context.script)
    if kind == "package":
        return None if _is_there(name) else f"needs the package {name}, which is not installed"
    raise ValueError(f"a need must be gpu, chromium, script or package:NAME, but got {need!r}")


def _missing_script(script: Path | None) -> str | None:
    if script is None:
        return "needs --script FILE: a training script of diffusers' examples, which is in no package"
    return None if script.is_file() else f"--script: there is no file {script.name}"


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
