"""Modules in a row as an ONNX model that any runtime takes. Needs onnx."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from workloads.errors import BadInput
from workloads.networks.modules import BatchNorm, Linear, Module, Weighted
from workloads.networks.sequential import GELU, Add, AvgPool2d, Flatten, MaxPool2d, ReLU, Sequential

OPSET, IR = 20, 9  # the first with Gelu, and what goes with it
INPUT, OUTPUT = "input", "output"


def as_onnx(network: Sequential, shape: Sequence[int]) -> Any:
    """Return the onnx.ModelProto of a network: input f32[batch, *shape] -> output f32[batch, classes].

    A matrix is stored as NAME.weight and NAME.bias. Raises BadInput for a module that ONNX has no operator for.
    """
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        raise BadInput("to write an ONNX model takes: pip install 'zeroskip[onnx]'") from None
    nodes, stored, value = [], [], INPUT
    *_, last = network.modules
    for name, module in network.modules.items():
        kind, attributes, arrays = _operator(name, module)
        stored += [numpy_helper.from_array(array.astype(np.float32), key) for key, array in arrays.items()]
        result = OUTPUT if name == last else name
        others = [] if module.source is None else [module.source]
        nodes.append(helper.make_node(kind, [value, *others, *arrays], [result], name, **attributes))
        value = result
    entering = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", *shape])
    n_outputs = list(network.weighted.values())[-1].weights.shape[0] if network.weighted else None
    leaving = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", n_outputs])
    graph = helper.make_graph(nodes, "zeroskip", [entering], [leaving], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)


def _operator(name: str, module: Module) -> tuple[str, dict[str, Any], dict[str, np.ndarray]]:
    """Return what ONNX calls a module, its attributes, and {name: array} of its constants."""
    if isinstance(module, Weighted):
        arrays = {f"{name}.weight": module.weights}
        if module.bias is not None:
            arrays[f"{name}.bias"] = module.bias
        if isinstance(module, Linear):
            return "Gemm", {"transB": 1}, arrays
        n_axes = module.weights.ndim - 2
        return "Conv", {"strides": [module.stride] * n_axes, "pads": [module.padding] * 2 * n_axes}, arrays
    if isinstance(module, BatchNorm):
        arrays = {f"{name}.{field}": getattr(module, field) for field in ("gamma", "beta", "mean", "variance")}
        return "BatchNormalization", {"epsilon": module.epsilon}, arrays
    if isinstance(module, MaxPool2d | AvgPool2d):
        kind = "MaxPool" if isinstance(module, MaxPool2d) else "AveragePool"
        return kind, {"kernel_shape": [module.size] * 2, "strides": [module.size] * 2}, {}
    for of_kind, kind in ((ReLU, "Relu"), (GELU, "Gelu"), (Flatten, "Flatten"), (Add, "Add")):
        if isinstance(module, of_kind):
            return kind, {}, {}
    raise BadInput(f"module {name!r} must be one that ONNX has, got {type(module).__name__}")
