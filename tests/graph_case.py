"""Small graphs: a network, one whose only product is the smaller part of it, one of a grouped convolution alone."""

from pathlib import Path

import numpy as np
import pytest

RNG = np.random.default_rng(0)
CONV, BIAS = RNG.standard_normal((4, 3, 3, 3), np.float32), RNG.standard_normal(4, np.float32)
NORM = {name: RNG.random(4, np.float32) + np.float32(0.5) for name in ("gamma", "beta", "mean", "variance")}
DENSE = RNG.standard_normal((4, 5), np.float32)  # [in, out], behind a Transpose
INPUTS = {"x": RNG.standard_normal((2, 3, 6, 6), np.float32)}
TABLE = RNG.standard_normal((20, 8), np.float32)
IDS = {"ids": np.arange(6).reshape(2, 3)}
CHANNELS = {"x": INPUTS["x"][:, :2]}


def written(folder: Path) -> Path:
    """Return the file of a convolution with a normalisation, a mean over its positions, and a transposed matrix."""
    onnx = pytest.importorskip("onnx")
    helper, stored_as = onnx.helper, onnx.numpy_helper.from_array
    nodes = [
        helper.make_node("Conv", ["x", "conv.weight", "conv.bias"], ["c"], "conv"),
        helper.make_node("BatchNormalization", ["c", *NORM], ["n"], "norm"),
        helper.make_node("Relu", ["n"], ["r"], "relu"),
        helper.make_node("ReduceMean", ["r"], ["m"], "mean", axes=[2, 3], keepdims=0),
        helper.make_node("Transpose", ["fc.t"], ["fc"], "turned", perm=[1, 0]),
        helper.make_node("MatMul", ["m", "fc"], ["y"], "fc"),
    ]
    stored = [stored_as(CONV, "conv.weight"), stored_as(BIAS, "conv.bias"), stored_as(DENSE.T.copy(), "fc.t")]
    stored += [stored_as(array, name) for name, array in NORM.items()]
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 3, 6, 6])
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 5])
    model = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], stored), opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    )
    onnx.save(model, folder / "net.onnx")
    return folder / "net.onnx"


def table(folder: Path) -> Path:
    """Return the file of a product of 8 x 4 weights behind a table of 20 x 8, which is looked up."""
    onnx = pytest.importorskip("onnx")
    nodes = [
        onnx.helper.make_node("Gather", ["table", "ids"], ["h"], "embedding"),
        onnx.helper.make_node("MatMul", ["h", "fc.weight"], ["y"], "fc"),
    ]
    return _saved(folder / "table.onnx", nodes, {"table": TABLE, "fc.weight": DENSE[:, :4].repeat(2, 0)}, IDS)


def grouped(folder: Path) -> Path:
    """Return the file of a convolution with a kernel for each channel, and nothing else."""
    node = pytest.importorskip("onnx").helper.make_node("Conv", ["x", "dw.weight"], ["y"], "dw", group=2)
    return _saved(folder / "grouped.onnx", [node], {"dw.weight": CONV[:2, :1]}, CHANNELS)


def _saved(path: Path, nodes: list, stored: dict[str, np.ndarray], inputs: dict[str, np.ndarray]) -> Path:
    onnx = pytest.importorskip("onnx")
    helper, from_array = onnx.helper, onnx.numpy_helper.from_array
    entering = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), ["n", *array.shape[1:]])
        for name, array in inputs.items()
    ]
    weights = [from_array(np.ascontiguousarray(array), name) for name, array in stored.items()]
    graph = helper.make_graph(nodes, "g", entering, [onnx.ValueInfoProto(name="y")], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path
