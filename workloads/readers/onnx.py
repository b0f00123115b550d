"""ONNX models: the weights and biases of Gemm, MatMul and Conv nodes. Needs the package onnx (zeroskip[onnx])."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from workloads.errors import BadInput

KIND = "ONNX model"


def read(path: Path) -> dict[str, np.ndarray]:
    """Return NAME.weight [out, in, ...] and NAME.bias [out] of each node with stored weights, in the graph's order.

    NAME is the weights' own without ".weight". What y = x W stores as [in, out] comes transposed. A MatMul's bias is
    what an Add after it adds. Nodes inside If and Loop and quantised weights are passed over. Raises BadInput.
    """
    try:
        import onnx
    except ImportError:
        raise BadInput("is an ONNX model, and to read it takes: pip install 'zeroskip[onnx]'") from None
    graph = onnx.load_model_from_string(path.read_bytes()).graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            stored[node.output[0]] = node.attribute[0].t
    added = {
        name: node.input[1 - i] for node in graph.node if node.op_type == "Add" for i, name in enumerate(node.input)
    }
    arrays = {}
    for node in graph.node:
        weights, bias = _terms(node, stored, added)
        if weights is None:
            continue
        name = weights.removesuffix(".weight")
        array = _oriented(node, weights, _array(stored[weights]))
        if array is None or f"{name}.weight" in arrays:
            continue
        arrays[f"{name}.weight"] = array
        if bias in stored and (values := _array(stored[bias]).ravel()).size == len(array):
            arrays[f"{name}.bias"] = (
                values * np.float32(_attribute(node, "beta", 1.0)) if node.op_type == "Gemm" else values
            )
    if not arrays:
        raise BadInput("holds no Gemm, MatMul or Conv with stored weights")
    return arrays


def n_numbers(path: Path) -> int:
    """Return how many f32 would fill the file."""
    return path.stat().st_size // 4


def _terms(node, stored: dict, added: dict[str, str]) -> tuple[str | None, str | None]:
    """Return the names of a node's stored weights and of what is added to its output, None where there is none."""
    inputs = [*node.input, "", "", ""][:3]
    if node.op_type in ("Conv", "Gemm"):
        return (inputs[1] if inputs[1] in stored else None), inputs[2]
    if node.op_type == "MatMul":
        return next((name for name in inputs[1::-1] if name in stored), None), added.get(node.output[0])
    return None, None


def _oriented(node, name: str, array: np.ndarray) -> np.ndarray | None:
    """Return the weights as [out, in, ...], None for a MatMul by a stack of matrices."""
    if node.op_type == "Conv":
        return array
    if array.ndim != 2:
        return None
    if node.op_type == "Gemm":
        array = array if _attribute(node, "transB", 0) else array.T
        scale = _attribute(node, "alpha", 1.0)
        return array if scale == 1 else array * np.float32(scale)
    return array.T if name == node.input[1] else array


def _attribute(node, name: str, default: float) -> float:
    """Return a number among a node's attributes."""
    attribute_of_name = next((attribute for attribute in node.attribute if attribute.name == name), None)
    if attribute_of_name is None:
        return default
    return attribute_of_name.f if isinstance(default, float) else attribute_of_name.i


def _array(tensor) -> np.ndarray:
    """Return a stored tensor's values; refuse what lies in another file or is shorter than its shape promises."""
    from onnx import numpy_helper

    if tensor.data_location == tensor.EXTERNAL:
        raise BadInput(f"keeps {tensor.name!r} in another file: save the model with its weights in one file")
    if any(length < 0 for length in tensor.dims):
        raise BadInput(f"is damaged: {tensor.name!r} has the shape {list(tensor.dims)}")
    return numpy_helper.to_array(tensor)
