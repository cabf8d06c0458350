"""Does an xformers kernel run on this GPU; importing xformers proves nothing, it warns and goes on."""

from typing import TYPE_CHECKING, Any

from evals.verdict import Verdict, failed, passed

if TYPE_CHECKING:
    from lifeos.pods.probe.child import Stage

TOLERANCE = 0.02
"""Largest relative error against torch's attention in float32: half precision keeps 11 bits, a wrong kernel none."""
# Head widths of the Stable Diffusion 1.x denoiser; xformers has no kernel for every width on every GPU.
HEAD_WIDTHS = (40, 80, 160)


def probe(request: dict[str, Any], stage: "Stage") -> dict[str, Any]:
    """Run attention forward and backward in float16 at each head width; runs in the child."""
    import torch
    import xformers
    import xformers.ops

    device = request.get("device", "cuda")
    widths = {}
    for width in HEAD_WIDTHS:
        stage(f"memory_efficient_attention, head width {width}")
        generator = torch.Generator().manual_seed(width)
        query, key, value = (
            torch.randn(1, 64, 8, width, generator=generator).to(device, torch.float16).requires_grad_() for _ in "qkv"
        )
        found = xformers.ops.memory_efficient_attention(query, key, value)
        found.float().square().mean().backward()
        exact = torch.nn.functional.scaled_dot_product_attention(
            *(tensor.detach().float().transpose(1, 2) for tensor in (query, key, value))
        ).transpose(1, 2)
        found = found.detach()
        gradients = all(bool(torch.isfinite(tensor.grad).all()) for tensor in (query, key, value))
        finite = bool(torch.isfinite(found).all()) and gradients
        widths[str(width)] = float((found.float() - exact).norm() / exact.norm()) if finite else None
    return {"version": xformers.__version__, "widths": widths}


def xformers_verdict(body: dict[str, Any]) -> Verdict:
    """Judge the answer of ``probe``: every width finite and equal to torch's own attention."""
    widths = {width: body["widths"][str(width)] for width in HEAD_WIDTHS}
    for width, share in widths.items():
        if share is None:
            return failed(f"xformers {body['version']} gives numbers that are not finite at head width {width}; next: "
                          "remove xformers from the requirements, torch's own attention does the same")  # fmt: skip
    worst = max(float(share) for share in widths.values())
    figures: dict[str, Any] = {"value": worst, "threshold": TOLERANCE, "threshold_source": "probe"}
    if not worst <= TOLERANCE:
        return failed(f"xformers {body['version']} differs from torch's own attention by {worst:.3f}; next: remove "
                      "xformers from the requirements", **figures)  # fmt: skip
    return passed(
        f"xformers {body['version']} attends forward and backward as torch does, within {worst:.4f}", **figures
    )
