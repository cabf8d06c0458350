"""A processor that allocates as CUDA does: fused attention, autocast's float32 list, weights that move.

Tensors of the trace are fake and live on ``cpu``: fake tensors on ``cuda`` abort in a build of PyTorch without CUDA.
Everything here is undone when the block ends.
"""

import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_FLASH_CHANNELS = 256
_LISTS = ("AT_FORALL_FP32", "AT_FORALL_FP32_SET_OPT_DTYPE")


class TracedDevice(str):
    """``cpu`` to PyTorch, ``cuda`` to whoever compares; to the trace the GPU, where a plain ``cpu`` is the host."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        """Return whether ``other`` is the word ``cuda``."""
        return other is self or (type(other) is str and other == "cuda")

    def __ne__(self, other: object) -> bool:
        """Return the opposite; ``str`` has its own."""
        return not self == other

    def __hash__(self) -> int:
        """Return the hash of the word ``cuda``."""
        return hash("cuda")


@contextlib.contextmanager
def cuda_semantics(
    place: Callable[[Any], None], evict: Callable[[Any], None], has_flash: bool = True
) -> Iterator[None]:
    """Let fake tensors on the processor behave as on a GPU inside the block.

    Args:
        place: called with a tensor that arrives on the GPU in a module's ``to``.
        evict: called with one that leaves it.
        has_flash: whether the GPU runs flash attention, compute capability 8.0 and above.

    Raises:
        RuntimeError: the installed PyTorch does not tell which operators CUDA's autocast keeps in float32.
    """
    import diffusers.models.modeling_utils
    import torch
    import transformers.initialization

    # These keep torch's functions of initialisation from their first import on, and put them back after each model they
    # load: imported inside the block, they would leave every later LoRA of the process with memory as it was found.
    del diffusers, transformers
    names = float32_operators()
    with contextlib.ExitStack() as stack:
        library = stack.enter_context(torch.library._scoped_library("aten", "IMPL"))
        for name in names:
            _keep_float32(library, name)
        # Not a mode over functions: what checkpointing computes again in the backward pass does not see one.
        for key in ("AutogradCPU", "CPU"):
            library.impl("scaled_dot_product_attention", functools.partial(_attend, has_flash), key)
        stack.enter_context(_patched(torch.nn.Module, "to", _moving(torch.nn.Module.to, place, evict)))
        stack.enter_context(_patched(torch.nn.Module, "_apply", _rebuild))
        for name in dir(torch.nn.init):
            if name.endswith("_") and not name.startswith("_"):
                # Random numbers for weights that hold none would be traced operators.
                stack.enter_context(_patched(torch.nn.init, name, _as_it_is))
        # Not a mode over functions: it would run at each of a trace's hundred thousand calls.
        stack.enter_context(_patched(torch.Tensor, "numpy", _array_of_zeros))
        yield


def float32_operators() -> list[str]:
    """Return the operators, ``name`` or ``name.overload``, that CUDA's autocast computes in float32.

    They are read from the header of the installed PyTorch, because the list changes between versions.

    Raises:
        RuntimeError: the header is absent or holds no such list.
    """
    import torch

    header = Path(torch.__file__).parent / "include" / "ATen" / "autocast_mode.h"
    try:
        text = header.read_text(encoding="utf-8")
    except OSError as error:
        raise RuntimeError(f"{header}: cannot be read ({error.strerror})") from error
    found = []
    for name in _LISTS:
        block = re.search(rf"#define {name}\(_\)((?:.*\\\n)*.*)", text)
        if block is None:
            raise RuntimeError(f"{header}: holds no {name}")
        found += [name + (f".{overload}" if overload else "")
                  for name, overload in re.findall(r"_\((\w+)(?:,\s*(\w+))?\)", block.group(1))]
    return found


def _keep_float32(library: Any, name: str) -> None:
    import torch

    if torch._C._dispatch_has_kernel_for_dispatch_key(f"aten::{name}", "AutocastCPU"):
        return
    base, _, overload = name.partition(".")
    packet = getattr(torch.ops.aten, base, None)
    operator = getattr(packet, overload or "default", None)
    if operator is None:
        return
    autocast = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCPU)

    def widen(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.float() if value.dtype in (torch.bfloat16, torch.float16) else value
        return type(value)(widen(each) for each in value) if isinstance(value, (list, tuple)) else value

    def in_float32(*arguments: Any, **options: Any) -> Any:
        with torch._C._ExcludeDispatchKeyGuard(autocast):
            return operator(*map(widen, arguments), **{key: widen(value) for key, value in options.items()})

    library.impl(name, in_float32, "AutocastCPU")


def _moving(to: Callable[..., Any], place: Callable[[Any], None], evict: Callable[[Any], None]) -> Callable[..., Any]:
    def moved(module: Any, *arguments: Any, **options: Any) -> Any:
        device = options.get("device", arguments[0] if arguments and isinstance(arguments[0], str) else None)
        result = to(module, *arguments, **options)
        if device is not None:
            report = place if isinstance(device, TracedDevice) else evict
            for tensor in (*module.parameters(), *module.buffers()):
                report(tensor)
        return result

    return moved


def _rebuild(module: Any, function: Callable[[Any], Any], recurse: bool = True) -> Any:
    # Parameters of fake tensors can neither be swapped nor given other data: they are made anew.
    import torch

    for child in module.children():
        child._apply(function)
    for name, parameter in module._parameters.items():
        if parameter is not None:
            with torch.no_grad():
                changed = function(parameter)
            if changed is not parameter:
                module._parameters[name] = torch.nn.Parameter(changed, parameter.requires_grad)
    for name, buffer in module._buffers.items():
        if buffer is not None:
            module._buffers[name] = function(buffer)
    return module


def _as_it_is(tensor: Any, *_: Any, **__: Any) -> Any:
    return tensor


@contextlib.contextmanager
def _patched(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _array_of_zeros(tensor: Any, **_: Any) -> Any:
    import numpy as np

    # Fake pixels have no memory that an array could look at.
    return np.broadcast_to(np.zeros((), np.float32), tuple(tensor.shape))


def _attend(
    has_flash: bool, query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0,
    is_causal: bool = False, *, scale: float | None = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """Attend with the operators that CUDA chooses: flash where type, mask and width allow it, else memory-efficient."""
    import torch

    aten, pad = torch.ops.aten, torch.nn.functional.pad
    width = query.shape[-1]
    if attn_mask is None and has_flash and query.dtype != torch.float32 and width <= _FLASH_CHANNELS:
        missing = -width % 8
        if missing:
            query, key, value = (pad(each, (0, missing)) for each in (query, key, value))
        result = aten._scaled_dot_product_flash_attention(
            query, key, value, dropout_p, is_causal, scale=width**-0.5 if scale is None else scale)[0]
        return result[..., :width] if missing else result
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype).masked_fill_(attn_mask.logical_not(), -torch.inf)
        attn_mask = attn_mask.to(query.dtype).expand(*query.shape[:3], key.shape[2])
    return aten._scaled_dot_product_efficient_attention(
        query, key, value, attn_mask, torch.is_grad_enabled(), dropout_p, is_causal, scale=scale)[0]
