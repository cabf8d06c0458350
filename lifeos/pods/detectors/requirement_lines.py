"""Known failures that the lines of a requirements file show, whatever they resolve to."""

from evals.known_failures import detects
from lifeos.pods.asked_set import AskedSet


@detects("ort127-broken-extra")
def ort_extra_nobody_can_install(asked: AskedSet) -> str | None:
    """Return whether the one release is asked for whose extra ``cuda`` names a package without a release for it."""
    for one in asked.asked:
        if one.name == "onnxruntime-gpu" and "cuda" in one.extras and str(one.pinned) == "1.27.0":
            asks = f"onnxruntime-gpu[{','.join(sorted(one.extras))}]{one.specifier}"
            return f"{asks} requires nvidia-cuda-nvrtc-cu13 ~=13.0, and there is none"
    return None
