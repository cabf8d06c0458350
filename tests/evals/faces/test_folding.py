import numpy as np
import pytest

from evals.errors import InputError
from evals.faces.folding import fold_int8


def quantised_model(scale_shape: tuple[int, ...], with_zero: bool, **attributes: int) -> bytes:
    """y = x @ dequantised(w), w int8 [6, 8]; the axis and block are DequantizeLinear's own."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    weights = {
        "w": rng.integers(-128, 128, (6, 8)).astype(np.int8),
        "s": rng.uniform(0.01, 0.1, scale_shape).astype(np.float32),
        "z": rng.integers(-5, 6, scale_shape).astype(np.int8),
    }
    names = ["w", "s", "z"] if with_zero else ["w", "s"]
    graph = helper.make_graph(
        [
            helper.make_node("DequantizeLinear", names, ["f"], **attributes),
            helper.make_node("MatMul", ["x", "f"], ["y"]),
        ],
        "quantised",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 6])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 8])],
        [numpy_helper.from_array(weights[name], name) for name in names],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()


@pytest.mark.parametrize("with_zero", [True, False])
@pytest.mark.parametrize(
    ("scale_shape", "attributes"),
    [
        ((), {}),
        ((8,), {"axis": 1}),
        ((6,), {"axis": 0}),
        ((6, 2), {"axis": 1, "block_size": 4}),
        ((3, 8), {"axis": 0, "block_size": 2}),
        ((6, 2), {"axis": -1, "block_size": 4}),
    ],
)
def test_folding_changes_no_value(scale_shape, attributes, with_zero):
    import onnx
    from onnx.reference import ReferenceEvaluator

    data = quantised_model(scale_shape, with_zero, **attributes)
    folded = fold_int8(data, "m", {"x": (0,)})
    model = onnx.load_model_from_string(folded)
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node] == ["MatMul"]
    x = np.random.default_rng(1).normal(size=(1, 6)).astype(np.float32)
    expected = ReferenceEvaluator(onnx.load_model_from_string(data)).run(None, {"x": x})[0]
    assert ReferenceEvaluator(model).run(None, {"x": x})[0] == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_open_axes_take_any_length():
    import onnxruntime

    folded = fold_int8(quantised_model((8,), True, axis=1), "m", {"x": (0,)})
    session = onnxruntime.InferenceSession(folded, providers=["CPUExecutionProvider"])
    assert session.run(None, {"x": np.ones((3, 6), np.float32)})[0].shape == (3, 8)


@pytest.mark.parametrize("data", [b"", b"\x00\xff garbage", b"PK\x03\x04"])
def test_what_is_no_model_is_refused(data):
    with pytest.raises(InputError, match=r"next: python models/faces/fetch_face_models\.py"):
        fold_int8(data, "m.onnx", {"x": (0,)})


def test_an_unknown_quantisation_is_refused():
    with pytest.raises(InputError, match="quantised per tensor, axis or block"):
        fold_int8(quantised_model((6, 2), True, axis=1, block_size=3), "m.onnx", {})


def test_a_missing_input_is_refused():
    with pytest.raises(InputError, match="input 'picture'"):
        fold_int8(quantised_model((), True), "m.onnx", {"picture": (0,)})
