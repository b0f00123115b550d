"""A small graph: a convolution with a normalisation, a mean over its positions, a matrix that is stored transposed."""

from pathlib import Path

import numpy as np
import pytest

RNG = np.random.default_rng(0)
CONV, BIAS = RNG.standard_normal((4, 3, 3, 3), np.float32), RNG.standard_normal(4, np.float32)
NORM = {name: RNG.random(4, np.float32) + np.float32(0.5) for name in ("gamma", "beta", "mean", "variance")}
DENSE = RNG.standard_normal((4, 5), np.float32)  # [in, out], behind a Transpose
INPUTS = {"x": RNG.standard_normal((2, 3, 6, 6), np.float32)}


def written(folder: Path) -> Path:
    """Return the graph's file."""
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
