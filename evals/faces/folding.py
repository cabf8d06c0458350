"""Opens an int8 ONNX file as a float32 model: block-quantised weights are multiplied out once, at load.

onnxruntime 1.32 refuses the shipped files as they are ("block_size must be 0 for per-tensor quantization" on a node
whose block is as long as its axis). Folding also lets the batch size and the picture size vary.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.errors import InputError


def fold_int8(data: bytes, name: str, free_axes: dict[str, tuple[int, ...]]) -> bytes:
    """Return the same network with every constant ``DequantizeLinear`` replaced by its float32 result.

    Args:
        data: a serialised ONNX model.
        name: what an error calls it.
        free_axes: graph input name to the axes whose length is left open in the result.

    Returns:
        A serialised ONNX model: inputs without initialisers, no stored intermediate shapes, outputs of open shape.

    Raises:
        InputError: not an ONNX model, a quantisation of unknown layout, or an input named in ``free_axes`` is missing.
    """
    import onnx

    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's DecodeError derives from Exception alone and carries no type stubs
        raise InputError(
            f"{name}: accepted an ONNX model, got {error}; next: python models/faces/fetch_face_models.py"
        ) from error
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    folded_names: set[str] = set()
    for node in graph.node:
        if node.op_type != "DequantizeLinear" or any(part not in weights for part in node.input if part):
            continue
        folded = _dequantised(node, weights, name)
        graph.initializer.append(
            onnx.TensorProto(
                name=node.output[0], data_type=onnx.TensorProto.FLOAT, dims=folded.shape, raw_data=folded.tobytes()
            )
        )
        folded_names.add(node.output[0])
    _keep(graph.node, lambda node: node.output[0] not in folded_names)
    _drop_what_nobody_reads(graph)
    _open_shapes(graph, name, free_axes)
    return bytes(model.SerializeToString())


def _dequantised(node: Any, weights: dict[str, Any], name: str) -> NDArray[np.float32]:
    """(q - zero) * scale for the three layouts of DequantizeLinear-21: per tensor, per axis, in blocks."""
    from onnx import helper, numpy_helper

    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    quantised = numpy_helper.to_array(weights[node.input[0]])
    scale = numpy_helper.to_array(weights[node.input[1]]).astype(np.float32)
    has_zero = len(node.input) > 2 and bool(node.input[2])
    zero = numpy_helper.to_array(weights[node.input[2]]).astype(np.float32) if has_zero else np.zeros_like(scale)
    values = quantised.astype(np.float32)
    if scale.size == 1:
        values -= zero.reshape(())
        values *= scale.reshape(())
        return values
    axis = int(attributes.get("axis", 1)) % values.ndim
    block = int(attributes.get("block_size", 0))
    if scale.ndim == values.ndim and block > 0 and values.shape[axis] == block * scale.shape[axis]:
        shape = (*values.shape[:axis], scale.shape[axis], block, *values.shape[axis + 1 :])
        blocks = values.reshape(shape)
        blocks -= np.expand_dims(zero, axis + 1)
        blocks *= np.expand_dims(scale, axis + 1)
        return values
    if scale.ndim == 1 and scale.size == values.shape[axis] and block == 0:
        along = [1] * values.ndim
        along[axis] = -1
        values -= zero.reshape(along)
        values *= scale.reshape(along)
        return values
    raise InputError(
        f"{name}: accepted weights quantised per tensor, axis or block, got {node.input[0]} of shape {values.shape} "
        f"with scales {scale.shape}; next: python models/faces/fetch_face_models.py"
    )


def _drop_what_nobody_reads(graph: Any) -> None:
    read = {part for node in graph.node for part in node.input}
    _keep(graph.initializer, lambda tensor: tensor.name in read)
    constant = {tensor.name for tensor in graph.initializer}
    _keep(graph.input, lambda value: value.name in read and value.name not in constant)


def _open_shapes(graph: Any, name: str, free_axes: dict[str, tuple[int, ...]]) -> None:
    from onnx import numpy_helper

    del graph.value_info[:]
    inputs = {value.name: value for value in graph.input}
    for wanted, axes in free_axes.items():
        if wanted not in inputs:
            raise InputError(
                f"{name}: accepted a model with an input {wanted!r}, got {sorted(inputs)}; "
                "next: python models/faces/fetch_face_models.py"
            )
        for axis in axes:
            _free(inputs[wanted].type.tensor_type.shape.dim[axis], f"{wanted}_{axis}")
    for output in graph.output:
        for axis, dimension in enumerate(output.type.tensor_type.shape.dim):
            if axis < len(output.type.tensor_type.shape.dim) - 1:
                _free(dimension, f"{output.name}_{axis}")
    # [1, -1, k] pins the batch to one; in Reshape a 0 means "as it comes".
    shapes = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    for tensor in graph.initializer:
        if tensor.name in shapes:
            shape = numpy_helper.to_array(tensor)
            if shape.shape == (3,) and shape[0] == 1 and shape[1] == -1:
                tensor.CopyFrom(numpy_helper.from_array(np.array([0, *shape[1:]], dtype=np.int64), tensor.name))


def _free(dimension: Any, name: str) -> None:
    dimension.Clear()
    dimension.dim_param = name


def _keep(repeated: Any, wanted: Callable[[Any], bool]) -> None:
    # From the back and in place: rebuilding the list would copy 39 MB of weights.
    for index in reversed(range(len(repeated))):
        if not wanted(repeated[index]):
            del repeated[index]
