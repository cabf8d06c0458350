"""The model written byte by byte against the onnx package and its own reference."""

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from lifeos.pods.probe.onnx_model import CHANNELS, OUTPUTS, SIDE, expected, small_model


def parts(seed):
    generator = np.random.default_rng(seed)
    shapes = ((CHANNELS, 3, 3, 3), (CHANNELS, OUTPUTS), (1, 3, SIDE, SIDE))
    return [generator.normal(size=shape).astype(np.float32) for shape in shapes]


def test_onnx_accepts_it_and_agrees_on_what_it_computes():
    kernel, matrix, picture = parts(1)
    model = onnx.load_from_string(small_model(kernel, matrix))
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == ["Conv", "Relu", "GlobalAveragePool", "Flatten", "MatMul"]
    (found,) = ReferenceEvaluator(model).run(None, {"x": picture})
    np.testing.assert_allclose(found, expected(kernel, matrix, picture), rtol=1e-4, atol=1e-5)
