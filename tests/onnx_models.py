"""Small ONNX models built by hand, what onnxruntime gives for any of their values, and layers held against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from workloads import Model, Workload, address, load  # noqa: E402
from workloads.graphs.feed import Feed  # noqa: E402

OPSET = 17
CONTRIB = "com.microsoft"


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape, np.float32)


def tensor(name: str, array: np.ndarray) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(array), name)


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int | str]],
    stored: Mapping[str, np.ndarray],
    outputs: Sequence[str] = ("y",),
    *,
    kind: int = TensorProto.FLOAT,
    opset: int = OPSET,
) -> onnx.ModelProto:
    """Return a model of those nodes; outputs have neither type nor shape, which onnxruntime infers."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, kind, shape) for name, shape in inputs.items()],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [tensor(name, array) for name, array in stored.items()],
    )
    domains = [helper.make_opsetid("", opset), helper.make_opsetid(CONTRIB, 1)]
    return helper.make_model(graph, opset_imports=domains, ir_version=8)


def reference(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray], *names: str) -> list[np.ndarray]:
    """Return the values of those names as onnxruntime gives them for the inputs."""
    asking = onnx.ModelProto()
    asking.CopyFrom(model)
    del asking.graph.output[:]
    asking.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(asking.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(list(names), dict(feeds))


def loaded(folder: Path, model: onnx.ModelProto, feeds: Mapping[str, np.ndarray], **feed) -> Model:
    """Return the model of a file, run on those inputs."""
    (folder / "f.onnx").write_bytes(model.SerializeToString())
    return address.model(folder / "f.onnx", "*", Feed.of(inputs=feeds, **feed))


def only(folder: Path, model: onnx.ModelProto, feeds: Mapping[str, np.ndarray], **feed) -> Workload:
    """Return the one layer of a file, run on those inputs."""
    (folder / "f.onnx").write_bytes(model.SerializeToString())
    return only_of(folder / "f.onnx", Feed.of(inputs=feeds, **feed))


def only_of(path: Path, feed: Feed) -> Workload:
    """Return the one layer of a whole graph, which is a Model."""
    (layer,) = load(path, feed).layers
    return layer


def product_of(layer: Workload) -> np.ndarray:
    """Return f32[batch * positions, out] that a layer's rows and matrix give, without any activation function."""
    bias = 0 if layer.bias is None else layer.bias
    return layer.activations.astype(np.float64) @ layer.weights.astype(np.float64).T + bias


def check(layer: Workload, expected: np.ndarray, *, axis: int = -1, batch: int, step: float = 0.0) -> None:
    """Assert that a layer's product gives a node's output, whose outputs lie along an axis, within 1e-5 or a step."""
    expected = np.moveaxis(expected, axis, -1).reshape(-1, expected.shape[axis]).astype(np.float64)
    assert layer.batch == batch
    assert layer.batch * layer.positions == len(expected)
    np.testing.assert_allclose(product_of(layer), expected, rtol=1e-5, atol=step + 1e-5 * np.abs(expected).max())
