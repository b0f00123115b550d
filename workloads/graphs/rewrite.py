"""New weights and biases put back into a graph, all else untouched, and what that changes of its outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

from workloads.errors import BadInput
from workloads.graphs.execute import run
from workloads.graphs.graph import Graph
from workloads.graphs.products import Product
from workloads.graphs.structure import subgraphs
from workloads.records import Layer, blocks_of


def with_weights(graph: Graph, layers: Mapping[str, Layer]) -> Any:
    """Return the file's own onnx.ModelProto with the weights and biases of some products replaced, by their names.

    What is stored as it is multiplied or added, and read by nothing else, is replaced in its place; else the node gets
    an initializer of its own. Raises BadInput for weights that the file quantised, and for a bias without a place.
    """
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(graph.model)
    places = _Places(graph, model)
    for product in graph.products:
        layer = layers.get(product.name)
        if layer is None:
            continue
        if not np.array_equal(layer.weights, product.matrix):
            _check_weights(product)
            blocks = blocks_of(layer.weights, product.groups)
            blocks = blocks if product.scale is None else _divided(blocks, product.scale)
            places.put(product, product.node, product.operand, partial(product.stored, blocks))
        if layer.bias is not product.bias and not np.array_equal(layer.bias, product.bias):
            _check_bias(product, layer)
            moved = (layer.bias - product.bias) / np.float32(product.bias_factor)
            places.put(product, *product.bias_at, partial(_moved, moved, product.axis_from_end))
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


def _check_weights(product: Product) -> None:
    if product.stored is None or product.bits:
        raise BadInput(f"layer {product.name!r} is quantised in the graph: compress the model before it is quantised")


def _check_bias(product: Product, layer: Layer) -> None:
    if layer.bias is None or product.bias is None or product.bias_at is None or product.bits:
        raise BadInput(f"layer {product.name!r} has another bias than the graph, which has no place for it: write .npz")


def _moved(change: np.ndarray, axis_from_end: int, before: np.ndarray) -> np.ndarray:
    """Return a constant that is added along the axis of the outputs with a change f32[out] of it."""
    if before.size == change.size:
        return before + change.reshape(before.shape)
    return before + change.reshape(-1, *(1,) * (axis_from_end - 1))  # one number, which stood for all


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


class _Places:
    """Where a graph's products lie in a copy of the file's own model, which arrays are put into."""

    def __init__(self, graph: Graph, model: Any):
        self.graph, self.places = graph, list(_places(model.graph, {}))
        self.n_readers = Counter(
            id(scope[name]) for node, _, scope in self.places for name in {*node.input} if name in scope
        )

    def put(self, product: Product, flat: Any, operand: int, change: Callable[[np.ndarray], np.ndarray]) -> None:
        """Change an operand of a node of the flat graph, which belongs to a product. Raises BadInput."""
        from onnx import numpy_helper

        node, holder, scope = self._place_of(product, flat, operand)
        name = node.input[operand]
        before = self.graph.nodes.values[flat.input[operand]]
        if name in scope:
            before = numpy_helper.to_array(scope[name])
        array = np.ascontiguousarray(change(before).astype(before.dtype))
        if name in scope and self.n_readers[id(scope[name])] == 1:
            scope[name].CopyFrom(numpy_helper.from_array(array, scope[name].name))
            return
        own = holder.initializer.add()  # others read it, too, or the graph computes it
        own.CopyFrom(numpy_helper.from_array(array, f"{name}.{product.name}"))
        node.input[operand] = own.name
        scope[own.name] = own
        self.n_readers[id(own)] = 1

    def _place_of(self, product: Product, flat: Any, operand: int) -> tuple[Any, Any, dict[str, Any]]:
        """Return the place of a node in the file's own model: of branches with equal names, that of its operand.

        Raises BadInput where there is none.
        """
        from onnx import numpy_helper

        output = next(name for name in flat.output if name)
        output = self.graph.originals.get(output, output)
        fitting = [place for place in self.places if output in place[0].output and place[0].op_type == flat.op_type]
        if len(fitting) > 1:
            array = self.graph.nodes.values[flat.input[operand]]
            stored = [scope.get(node.input[operand]) for node, _, scope in fitting]
            fitting = [
                place
                for place, tensor in zip(fitting, stored, strict=True)
                if tensor is not None and np.array_equal(numpy_helper.to_array(tensor), array)
            ]
        if len(fitting) != 1:
            raise BadInput(f"layer {product.name!r} has no place of its own in the graph: write .npz")
        return fitting[0]
