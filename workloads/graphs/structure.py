"""What must hold of a graph before anything is read from it: names in order, known operators, functions that end."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from workloads.errors import BadInput

MOST_DEPTH = 32  # of graphs in graphs
MOST_NODES = 10**6  # of a graph whose functions are written out
OWN = ("", "ai.onnx")  # the names of ONNX's own operators' domain


def subgraphs(node: Any) -> dict[str, Any]:
    """Return the graphs that a node holds, by attribute."""
    return {attribute.name: attribute.g for attribute in node.attribute if attribute.HasField("g")}


def graphs(graph: Any, depth: int = 0) -> Iterator[Any]:
    """Yield a graph and all graphs in its nodes. Raises BadInput where they lie too deep in each other."""
    if depth > MOST_DEPTH:
        raise BadInput(f"is damaged: it holds graphs in graphs, more than {MOST_DEPTH} deep")
    yield graph
    for node in graph.node:
        for inner in subgraphs(node).values():
            yield from graphs(inner, depth + 1)


def check_functions(model: Any) -> None:
    """Refuse a model whose own functions call themselves, or come to too many nodes where they are written out."""
    functions = {(function.domain, function.name): function for function in model.functions}
    sizes: dict[tuple[str, str], int] = {}
    calling: list[tuple[str, str]] = []

    def size(holder: Any) -> int:
        n = 0
        for node in holder.node:
            called = node.domain, node.op_type
            n += 1 + sum(size(inner) for inner in subgraphs(node).values())
            if called in calling or len(calling) > MOST_DEPTH:
                raise BadInput(f"is damaged: its function {node.op_type!r} calls itself, or lies too deep in others")
            if called in functions:
                if called not in sizes:
                    calling.append(called)
                    sizes[called] = size(functions[called])
                    calling.pop()
                n += sizes[called]
            if n > MOST_NODES:
                raise BadInput(f"comes to more than {MOST_NODES:,} operators where its functions are written out")
        return n

    size(model.graph)


def check_names(model: Any) -> None:
    """Refuse operators that ONNX does not have, and values that are read before they are given, or given twice."""
    import onnx

    opset = next((entry.version for entry in model.opset_import if entry.domain in OWN), 1)

    @cache
    def schema(kind: str) -> Any:
        try:
            return onnx.defs.get_schema(kind, opset, "")
        except onnx.defs.SchemaError:
            raise BadInput(f"holds an operator {kind!r}, which opset {opset} does not have") from None

    def check(graph: Any, around: tuple[set[str], ...]) -> None:
        if not all(isinstance(text, str) for text in _texts(graph)):
            raise BadInput("is damaged: a name in it is no UTF-8")
        stored = [tensor.name for tensor in graph.initializer]
        known = set(stored)
        if len(known) < len(stored):
            twice = next(name for place, name in enumerate(stored) if name in stored[:place])
            raise BadInput(f"is damaged: it stores {twice!r} twice")
        known |= {entry.name for entry in graph.input} | {""}
        seen = (*around, known)
        for node in graph.node:
            said = f"{node.op_type} {node.name!r}" if node.name else node.op_type
            if node.domain in OWN:
                own = schema(node.op_type)
                if len(node.input) < own.min_input or len(node.output) < own.min_output:
                    raise BadInput(f"is damaged: {said} has {len(node.input)} inputs and {len(node.output)} outputs")
            for name in node.input:
                if not any(name in names for names in seen):
                    raise BadInput(f"is damaged: {said} reads {name!r}, which no operator before it gives")
            for inner in subgraphs(node).values():
                check(inner, seen)
            for name in filter(None, node.output):
                if name in known:
                    raise BadInput(f"is damaged: {said} gives {name!r}, which is given already")
                known.add(name)

    check(model.graph, ())


def _texts(graph: Any) -> Iterator[str | bytes]:
    """Yield every name in a graph; protobuf leaves as bytes what is no text."""
    yield from (entry.name for entry in (*graph.initializer, *graph.input, *graph.output))
    for node in graph.node:
        yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)


def read_by(node: Any) -> set[str]:
    """Return the names of the values that a node reads, those that the graphs in it take from around them as well."""
    names = set(node.input)
    for inner in subgraphs(node).values():
        names |= {entry.name for entry in inner.output}.union(*map(read_by, inner.node))
    return names
