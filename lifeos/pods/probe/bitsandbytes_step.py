"""Does an 8-bit optimizer of bitsandbytes take a step on this GPU."""

from typing import TYPE_CHECKING, Any

from evals.verdict import Verdict, failed, passed

if TYPE_CHECKING:
    from lifeos.pods.probe.child import Stage

# Parameters of fewer than 4096 numbers keep 32-bit state (bitsandbytes, min_8bit_size), and prove nothing.
SIDE = 128


def probe(request: dict[str, Any], stage: "Stage") -> dict[str, Any]:
    """Take one step of ``AdamW8bit`` down a quadratic; runs in the child."""
    import bitsandbytes
    import torch

    device = request.get("device", "cuda")
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(SIDE, SIDE, generator=generator).to(device))
    before = weight.detach().clone()
    optimizer = bitsandbytes.optim.AdamW8bit([weight], lr=1e-2)
    stage("AdamW8bit.step")
    weight.square().mean().backward()
    optimizer.step()
    state = next(iter(optimizer.state.values()))
    return {
        "version": bitsandbytes.__version__,
        "finite": bool(torch.isfinite(weight).all()),
        "moved": float((weight.detach() - before).abs().max()),
        "smaller": bool(weight.detach().norm() < before.norm()),
        "state": str(state["state1"].dtype).removeprefix("torch."),
    }


def bitsandbytes_verdict(body: dict[str, Any]) -> Verdict:
    """Judge the answer of ``probe``: a finite step downhill, its state in 8 bits."""
    name = f"bitsandbytes {body['version']}"
    if not body["finite"]:
        return failed(f"a step of {name} gives numbers that are not finite; next: install the version for this CUDA")
    moved = float(body["moved"])
    if moved <= 0.0 or not body["smaller"]:
        return failed(f"a step of {name} changes nothing for the better; next: install the version for this CUDA",
                      value=moved, threshold=0.0)  # fmt: skip
    if body["state"] != "uint8":
        return failed(f"{name} keeps its state as {body['state']}, not in 8 bits; next: install another version")
    return passed(f"{name} takes an 8-bit step", value=moved, threshold=0.0)
