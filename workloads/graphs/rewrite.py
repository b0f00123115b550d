"""New weights put back into a graph, all else untouched, and what that changes of its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from workloads.errors import BadInput
from workloads.graphs.execute import run
from workloads.graphs.graph import Graph
from workloads.graphs.model_file import graphs
from workloads.graphs.products import Product
from workloads.records import Layer


def with_weights(graph: Graph, layers: Mapping[str, Layer]) -> Any:
    """Return the file's own onnx.ModelProto with the weights of some products replaced, by the product's name.

    What is stored as it is multiplied is replaced in its place; what the graph computes from something else gets an
    initializer of its own. Raises BadInput for weights that the file quantised, and for a bias that changed.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    written: dict[str, np.ndarray] = {}
    for product in graph.products:
        layer = layers.get(product.name)
        if layer is None or np.array_equal(layer.weights, product.matrix):
            continue
        _check(product, layer)
        operand = product.node.input[product.operand]
        name = graph.originals.get(operand, operand)
        place = _tensors(model).get(name)
        blocks = layer.weights if product.scale is None else _divided(layer.weights, product.scale)
        if place is not None:
            before = numpy_helper.to_array(place)
            array = product.stored(blocks, before).astype(before.dtype)
            is_free = name not in written or product.node.op_type in ("LSTM", "GRU", "RNN")
            if is_free or np.array_equal(array, written[name]):
                written[name] = array
                place.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), place.name))
                continue
        else:
            before = graph.nodes.values[operand]
            array = product.stored(blocks, before).astype(before.dtype)
        _rewire(model, product, graph, array)
    return model


def compared(graph: Graph, model: Any) -> list[dict[str, Any]]:
    """Return for each real output of the graph how a changed model's differ, on the graph's own inputs.

    relative_error: norm of the difference over the norm; cosine: of the whole; top_1: the share of rows whose largest
    value stands in the same place, None where a row has one value; accuracy: of the first output against the labels,
    before and after, None without labels.
    """
    names = [entry.name for entry in graph.model.graph.output]
    parts = [(run(graph.model, part, names), run(model, part, names)) for part in graph.parts]
    rows = []
    for name in names:
        before, after = (np.concatenate([np.atleast_1d(pair[i][name]) for pair in parts]) for i in (0, 1))
        if before.dtype.kind != "f" or before.shape != after.shape:
            continue
        one, other = before.astype(np.float64), after.astype(np.float64)
        norm, norms = np.linalg.norm(one), np.linalg.norm(one) * np.linalg.norm(other)
        is_wide = one.ndim > 1 and one.reshape(len(one), -1).shape[1] > 1
        flat = [array.reshape(len(array), -1).argmax(axis=1) for array in (one, other)] if is_wide else None
        row: dict[str, Any] = {
            "output": name,
            "relative_error": float(np.linalg.norm(other - one) / norm) if norm else None,
            "cosine": float((one * other).sum() / norms) if norms else None,
            "top_1": float((flat[0] == flat[1]).mean()) if flat else None,
            "accuracy": None,
        }
        if graph.labels is not None and flat and not rows:
            row["accuracy"] = [float((places == graph.labels).mean()) for places in flat]
        rows.append(row)
    return rows


def _check(product: Product, layer: Layer) -> None:
    if product.stored is None or product.bits:
        raise BadInput(f"layer {product.name!r} is quantised in the graph: compress the model before it is quantised")
    given, own = layer.bias, product.bias
    if (given is None) != (own is None) or (own is not None and not np.array_equal(given, own)):
        raise BadInput(f"layer {product.name!r} has another bias than the graph, which has no place for it: write .npz")


def _divided(weights: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the weights before a normalisation that follows; rows that it makes zero are zero."""
    return np.divide(weights, scale[:, None], out=np.zeros_like(weights), where=scale[:, None] != 0)


def _tensors(model: Any) -> dict[str, Any]:
    """Return {value: its stored tensor}, of initializers and Constant nodes in all graphs."""
    tensors = {}
    for graph in graphs(model.graph):
        tensors |= {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
                tensors[node.output[0]] = node.attribute[0].t
    return tensors


def _rewire(model: Any, product: Product, graph: Graph, array: np.ndarray) -> None:
    """Give a node weights of its own."""
    from onnx import numpy_helper

    output = next(name for name in product.node.output if name)
    output = graph.originals.get(output, output)
    for inner in graphs(model.graph):
        for node in inner.node:
            if output in node.output:
                name = f"{node.input[product.operand]}.{product.name}"
                inner.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
                node.input[product.operand] = name
                return
    raise BadInput(f"layer {product.name!r} has no place of its own in the graph: write .npz")
