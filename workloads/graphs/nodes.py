"""A graph's nodes with what their neighbours say: constants, who reads a value, what follows a product."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from workloads.graphs.execute import constant_names, constants

SMALL = ("Add", "BatchNormalization", "Mul")  # whose constants say what a product's outputs become
PASSED = ("Identity", "Dropout", "Cast")  # what leaves values as they are


def attributes(node: Any) -> dict[str, Any]:
    """Return a node's attributes, texts as str."""
    from onnx import helper

    values = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}


@dataclass(frozen=True, eq=False)
class Nodes:
    """The nodes of a flat graph in their order. wanted: of which operators the constants are looked at."""

    model: Any
    wanted: frozenset[str]

    @cached_property
    def constant_names(self) -> set[str]:
        return constant_names(self.model.graph)

    @cached_property
    def stored(self) -> dict[str, Any]:
        """{name: the tensor} of what the graph itself holds."""
        return {tensor.name: tensor for tensor in self.model.graph.initializer}

    @cached_property
    def computing(self) -> list[Any]:
        """The nodes that hang on an input."""
        return [node for node in self.model.graph.node if not self.constant_names.issuperset(filter(None, node.output))]

    @cached_property
    def values(self) -> Mapping[str, np.ndarray]:
        """The constants that products and what follows them read."""
        names = [
            name
            for node in self.computing
            if node.op_type in self.wanted or node.op_type in SMALL
            for name in node.input
            if name in self.constant_names
        ]
        return constants(self.model, names)

    @cached_property
    def producer(self) -> dict[str, Any]:
        """{value: the node that computes it}."""
        return {name: node for node in self.model.graph.node for name in node.output}

    @cached_property
    def readers(self) -> dict[str, list[Any]]:
        """{value: the nodes that read it}, None among them for what leaves the graph."""
        readers: dict[str, list[Any]] = {}
        for node in self.model.graph.node:
            for name in node.input:
                readers.setdefault(name, []).append(node)
        for entry in self.model.graph.output:
            readers.setdefault(entry.name, []).append(None)
        return readers

    def behind(self, values: Iterable[str]) -> set[str]:
        """Return the names of what the graph holds that those constants are computed from."""
        names, seen = list(values), set()
        while names:
            name = names.pop()
            if name not in seen:
                seen.add(name)
                names += self.producer[name].input if name in self.producer else []
        return seen & self.stored.keys()

    def constant(self, node: Any, place: int) -> np.ndarray | None:
        """Return the constant that a node reads there; None where there is none."""
        return self.values.get(node.input[place]) if place < len(node.input) else None

    def follower(self, value: str) -> Any | None:
        """Return the only node that reads a value, what leaves it as it is passed over; None where there are more."""
        readers = self.readers.get(value, [])
        if len(readers) != 1 or readers[0] is None:
            return None
        if readers[0].op_type in PASSED:
            return self.follower(readers[0].output[0])
        return readers[0]

    def origin(self, value: str) -> Any | None:
        """Return the node that computes a value, what leaves it as it is passed over."""
        node = self.producer.get(value)
        return self.origin(node.input[0]) if node is not None and node.op_type in PASSED else node

    def added(self, node: Any) -> np.ndarray | None:
        """Return the constant that an Add adds, None where it adds two computed values."""
        return next((self.values[name] for name in node.input if name in self.values), None)


def as_bias(array: np.ndarray | None, n_out: int, axis_from_end: int) -> np.ndarray | None:
    """Return f32[out] of a constant that is added along the axis of the outputs, None for any other.

    axis_from_end: 1 for the last axis, more where positions follow it.
    """
    if array is None or array.dtype.kind != "f":
        return None
    if array.size == 1:
        return np.full(n_out, array.ravel()[0], np.float32)
    shape = (1,) * (axis_from_end - array.ndim) + array.shape
    place = len(shape) - axis_from_end
    if place < 0 or shape[place] != n_out or array.size != n_out:
        return None
    return array.astype(np.float32).ravel()
