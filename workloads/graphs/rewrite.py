"""New weights put back into a graph, all else untouched, and what that changes of its outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from workloads.errors import BadInput
from workloads.graphs.execute import run
from workloads.graphs.graph import Graph
from workloads.graphs.products import Product
from workloads.graphs.structure import subgraphs
from workloads.records import Layer, blocks_of


def with_weights(graph: Graph, layers: Mapping[str, Layer]) -> Any:
    """Return the file's own onnx.ModelProto with the weights of some products replaced, by the product's name.

    What is stored as it is multiplied, and read by nothing else, is replaced in its place; else the node gets an
    initializer of its own. Raises BadInput for weights that the file quantised, and for a bias that changed.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    places = list(_places(model.graph, {}))
    n_readers = Counter(id(scope[name]) for node, _, scope in places for name in {*node.input} if name in scope)
    for product in graph.products:
        layer = layers.get(product.name)
        if layer is None or np.array_equal(layer.weights, product.matrix):
            continue
        _check(product, layer)
        node, holder, scope = _place_of(product, graph, places)
        name = node.input[product.operand]
        before = graph.nodes.values[product.node.input[product.operand]]
        if name in scope:
            before = numpy_helper.to_array(scope[name])
        blocks = blocks_of(layer.weights, product.groups)
        blocks = blocks if product.scale is None else _divided(blocks, product.scale)
        array = np.ascontiguousarray(product.stored(blocks, before).astype(before.dtype))
        if name in scope and n_readers[id(scope[name])] == 1:
            scope[name].CopyFrom(numpy_helper.from_array(array, scope[name].name))
            continue
        own = holder.initializer.add()  # others read it, too, or the graph computes it
        own.CopyFrom(numpy_helper.from_array(array, f"{name}.{product.name}"))
        node.input[product.operand] = own.name
        scope[own.name] = own
        n_readers[id(own)] = 1
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


def _places(graph: Any, outer: Mapping[str, Any]) -> Iterator[tuple[Any, Any, dict[str, Any]]]:
    """Yield every node, of inner graphs as well, with its graph and {value: stored tensor} of all that it can read."""
    scope = {**outer, **{tensor.name: tensor for tensor in graph.initializer}}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            scope[node.output[0]] = node.attribute[0].t
    for node in graph.node:
        yield node, graph, scope
        for inner in subgraphs(node).values():
            yield from _places(inner, scope)


def _place_of(product: Product, graph: Graph, places: list) -> tuple[Any, Any, dict[str, Any]]:
    """Return the place of a product's node in the file's own model: of branches with equal names, that of its weights.

    Raises BadInput where there is none.
    """
    from onnx import numpy_helper

    output = next(name for name in product.node.output if name)
    output = graph.originals.get(output, output)
    fitting = [place for place in places if output in place[0].output and place[0].op_type == product.node.op_type]
    if len(fitting) > 1:
        weights = graph.nodes.values[product.node.input[product.operand]]
        stored = [scope.get(node.input[product.operand]) for node, _, scope in fitting]
        fitting = [
            place
            for place, tensor in zip(fitting, stored, strict=True)
            if tensor is not None and np.array_equal(numpy_helper.to_array(tensor), weights)
        ]
    if len(fitting) != 1:
        raise BadInput(f"layer {product.name!r} has no place of its own in the graph: write .npz")
    return fitting[0]
