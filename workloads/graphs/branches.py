"""Branches of If nodes: the one that the inputs take is put in the node's place, so that its products can be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from workloads.errors import BadInput
from workloads.graphs.execute import constant_names, constants, run
from workloads.graphs.structure import subgraphs

MOST_ROUNDS = 32  # of Ifs in branches of Ifs


def flattened(model: Any, parts: Sequence[Mapping[str, np.ndarray]] | None) -> tuple[Any, dict[str, str]]:
    """Return the model with each If replaced by its taken branch, and {name: its original one} of what was renamed.

    parts: the inputs of each run, which decide, and all alike; None: only an If whose condition is a constant is
    replaced. Raises BadInput.
    """
    import onnx

    flat = onnx.ModelProto()
    flat.CopyFrom(model)
    originals: dict[str, str] = {}
    for _ in range(MOST_ROUNDS):
        conditions = {node.input[0] for node in flat.graph.node if node.op_type == "If"}
        if parts is None:
            conditions &= constant_names(flat.graph)
        if not conditions:
            return flat, originals
        values = constants(flat, conditions) if parts is None else _alike(flat, parts, conditions)
        _replace(flat.graph, values, originals)
    raise BadInput(f"holds branches in branches, more than {MOST_ROUNDS} deep")


def _alike(flat: Any, parts: Sequence[Mapping[str, np.ndarray]], conditions: set[str]) -> Mapping[str, np.ndarray]:
    first, *others = (run(flat, feeds, conditions) for feeds in parts)
    for place, values in enumerate(others, 1):
        for name in conditions:
            if bool(np.all(values[name])) != bool(np.all(first[name])):
                raise BadInput(f"takes other branches for run {place} of its inputs than for the first, by {name!r}")
    return first


def _replace(graph: Any, conditions: Mapping[str, np.ndarray], originals: dict[str, str]) -> None:
    from onnx import helper

    taken_names, node_names, nodes = _defined(graph), {node.name for node in graph.node}, []
    for node in graph.node:
        if node.op_type != "If" or node.input[0] not in conditions:
            nodes.append(node)
            continue
        branch = subgraphs(node)["then_branch" if bool(np.all(conditions[node.input[0]])) else "else_branch"]
        renamed = {name: f"{name}@{node.output[0]}" for name in _defined(branch) if name in taken_names}
        originals.update({new: originals.get(old, old) for old, new in renamed.items()})
        _rename(branch, renamed)
        taken_names |= _defined(branch)
        graph.initializer.extend(branch.initializer)
        for inner in branch.node:
            if inner.name and inner.name in node_names:
                inner.name = f"{inner.name}@{node.output[0]}"
            node_names.add(inner.name)
            nodes.append(inner)
        for inner, outer in zip(branch.output, node.output, strict=True):
            nodes.append(helper.make_node("Identity", [inner.name], [outer], name=f"{outer}.branch"))
    nodes = [_copy(node) for node in nodes]
    del graph.node[:]
    graph.node.extend(nodes)


def _copy(node: Any) -> Any:
    copied = type(node)()
    copied.CopyFrom(node)
    return copied


def _defined(graph: Any) -> set[str]:
    """Return the names that a graph gives values to, its own and not those of graphs in it."""
    stored = [tensor.name for tensor in graph.initializer]
    return {*stored, *(entry.name for entry in graph.input), *(name for node in graph.node for name in node.output)}


def _rename(graph: Any, renamed: Mapping[str, str]) -> None:
    """Rename values in a graph and in all graphs within it that do not define the name anew."""
    if not renamed:
        return
    for tensor in graph.initializer:
        tensor.name = renamed.get(tensor.name, tensor.name)
    for entry in graph.output:
        entry.name = renamed.get(entry.name, entry.name)
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
        for inner in subgraphs(node).values():
            _rename(inner, {old: new for old, new in renamed.items() if old not in _defined(inner)})
