"""Networks whose published weights come without a graph: the graph around them, built here. Needs onnx."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from workloads.errors import BadInput, did_you_mean

OPSET = 17
INPUT = "data"
# Source: Iandola et al. 2016, SqueezeNet (arXiv 1602.07360), Table 1, version 1.0; layers as in its deploy.prototxt.
FIRES = range(2, 10)
POOLED_AFTER = (4, 8)


def build(name: str, arrays: Mapping[str, np.ndarray]) -> Any:
    """Return the onnx.ModelProto of an architecture with the weights LAYER.weight and LAYER.bias. Raises BadInput."""
    if name not in ARCHITECTURES:
        raise BadInput(f"unknown architecture {name!r}{did_you_mean(name, ARCHITECTURES)}")
    return ARCHITECTURES[name](arrays)


def _squeezenet(arrays: Mapping[str, np.ndarray]) -> Any:
    """Input data f32[batch, 3, 227, 227]: BGR less ImageNet's mean (104, 117, 123)."""
    from onnx import TensorProto, helper, numpy_helper

    nodes, stored = [], []

    def conv(layer: str, value: str, stride: int = 1, pad: int = 0) -> str:
        for part in ("weight", "bias"):
            if f"{layer}.{part}" not in arrays:
                raise BadInput(f"has no array {f'{layer}.{part}'!r}, which squeezenet-1.0 is made of")
            array = np.ascontiguousarray(arrays[f"{layer}.{part}"], np.float32)
            stored.append(numpy_helper.from_array(array, f"{layer}.{part}"))
        inputs = [value, f"{layer}.weight", f"{layer}.bias"]
        nodes.append(helper.make_node("Conv", inputs, [layer], layer, strides=[stride] * 2, pads=[pad] * 4))
        nodes.append(helper.make_node("Relu", [layer], [f"{layer}.relu"], f"{layer}.relu"))
        return f"{layer}.relu"

    def pool(value: str, name: str) -> str:
        window = {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}
        nodes.append(helper.make_node("MaxPool", [value], [name], name, **window))
        return name

    value = pool(conv("conv1", INPUT, stride=2), "pool1")
    for fire in FIRES:
        squeezed = conv(f"fire{fire}/conv1x1_1", value)
        parts = [conv(f"fire{fire}/conv1x1_2", squeezed), conv(f"fire{fire}/conv3x3_2", squeezed, pad=1)]
        value = f"fire{fire}"
        nodes.append(helper.make_node("Concat", parts, [value], value, axis=1))
        if fire in POOLED_AFTER:
            value = pool(value, f"pool{fire}")
    nodes.append(helper.make_node("GlobalAveragePool", [conv("conv_final", value)], ["scores"], "scores"))
    data = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["batch", 3, 227, 227])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 1000, 1, 1])
    graph = helper.make_graph(nodes, "squeezenet-1.0", [data], [scores], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)


ARCHITECTURES: dict[str, Callable[[Mapping[str, np.ndarray]], Any]] = {"squeezenet-1.0": _squeezenet}
