"""A graph that is a chain of modules which are trained here: as a Sequential, with what enters it and its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from workloads.errors import BadInput
from workloads.graphs.execute import run
from workloads.graphs.graph import Graph
from workloads.graphs.nodes import PASSED, attributes
from workloads.graphs.products import Product
from workloads.networks.modules import Conv1d, Conv2d, Linear, Module
from workloads.networks.sequential import GELU, Add, AvgPool2d, Flatten, MaxPool2d, ReLU, Sequential

LAST = ("Softmax", "LogSoftmax")  # part of the loss that is trained for
FLAT = ("Flatten", "Reshape", "Squeeze")
POOLS = {"MaxPool": MaxPool2d, "AveragePool": AvgPool2d}
MEANS = ("GlobalAveragePool", "ReduceMean")
CLOSE = 1e-3  # of the outputs' norm: what sums in another order may differ in
UNKNOWN = "is none of the modules that are trained here"


@dataclass(frozen=True, kw_only=True, eq=False)
class Chain:
    """network: with normalisations in the matrices before them; inputs: f32[batch, ...]; labels: int[batch] or None."""

    network: Sequential
    inputs: np.ndarray
    labels: np.ndarray | None


def of_graph(graph: Graph) -> Chain:
    """Return the chain that a graph is; on its inputs it gives what onnxruntime gives. Raises BadInput if it is none.

    Its weighted modules have the names of the graph's products. A softmax at the end is left out.
    """
    (name, *others), first = graph.parts[0], graph.parts[0]
    if others or first[name].dtype.kind != "f":
        raise BadInput(f"what enters is not one array of floats, but {', '.join(first)}")
    values = run(graph.flat, first, [name, *(out for node in graph.nodes.computing for out in node.output if out)])
    modules: dict[str, Module] = {}
    giving: dict[str, str] = {}  # {value: the module that gives it}
    row = _in_a_row(graph, name)
    for node, end, beside in row:
        products = [product for product in graph.products if product.node is node]
        some = _product(products, graph, values) if products else _other(node, values)
        some = some if beside is None else [Add(giving[beside])]
        if isinstance(some, str):
            raise BadInput(f"{_named(node, graph)} {some}")
        label = products[0].name if products else graph.names[id(node)]
        modules |= {label if place == 0 else f"{label}.{place}": module for place, module in enumerate(some)}
        giving[end] = list(modules)[-1]
    if not any(product.name in modules for product in graph.products):
        raise BadInput("it has no product")
    network = Sequential(modules)
    own, wanted = network.forward(values[name].astype(np.float32)), values[row[-1][1]]
    if own.shape != wanted.shape or not np.linalg.norm(own - wanted) <= CLOSE * np.linalg.norm(wanted):
        raise BadInput("its modules, one after the other, give other outputs than the graph")
    inputs = np.concatenate([part[name] for part in graph.parts]).astype(np.float32)
    return Chain(network=network, inputs=inputs, labels=graph.labels)


def _in_a_row(graph: Graph, value: str) -> list[tuple[Any, str, str | None]]:
    """Return the nodes that are modules, the value behind each and what belongs to it, and of a sum what else it adds.

    That is the value behind an earlier one. Raises BadInput.
    """
    nodes, readers = graph.nodes, graph.nodes.readers
    followers = {id(node) for product in graph.products for node in product.followers}
    row: list[tuple[Any, str, str | None]] = []
    for node in nodes.computing:
        computed = [name for name in node.input if name and name not in nodes.constant_names]
        if len(computed) > 1 and (node.op_type, len(computed)) != ("Add", 2):
            raise BadInput(f"{_named(node, graph)} takes more than one computed value")
        elsewhere = [reader for reader in readers.get(value, []) if reader is not node]
        is_spanned = all(reader is not None and reader.op_type == "Add" for reader in elsewhere)
        if value not in computed or not is_spanned or (elsewhere and id(node) in followers):
            raise BadInput(f"what reaches {_named(node, graph)} goes elsewhere, too")
        computed.remove(value)
        beside = computed[0] if computed else None
        if beside is not None and beside not in [end for _, end, _ in row]:
            raise BadInput(f"{_named(node, graph)} adds what no module before it gives")
        value = node.output[0]
        if node.op_type in LAST and readers.get(value) == [None]:
            return row
        if id(node) not in followers and node.op_type not in PASSED:
            row.append((node, value, beside))
        elif row:
            row[-1] = (row[-1][0], value, row[-1][2])
    if readers.get(value) != [None]:
        raise BadInput("it has an output in its midst")
    return row


def _named(node: Any, graph: Graph) -> str:
    return f"{node.op_type} {graph.names[id(node)]!r}"


def _product(products: list[Product], graph: Graph, values: Mapping[str, np.ndarray]) -> list[Module] | str:
    """Return the module of a node's product, with what scales it and adds to it, or why there is none."""
    product, node = products[0], products[0].node
    signal, settings = values[product.reads[0]], attributes(node)
    if product.bits or product.groups > 1:
        return f"is {'quantised' if product.bits else 'in groups'}, which is not trained here"
    if node.op_type in ("MatMul", "Gemm"):
        if signal.ndim != 2 or product.operand == 0 or settings.get("transA", 0) or not product.output:
            return "multiplies more than one row of an input, or adds what is no bias"
        return [Linear(weights=product.matrix, bias=product.bias)]
    if node.op_type != "Conv" or signal.ndim not in (3, 4):
        return UNKNOWN
    shape, n_axes = graph.nodes.values[node.input[1]].shape, signal.ndim - 2
    strides, pads = settings.get("strides") or [1], settings.get("pads") or [0]
    is_plain = {*(settings.get("dilations") or [1])} == {1} and settings.get("auto_pad", "NOTSET") == "NOTSET"
    if len({*strides}) > 1 or len({*pads}) > 1 or not is_plain:
        return "has dilations, or strides or pads that differ, which is not trained here"
    sizes = {"stride": strides[0], "padding": pads[0]}
    kind = Conv1d if n_axes == 1 else Conv2d
    return [kind(weights=product.matrix.reshape(shape), bias=product.bias, **sizes)]


def _other(node: Any, values: Mapping[str, np.ndarray]) -> list[Module] | str:
    """Return the modules of a node without weights, or why there are none."""
    signal, result, settings = values[node.input[0]], values[node.output[0]], attributes(node)
    if node.op_type == "Relu":
        return [ReLU()]
    if node.op_type == "Gelu" and settings.get("approximate", "none") == "none":
        return [GELU()]
    if node.op_type in FLAT and result.shape == (len(signal), signal[0].size):
        return [Flatten()]
    if signal.ndim != 4 or node.op_type not in (*POOLS, *MEANS):
        return UNKNOWN
    if node.op_type in POOLS:
        size, strides = settings["kernel_shape"], settings.get("strides") or [1, 1]
        is_plain = size == strides and not any(settings.get("pads") or [0])
        return (
            [POOLS[node.op_type](size=size[0])]
            if is_plain and len({*size}) == 1
            else "has windows that overlap, or no squares"
        )
    height, width = signal.shape[2:]
    if height != width or result.size != len(signal) * signal.shape[1]:
        return "is no mean over the places of a square"
    return [AvgPool2d(size=height), *([Flatten()] if result.ndim == 2 else [])]
