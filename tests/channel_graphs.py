"""Graphs of convolutions whose channels are coupled, built by hand or drawn, and what is stored in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from onnx import ModelProto, helper, numpy_helper

from tests.onnx_models import model_of, normal, tensor
from workloads.graphs import graph as graphs
from workloads.graphs.feed import Feed

SIDE, N_CLASSES = 4, 3
INPUTS = {"x": normal(2, 3, SIDE, SIDE)}


class Builder:
    """A graph that grows value by value; convs: {convolution: (kernel, groups)}."""

    def __init__(self):
        self.nodes, self.stored, self.widths, self.side = [], {}, {"x": 3}, SIDE
        self.convs: dict[str, tuple[int, int]] = {}

    def node(self, kind, inputs, width, **attributes):
        """Return the name of a new value of so many channels."""
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        self.widths[name] = width
        return name

    def constant(self, name, *shape):
        """Return the name of a new constant of normal numbers."""
        self.stored[name] = normal(*shape, seed=len(self.stored))
        return name

    def conv(self, value, width, kernel=1, groups=1, bias=True):
        """Return a convolution of a value that keeps its size."""
        name = f"conv{len(self.nodes)}"
        constants = [self.constant(f"{name}.weight", width, self.widths[value] // groups, kernel, kernel)]
        constants += [self.constant(f"{name}.bias", width)] if bias else []
        pads = {"pads": [kernel // 2] * 4, "group": groups}
        made = self.node("Conv", [value, *constants], width, **pads)
        assert made == name
        self.convs[name] = kernel, groups
        return made

    def norm(self, value):
        """Return a value behind a BatchNormalization."""
        width, name = self.widths[value], f"norm{len(self.nodes)}"
        constants = [self.constant(f"{name}.{part}", width) for part in ("gamma", "beta", "mean", "variance")]
        self.stored[constants[-1]] = np.abs(self.stored[constants[-1]]) + np.float32(0.5)
        return self.node("BatchNormalization", [value, *constants], width)

    def fully(self, value, n_features, way):
        """End with a matrix behind a Flatten, or a Reshape that says how many features there are."""
        if way == "Reshape":
            self.stored["flat.shape"] = np.array([-1, n_features])
            flat = self.node("Reshape", [value, "flat.shape"], n_features)
        else:
            flat = self.node("Flatten", [value], n_features)
        self.constant("fc.weight", n_features, N_CLASSES)
        self.constant("fc.bias", N_CLASSES)
        if way == "MatMul":
            product = self.node("MatMul", [flat, "fc.weight"], N_CLASSES)
            self.nodes.append(helper.make_node("Add", [product, "fc.bias"], ["y"], "added"))
        else:
            self.nodes.append(helper.make_node("Gemm", [flat, "fc.weight", "fc.bias"], ["y"], "fc"))

    def model(self, outputs=("y",)) -> ModelProto:
        """Return the model so far."""
        return model_of(self.nodes, {"x": ["n", 3, SIDE, SIDE]}, self.stored, outputs)


def residual():
    """Return a graph of 4 channels that a layer writes, one with 5 hidden ones is added to, and a matrix reads."""
    built = Builder()
    stem = built.norm(built.conv("x", 4, 3, bias=False))
    hidden = built.node("Relu", [built.norm(built.conv(stem, 5, 3))], 5)
    summed = built.node("Add", [built.conv(hidden, 4), stem], 4)
    built.fully(built.node("Relu", [summed], 4), 4 * 16, "Gemm")
    return built


@st.composite
def drawn(draw):
    """Return a Builder of up to eight steps that couple channels, and a matrix at the end."""
    built = Builder()
    value = built.conv("x", draw(st.sampled_from([4, 6])), 3)
    steps = ["conv", "residual", "concat", "depthwise", "norm", "Relu", "Sigmoid", "gate", "grouped", "split", "pool"]
    for step in draw(st.lists(st.sampled_from(steps), min_size=1, max_size=8)):
        width = built.widths[value]
        if step == "conv":
            value = built.conv(value, draw(st.integers(2, 8)), 3, bias=draw(st.booleans()))
        elif step == "residual":
            inner = built.node("Relu", [built.conv(value, draw(st.integers(2, 5)))], 0)
            built.widths[inner] = built.widths[built.nodes[-2].output[0]]
            value = built.node(draw(st.sampled_from(["Add", "Mul"])), [built.conv(inner, width), value], width)
        elif step == "concat":
            parts = [value, built.conv(value, draw(st.integers(2, 4)))]
            parts = parts[::-1] if draw(st.booleans()) else parts
            value = built.node("Concat", parts, sum(built.widths[part] for part in parts), axis=1)
        elif step == "depthwise":
            value = built.conv(value, width * draw(st.sampled_from([1, 2])), 3, groups=width)
        elif step == "norm":
            value = built.norm(value)
        elif step == "gate":
            pooled = built.node("GlobalAveragePool", [value], width)
            gate = built.node("Sigmoid", [built.conv(built.conv(pooled, 2), width)], width)
            value = built.node("Mul", [value, gate], width)
        elif step == "grouped" and width % 2 == 0:
            value = built.conv(value, draw(st.sampled_from([2, 4])), groups=2)
        elif step == "split" and width > 3:
            built.stored[f"sizes{len(built.nodes)}"] = np.array([2, width - 2])
            inputs, names = [value, f"sizes{len(built.nodes)}"], [f"{value}.a", f"{value}.b"]
            built.nodes.append(helper.make_node("Split", inputs, names, axis=1))
            built.widths |= {names[0]: 2, names[1]: width - 2}
            value = built.node("Concat", [built.conv(names[0], 3), names[1]], width + 1, axis=1)
        elif step == "pool" and built.side > 1:
            built.side //= 2
            value = built.node("MaxPool", [value], width, kernel_shape=[2, 2], strides=[2, 2])
        elif step in ("Relu", "Sigmoid"):
            value = built.node(step, [value], width)
    if draw(st.booleans()):
        value, built.side = built.node("GlobalAveragePool", [value], built.widths[value]), 1
    built.fully(value, built.widths[value] * built.side**2, draw(st.sampled_from(["Gemm", "MatMul", "Reshape"])))
    return built


def read(model: ModelProto, folder: Path) -> graphs.Graph:
    """Return a model's graph on INPUTS."""
    (folder / "f.onnx").write_bytes(model.SerializeToString())
    return graphs.read(folder / "f.onnx", Feed.of(inputs=INPUTS))


def replaced(model: ModelProto, arrays: dict[str, np.ndarray]) -> ModelProto:
    """Return the model with other constants of the same names."""
    changed = ModelProto()
    changed.CopyFrom(model)
    for stored in changed.graph.initializer:
        if stored.name in arrays:
            stored.CopyFrom(tensor(stored.name, arrays[stored.name]))
    return changed


def constants(model: ModelProto) -> dict[str, np.ndarray]:
    """Return what a model stores."""
    return {stored.name: numpy_helper.to_array(stored).copy() for stored in model.graph.initializer}
