"""Does torch compute in bfloat16 on this GPU, and is what comes out right."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evals.verdict import Verdict, failed, passed

if TYPE_CHECKING:
    from lifeos.pods.probe.child import Stage

SIDE = 1024
TOLERANCE = 0.02
"""Largest relative error (Frobenius) of a product of 1024-wide normal matrices. Rounding each factor and the product to
8 bits of mantissa gives about 0.003; a wrong kernel gives about 1."""


def computes_bfloat16(capability: Sequence[int]) -> bool:
    """Return whether a GPU of this compute capability has bfloat16 hardware: from 8.0 (Ampere) on.

    torch's own question counts emulation by default, and its parameter for that is younger than some pods' torch.
    """
    return tuple(capability) >= (8, 0)


def probe(request: dict[str, Any], stage: "Stage") -> dict[str, Any]:
    """Multiply two random bfloat16 matrices and compare with float64 on the CPU; runs in the child.

    Args:
        request: ``device``, ``"cuda"`` on a pod.
        stage: told what comes next.
    """
    import torch

    device = request.get("device", "cuda")
    body: dict[str, Any] = {"torch": torch.__version__, "cuda": torch.version.cuda}
    if device == "cuda":
        stage("torch.cuda.is_available")
        body["available"] = torch.cuda.is_available()
        if not body["available"]:
            return body
        body["capability"] = list(torch.cuda.get_device_capability())
        body["kernels"] = torch.cuda.get_arch_list()
        body["native"] = computes_bfloat16(body["capability"])
    else:
        body |= {"available": True, "capability": [0, 0], "kernels": [], "native": False}
    stage("bfloat16 matmul")
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(SIDE, SIDE, generator=generator, dtype=torch.float64) for _ in range(2))
    product = (left.to(device, torch.bfloat16) @ right.to(device, torch.bfloat16)).double().cpu()
    exact = left @ right
    body["finite"] = bool(torch.isfinite(product).all())
    body["error_share"] = float((product - exact).norm() / exact.norm()) if body["finite"] else None
    return body


def matmul_verdict(body: dict[str, Any], bfloat16_wanted: bool = False) -> Verdict:
    """Judge the answer of ``probe``.

    Args:
        body: findings.
        bfloat16_wanted: True when the recipe names bfloat16, so that emulating it (T4) is a failure, not a note.
    """
    if not body["available"]:
        return failed(f"torch {body['torch']} (CUDA {body['cuda']}) sees no GPU although the driver lists one; next: "
                      "check CUDA_VISIBLE_DEVICES and the driver")  # fmt: skip
    if not body["finite"]:
        return failed("a bfloat16 matrix product of ordinary numbers is not finite; next: rent another host")
    share = float(body["error_share"])
    figures: dict[str, Any] = {"value": share, "threshold": TOLERANCE, "threshold_source": "probe"}
    if not share <= TOLERANCE:
        return failed(f"a bfloat16 matrix product is wrong by {share:.3f}; next: rent another host", **figures)
    if bfloat16_wanted and not body["native"]:
        return failed("the recipe names dtype bfloat16 and this GPU computes it by emulation only; next: dtype = "
                      "\"float32\" in the recipe, or a GPU of compute capability 8.0 or newer")  # fmt: skip
    note = "" if body["native"] else "; this GPU has no bfloat16 hardware and emulates it"
    return passed(f"a bfloat16 matrix product is right within {share:.4f}{note}", **figures)
