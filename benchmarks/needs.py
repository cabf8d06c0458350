"""What a comparison needs that a machine or a caller may not have, and how its lack is said.

``gpu``, ``script`` and ``package:NAME`` (an importable module).
"""

import importlib.util

from benchmarks.comparison import Comparison, Context
from lifeos.pods.probe.nvml import gpu_names


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


def _missing(need: str, context: Context) -> str | None:
    kind, _, name = need.partition(":")
    if kind == "gpu":
        return None if gpu_names() else "needs an NVIDIA GPU, and the driver lists none"
    if kind == "script":
        lacking = "needs --script FILE: a training script of diffusers' examples, which is in no package"
        return lacking if context.script is None else None
    if kind == "package":
        return None if _is_there(name) else f"needs the package {name}, which is not installed"
    raise ValueError(f"a need must be gpu, script or package:NAME, but got {need!r}")


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
