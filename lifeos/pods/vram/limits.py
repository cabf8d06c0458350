"""How much of a pod's GPU a run may reserve."""

from lifeos.pods.spec import Gpu

CONTEXT_BYTES = 512 * 2**20
"""Assumed for what the driver and CUDA's libraries hold outside PyTorch's allocator: kernels, streams, handles."""
HEADROOM = 0.05
"""Share of the prediction that stays free on top of it: no prediction has been held against a GPU yet."""
NOMINAL_SHARE = 0.93
"""What a driver shows of a memory that is known from a data sheet alone: up to 7 % less (``gpus.toml``)."""


def limit_bytes(gpu: Gpu) -> int:
    """Return the largest reserved bytes that fit one card: with context and headroom they fill it."""
    share = NOMINAL_SHARE if gpu.memory_kind == "nominal" else 1.0
    return int((gpu.memory_mib * 2**20 * share - CONTEXT_BYTES) / (1.0 + HEADROOM))
