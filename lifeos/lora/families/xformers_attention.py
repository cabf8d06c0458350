"""Attention by xformers, used only where its kernel runs: importing it proves nothing, it warns and goes on."""

from typing import Any

from lifeos.errors import InputError

TOLERANCE = 0.02
"""Largest relative error against torch's attention in float32: half precision keeps 11 bits, a wrong kernel none."""


def use_xformers(denoiser: Any, dtype: Any, device: str) -> None:
    """Let a denoiser attend by xformers, after its kernel ran forward and backward at every head width it has.

    Args:
        denoiser: a diffusers model, before it carries a LoRA.
        dtype: torch type that attention is computed in.
        device: where.

    Raises:
        InputError: xformers is absent, or its kernel fails or computes something else there.
    """
    try:
        import xformers
        import xformers.ops
    except ImportError as error:
        raise _refusal("no xformers package") from error
    for width in head_widths(denoiser):
        try:
            share = _error_share(xformers.ops.memory_efficient_attention, width, dtype, device)
        except (NotImplementedError, RuntimeError, ValueError) as error:
            said = f"xformers {xformers.__version__} without a kernel for head width {width}"
            raise _refusal(f"{said}: {' '.join(str(error).split())[:160]}") from error
        if not share <= TOLERANCE:
            raise _refusal(f"xformers {xformers.__version__} that is {share:.3f} off at head width {width}")
    denoiser.enable_xformers_memory_efficient_attention()


def head_widths(denoiser: Any) -> list[int]:
    """Return the different widths of a denoiser's attention heads, ascending."""
    return sorted({module.to_q.out_features // module.heads for module in denoiser.modules()
                   if hasattr(module, "to_q") and hasattr(module, "heads")})  # fmt: skip


def _error_share(attend: Any, width: int, dtype: Any, device: str) -> float:
    """Return the relative error of ``attend`` in its output and gradients; infinite where they are not finite."""
    import torch

    generator = torch.Generator().manual_seed(width)
    drawn = [torch.randn(1, 64, 8, width, generator=generator).to(device, dtype) for _ in range(3)]
    ours = [each.clone().requires_grad_() for each in drawn]
    exact = [each.float().requires_grad_() for each in drawn]
    attended = attend(*ours)
    expected = torch.nn.functional.scaled_dot_product_attention(*(each.transpose(1, 2) for each in exact))
    expected = expected.transpose(1, 2)
    attended.float().square().sum().backward()
    expected.square().sum().backward()
    pairs = [(attended, expected), *((each.grad, right.grad) for each, right in zip(ours, exact, strict=True))]
    if not all(left is not None and bool(torch.isfinite(left).all()) for left, _ in pairs):
        return float("inf")
    return max(float((left.float() - right).norm() / right.norm()) for left, right in pairs)


def _refusal(got: str) -> InputError:
    return InputError(f"attention: accepted xformers with a kernel that runs here, got {got}; "
                      "next: attention = \"sdpa\" in the recipe, PyTorch's own")  # fmt: skip
