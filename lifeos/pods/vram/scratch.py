"""Memory that one operator takes and gives back inside itself: no trace of tensors shows it.

Each rule says where it comes from, and whether it was fitted to published measurements or is an assumption.
"""

from collections.abc import Callable
from typing import Any

CUBLAS_BYTES, CUBLAS_BYTES_HOPPER = 8_519_680, 32 * 2**20
"""Workspace that PyTorch gives cuBLAS once a process: two pieces of 4096 KiB and eight of 16 KiB up to compute
capability 8.9, 32 MiB from 9.0 on."""


def cublas_workspace(capability: tuple[int, int]) -> int:
    """Return the bytes of cuBLAS's workspace on a GPU of a compute capability."""
    return CUBLAS_BYTES_HOPPER if capability >= (9, 0) else CUBLAS_BYTES


def scratch_rules() -> dict[Any, Callable[[tuple[Any, ...], Any], int]]:
    """Return operator overload -> function of its arguments and result that gives bytes of scratch."""
    import torch

    aten = torch.ops.aten
    return {
        aten.convolution.default: _convolution,
        aten.convolution_backward.default: _convolution_backward,
        aten._scaled_dot_product_flash_attention_backward.default: _flash_backward,
    }


def _convolution(arguments: tuple[Any, ...], result: Any) -> int:
    # Fitted: cuDNN's kernels for 16-bit tensor cores want channels last, so source and weight of an NCHW convolution
    # are staged in that order, in three dimensions the result too.
    source, weight = arguments[:2]
    return _staged(source, weight, result if source.dim() == 5 else None)


def _convolution_backward(arguments: tuple[Any, ...], _: Any) -> int:
    # Assumed to be as the forward one: no published measurement trains a convolution.
    _, source, weight = arguments[:3]
    return _staged(source, weight, None)


def _staged(source: Any, weight: Any, result: Any) -> int:
    elements = source.numel() + weight.numel() + (0 if result is None else result.numel())
    return int(elements * source.element_size())


def _flash_backward(arguments: tuple[Any, ...], _: Any) -> int:
    # Assumed: the query's gradient is summed in float32, tokens rounded up to 128 and channels to 32
    # (``mha_bwd`` of flash-attention 2: ``dq_accum``); checked against no measurement.
    batch, heads, tokens, channels = arguments[1].shape
    return int(batch * heads * (-(-tokens // 128) * 128) * (-(-channels // 32) * 32) * 4)
