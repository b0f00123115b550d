"""The smaller dense graph without some units: every constant that holds them cut, as an ONNX model that runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from workloads.allocation.channels import Place
from workloads.allocation.coupling import Coupling
from workloads.errors import BadInput
from workloads.graphs.graph import Graph, products_of
from workloads.graphs.nodes import Nodes
from workloads.graphs.products import MAKERS
from workloads.graphs.structure import read_by


def smaller(coupling: Coupling, stays: np.ndarray) -> Graph:
    """Return a graph with only the units of a mask, bool[units], on the same inputs.

    Ifs are the branches that the inputs take. Raises BadInput for a mask without a unit that must stay.
    """
    import onnx

    gone = next((unit for unit in coupling.why if not stays[unit]), None)
    if gone is not None:
        raise BadInput(f"unit {gone} must stay: {coupling.why[gone]}")
    for name, ends in coupling.ends.items():
        if not stays[ends.writes].any():
            raise BadInput(f"layer {name!r} must keep at least one output, got none")
    graph, model = coupling.graph, onnx.ModelProto()
    model.CopyFrom(graph.flat)
    copies = {id(node): copy for node, copy in zip(graph.flat.graph.node, model.graph.node, strict=True)}
    for ends in coupling.ends.values():
        groups = ends.sizes(int(stays[ends.reads].sum()), int(stays[ends.writes].sum()))[2]
        for attribute in copies[id(ends.product.node)].attribute:
            if attribute.name == "group":
                attribute.i = groups
    _cut(graph, model, copies, [place for place in coupling.places if not stays[place.units].all()], stays)
    return with_flat(graph, model)


def with_flat(graph: Graph, model: Any) -> Graph:
    """Return a graph with a flat model of as many products in its place, of equal names, on the same inputs."""
    nodes = Nodes(model, frozenset(MAKERS))
    products, names, why = products_of(nodes)
    products = [replace(product, name=old.name) for product, old in zip(products, graph.products, strict=True)]
    changed = {"model": model, "flat": model, "originals": {}, "products": products, "passed_over": why}
    return replace(graph, **changed, nodes=nodes, names=names)


def _cut(graph: Graph, model: Any, copies: dict[int, Any], places: Sequence[Place], stays: np.ndarray) -> None:
    """Give each operand in which units went an initializer of its own; equal ones are shared."""
    from onnx import numpy_helper

    nodes = Nodes(graph.flat, frozenset(place.node.op_type for place in places))
    operands: dict[tuple[int, int], list[Place]] = {}
    for place in places:
        operands.setdefault((id(place.node), place.operand), []).append(place)
    cuts: dict[str, dict[tuple, str]] = {}
    for (node, operand), held in operands.items():
        name = held[0].node.input[operand]
        array = nodes.values[name].copy()
        for place in held:
            mask = stays[place.units]
            if place.axis is None:
                array[place.index] = mask.sum()
            else:
                array = np.compress(mask, array, axis=place.axis)
        variants = cuts.setdefault(name, {})
        key = array.shape, array.tobytes()
        if key not in variants:
            variants[key] = f"{name}.cut{len(variants) or ''}"
            model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(array), variants[key]))
        copies[node].input[operand] = variants[key]
    _sweep(model.graph)
    _rename(model.graph, {next(iter(of.values())): name for name, of in cuts.items() if len(of) == 1})


def _sweep(graph: Any) -> None:
    """Drop what no output hangs on any more, and the shapes of values, which are others now."""
    needed = {entry.name for entry in graph.output}
    for place in reversed(range(len(graph.node))):
        if needed.isdisjoint(graph.node[place].output):
            del graph.node[place]
        else:
            needed |= read_by(graph.node[place])
    del graph.value_info[:]
    for place in reversed(range(len(graph.initializer))):
        if graph.initializer[place].name not in needed:
            del graph.initializer[place]


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    """Give a cut constant its old name where nothing bears that any more; an input of that name is none then."""
    taken = {tensor.name for tensor in graph.initializer} | {name for node in graph.node for name in node.output}
    names = {cut: old for cut, old in names.items() if old not in taken}
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
    stored = {tensor.name: tensor for tensor in graph.initializer}
    for entry in graph.input:
        if entry.name in stored:  # before IR 4 each constant is one
            for dim, length in zip(entry.type.tensor_type.shape.dim, stored[entry.name].dims, strict=True):
                dim.dim_value = length
