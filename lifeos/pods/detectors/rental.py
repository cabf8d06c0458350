"""Known failures that a pod's description and the settings show before anything is rented."""

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from evals.known_failures import detects

if TYPE_CHECKING:
    from lifeos.pods.spec import Pod
    from lifeos.settings import Settings

_KEPT_IN_IMAGE = {
    "axolotlai/axolotl": "/workspace/axolotl",
    "axolotlai/axolotl-cloud": "/workspace/axolotl",
    "winglian/axolotl": "/workspace/axolotl",
    "winglian/axolotl-cloud": "/workspace/axolotl",
}
"""Image -> folder in which its own code lies (``docker/Dockerfile`` and ``Dockerfile-cloud`` of axolotl)."""


@detects("network-volume-hides-image-dir")
def volume_over_code(pod: "Pod") -> str | None:
    """Return whether the volume is mounted over the folder in which the image keeps its code."""
    image = pod.image.removeprefix("docker.io/").split("@")[0].split(":")[0]
    kept = _KEPT_IN_IMAGE.get(image)
    if kept is None or not pod.volume_gib or not PurePosixPath(kept).is_relative_to(pod.volume_path):
        return None
    return f"pod {pod.name}: {image} keeps its code in {kept}, and the volume at {pod.volume_path} hides it"


@detects("pod-bills-after-training")
def nothing_stops_the_pod(pod: "Pod", settings: "Settings") -> str | None:
    """Return whether a budget is declared and nothing would stop the pod when its work is done."""
    if not settings.budget or settings.pod_stop or not pod.price_per_hour:
        return None
    return f"a budget of {settings.budget} is declared, pod {pod.name} is paid by the hour, and pod_stop is empty"
