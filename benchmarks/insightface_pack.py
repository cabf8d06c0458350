"""A pack for the insightface package made of the weights that ship here, so that both sides compute the same networks.

insightface's published packs are for non-commercial research and lie in no package. Its classes decode SCRFD heads and
look for scaling nodes by name; the graphs are rewritten to what they expect, the weights stay.
"""

from pathlib import Path

import numpy as np

from evals.faces.folding import fold_int8

DETECTOR_FILE = "face_detection_yunet_2023mar_int8bq.onnx"
EMBEDDER_FILE = "face_recognition_sface_2021dec_int8bq.onnx"


def write_pack(face_models: Path, folder: Path) -> Path:
    """Write detector and embedder into ``folder`` as insightface reads them, and return it.

    Args:
        face_models: folder of the shipped weights.
        folder: made when missing.

    Raises:
        InputError: a file of ``face_models`` is not what it is named after.
        OSError: a file cannot be read or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "det_yunet.onnx").write_bytes(detector_as_scrfd(face_models))
    (folder / "rec_sface.onnx").write_bytes(embedder_as_arcface(face_models))
    return folder


def detector_as_scrfd(face_models: Path) -> bytes:
    """YuNet whose twelve heads are rewritten as the nine of SCRFD, so that insightface's own class decodes it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    data = (face_models / DETECTOR_FILE).read_bytes()
    model = onnx.load_model_from_string(fold_int8(data, DETECTOR_FILE, {"input": (0, 2, 3)}))
    graph = model.graph

    def constant(name: str, value: object, dtype: type) -> str:
        graph.initializer.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    # insightface hands over (RGB - 127.5) / 128; YuNet wants BGR in 0..255.
    before = [
        helper.make_node("Mul", ["normalised", constant("deviation", 128.0, np.float32)], ["scaled"]),
        helper.make_node("Add", ["scaled", constant("mean", 127.5, np.float32)], ["levels"]),
        helper.make_node("Gather", ["levels", constant("to_bgr", [2, 1, 0], np.int64)], ["input"], axis=1),
    ]
    constant("half", 0.5, np.float32)
    constant("nothing", 0.0, np.float32)
    after, outputs = [], {"score": [], "box": [], "points": []}
    for stride in (8, 16, 32):
        cls, obj, box, kps = (f"{head}_{stride}" for head in ("cls", "obj", "bbox", "kps"))
        at = f"at{stride}_"
        after += [
            helper.make_node("Mul", [cls, obj], [at + "product"]),
            helper.make_node("Sqrt", [at + "product"], [at + "certainty"]),
            # SCRFD has two anchors a cell: the second is switched off.
            helper.make_node("Mul", [at + "certainty", "nothing"], [at + "off"]),
            helper.make_node("Concat", [at + "certainty", at + "off"], [at + "both"], axis=2),
            helper.make_node("Split", [box], [at + "centre", at + "log_extent"], axis=2, num_outputs=2),
            helper.make_node("Exp", [at + "log_extent"], [at + "extent"]),
            helper.make_node("Mul", [at + "extent", "half"], [at + "reach"]),
            helper.make_node("Sub", [at + "reach", at + "centre"], [at + "low"]),
            helper.make_node("Add", [at + "reach", at + "centre"], [at + "high"]),
            helper.make_node("Concat", [at + part for part in ("low", "high", "low", "high")], [at + "sides"], axis=2),
            helper.make_node("Concat", [kps, kps], [at + "marks"], axis=2),
        ]
        for role, source, width in (("score", "both", 1), ("box", "sides", 4), ("points", "marks", 10)):
            shape = constant(f"{at}{role}_shape", [-1, width], np.int64)
            after.append(helper.make_node("Reshape", [at + source, shape], [f"{role}_{stride}"]))
            outputs[role].append(helper.make_tensor_value_info(f"{role}_{stride}", TensorProto.FLOAT, [None, width]))
    nodes = [*before, *graph.node, *after]
    picture = helper.make_tensor_value_info("normalised", TensorProto.FLOAT, [1, 3, "height", "width"])
    heads = outputs["score"] + outputs["box"] + outputs["points"]
    rebuilt = helper.make_graph(nodes, "yunet_as_scrfd", [picture], heads, list(graph.initializer))
    opsets = list(model.opset_import)
    return helper.make_model(rebuilt, opset_imports=opsets, ir_version=model.ir_version).SerializeToString()


def embedder_as_arcface(face_models: Path) -> bytes:
    """SFace with nothing but the image as input, its scaling nodes first and named as insightface looks for them."""
    import onnx

    data = (face_models / EMBEDDER_FILE).read_bytes()
    model = onnx.load_model_from_string(fold_int8(data, EMBEDDER_FILE, {"data": (0,)}))
    scaling = [node for node in model.graph.node if node.op_type in ("Sub", "Mul")]
    rest = [node for node in model.graph.node if node.op_type not in ("Sub", "Mul")]
    assert [node.op_type for node in scaling] == ["Sub", "Mul"]
    for node in scaling:
        node.name = f"{node.op_type}_input"
    reordered = onnx.helper.make_graph(
        scaling + rest, "sface", model.graph.input, model.graph.output, list(model.graph.initializer)
    )
    opsets = list(model.opset_import)
    return onnx.helper.make_model(reordered, opset_imports=opsets, ir_version=model.ir_version).SerializeToString()
