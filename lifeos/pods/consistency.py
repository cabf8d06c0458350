"""Whether a pod's own description can be true: its driver, its image's CUDA and its GPU must know each other."""

from collections.abc import Callable

from evals.verdict import Verdict, failed, not_evaluated, passed
from lifeos.errors import InputError
from lifeos.pods.rule_tables import load_rules
from lifeos.pods.spec import Pod, load_architectures


def pod_verdict(pod: Callable[[], Pod]) -> Verdict:
    """Passed when the pod is described whole and nothing in it contradicts the GPU.

    Failed: the image's CUDA or the driver is older than the GPU's architecture, or the driver than the image's CUDA.
    Not evaluated: no such pod, a file that cannot be read, an unknown GPU.
    """
    try:
        described = pod()
        architectures, drivers = load_architectures(), load_rules().tables.driver
    except InputError as error:
        return not_evaluated(str(error))
    gpu = described.gpu
    known = architectures.get(gpu.capability)
    shown = ".".join(map(str, gpu.capability))
    if known is None:
        return not_evaluated(f"the GPU table has no architecture of capability {shown}, which {gpu.name} has")
    least = ".".join(map(str, known.cuda))
    if described.cuda_version < known.cuda:
        return failed(
            f"pod {described.name}: {gpu.name} ({shown}) needs CUDA {least} in the image, got "
            f"{described.cuda} ({known.source})"
        )
    if described.driver_version < (int(known.driver),):
        return failed(
            f"pod {described.name}: {gpu.name} ({shown}) needs driver {known.driver}, got "
            f"{described.driver} ({known.source})"
        )
    for row in drivers:
        oldest = tuple(int(part) for part in row.minimum.split("."))
        if row.cuda_major == described.cuda_version[0] and described.driver_version < oldest:
            return failed(
                f"pod {described.name}: the image's CUDA {described.cuda} needs driver {row.minimum}, got "
                f"{described.driver} ({row.source})"
            )
    return passed(
        f"{described.name}: {described.count} x {gpu.name}, {gpu.memory_gib:.0f} GiB, capability {shown}, driver "
        f"{described.driver}, CUDA {described.cuda}, {described.price_per_hour:.2f} {described.currency} an hour "
        f"({described.price.kind}, {described.price.date.isoformat()})"
    )
