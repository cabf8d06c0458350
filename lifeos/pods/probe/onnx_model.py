"""A small ONNX model written byte by byte: pods do not install the ``onnx`` package.

Field numbers are those of onnx.proto3 (ONNX, IR version 8, operator set 17).
"""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_FLOAT = 1
CHANNELS, SIDE, OUTPUTS = 8, 16, 4


def small_model(kernel: NDArray[np.float32], matrix: NDArray[np.float32]) -> bytes:
    """Return a serialised model: convolution (cuDNN's work), ReLU, mean over the picture, matrix product (cuBLAS's).

    Args:
        kernel: float32 ``[8, 3, 3, 3]``, stride 1, padding 1.
        matrix: float32 ``[8, 4]``.

    Input ``x`` float32 ``[1, 3, 16, 16]``, output ``y`` float32 ``[1, 4]``.
    """
    nodes = [
        _node("Conv", ["x", "kernel"], "convolved", [_ints("pads", [1, 1, 1, 1]), _ints("strides", [1, 1])]),
        _node("Relu", ["convolved"], "rectified"),
        _node("GlobalAveragePool", ["rectified"], "pooled"),
        _node("Flatten", ["pooled"], "flat"),
        _node("MatMul", ["flat", "matrix"], "y"),
    ]
    graph = b"".join(_bytes(1, node) for node in nodes) + _bytes(2, b"probe")
    graph += _bytes(5, _tensor("kernel", kernel)) + _bytes(5, _tensor("matrix", matrix))
    graph += _bytes(11, _value("x", [1, 3, SIDE, SIDE])) + _bytes(12, _value("y", [1, OUTPUTS]))
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _bytes(1, b"") + _number(2, 17))


def expected(
    kernel: NDArray[np.float32], matrix: NDArray[np.float32], picture: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return what the model gives for ``picture``, in float64 ``[1, 4]``."""
    padded = np.pad(picture[0].astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    convolved = np.einsum("cyxij,ocij->oyx", windows, kernel.astype(np.float64))
    pooled = np.maximum(convolved, 0.0).mean(axis=(1, 2))
    return np.asarray(pooled[None] @ matrix.astype(np.float64))


def _node(kind: str, inputs: Sequence[str], output: str, attributes: Sequence[bytes] = ()) -> bytes:
    parts = [_bytes(1, name.encode()) for name in inputs] + [_bytes(2, output.encode()), _bytes(4, kind.encode())]
    return b"".join([*parts, *(_bytes(5, attribute) for attribute in attributes)])


def _ints(name: str, values: Sequence[int]) -> bytes:
    return _bytes(1, name.encode()) + b"".join(_number(8, value) for value in values) + _number(20, 7)


def _tensor(name: str, array: NDArray[np.float32]) -> bytes:
    dims = b"".join(_number(1, size) for size in array.shape)
    data = struct.pack(f"<{array.size}f", *array.ravel().tolist())
    return dims + _number(2, _FLOAT) + _bytes(8, name.encode()) + _bytes(9, data)


def _value(name: str, shape: Sequence[int]) -> bytes:
    dims = b"".join(_bytes(1, _number(1, size)) for size in shape)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, _number(1, _FLOAT) + _bytes(2, dims)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
