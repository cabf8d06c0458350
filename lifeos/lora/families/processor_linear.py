"""Linear layers of a float32 denoiser on a processor: multiplied by oneDNN, a LoRA pair in one node with its layer.

PyTorch multiplies float32 matrices by MKL and convolves by oneDNN. On an AMD EPYC with AVX-512, one thread, weights of
160 to 1280 numbers a side, MKL took 2.2 to 2.3 times as long as oneDNN for 1,536 rows and 1.2 to 2.0 times for 64.
Results differ by rounding. On other processors it was not measured.
"""

import functools
import platform
from typing import Any


def use_onednn(model: Any) -> None:
    """Let every linear layer of a frozen float32 model on a processor multiply by oneDNN; adds nothing to its memory.

    Does nothing where PyTorch lacks oneDNN or the processor is not x86-64.
    """
    import torch

    there = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    if not there or platform.machine().lower() not in ("x86_64", "amd64"):
        return
    for layer in model.modules():
        if type(layer) is torch.nn.Linear:
            layer.forward = functools.partial(_linear, layer)


def join_pairs(model: Any) -> None:
    """Let each LoRA pair of peft be computed with the linear layer it stands beside, where ``use_onednn`` was called.

    One node of autograd instead of five. A DoRA stays as peft computes it.
    """
    from peft.tuners.lora import Linear

    for layer in model.modules():
        if isinstance(layer, Linear) and not layer.lora_variant and "forward" in vars(layer.base_layer):
            (name,) = layer.active_adapters
            pair = layer.lora_A[name].weight, layer.lora_B[name].weight, layer.scaling[name]
            layer.forward = functools.partial(_paired, layer, layer.base_layer, *pair)


def _linear(layer: Any, values: Any) -> Any:
    if not _applies(values, layer.weight):
        import torch

        return torch.nn.functional.linear(values, layer.weight, layer.bias)
    # Without gradients autograd keeps nothing of it.
    return _products()[0].apply(values, layer.weight, layer.bias)


def _paired(layer: Any, base: Any, down: Any, up: Any, scale: float, values: Any) -> Any:
    if not _applies(values, base.weight):
        return type(layer).forward(layer, values)
    return _products()[1].apply(values, base.weight, base.bias, down, up, scale)


def _applies(values: Any, weight: Any) -> bool:
    """Return whether oneDNN takes these: a model may have moved since, and a compiler chooses its own products."""
    import torch

    if torch.compiler.is_compiling() or values.device.type != "cpu":
        return False
    return values.dtype is weight.dtype is torch.float32


@functools.cache
def _products() -> tuple[Any, Any]:
    """Return the nodes of autograd of a frozen layer and of one with its pair."""
    import torch

    # Private, but what torch.compile calls; torch.utils.mkldnn copies in and out: slower than MKL for 64 rows of 160.
    multiply = torch.ops.mkldnn._linear_pointwise.default

    class Frozen(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(context: Any, values: Any, weight: Any, bias: Any) -> Any:
            context.save_for_backward(weight)
            return multiply(values, weight, bias, "none", [], "")

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            (weight,) = context.saved_tensors
            return multiply(gradient, weight.t(), None, "none", [], ""), None, None

    class Paired(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(context: Any, values: Any, weight: Any, bias: Any, down: Any, up: Any, scale: float) -> Any:
            rows = values.reshape(-1, values.shape[-1])
            inner = rows @ down.t()
            out = multiply(rows, weight, bias, "none", [], "").addmm_(inner, up.t(), alpha=scale)
            context.save_for_backward(rows, inner, weight, down, up)
            context.scale, context.shape = scale, values.shape
            return out.view(*values.shape[:-1], len(weight))

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            rows, inner, weight, down, up = context.saved_tensors
            gradient = gradient.reshape(-1, gradient.shape[-1])
            of_inner = (gradient @ up).mul_(context.scale)
            of_up = (gradient.t() @ inner).mul_(context.scale)
            of_values = None
            # Text that no encoder is trained for needs none.
            if context.needs_input_grad[0]:
                of_values = multiply(gradient, weight.t(), None, "none", [], "").addmm_(of_inner, down)
                of_values = of_values.view(context.shape)
            return of_values, None, None, of_inner.t() @ rows, of_up, None

    return Frozen, Paired
