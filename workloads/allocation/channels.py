"""The records of coupled channels: units that are joined, and where they stand in constants and at products."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workloads.graphs.products import Product


@dataclass(eq=False)
class Units:
    """Numbers that are joined into sets: channels, until it is known which of them go together."""

    parents: list[int] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)

    def new(self, n: int) -> np.ndarray:
        """Return i64[n] of numbers that nothing else has."""
        start = len(self.parents)
        self.parents += range(start, start + n)
        return np.arange(start, start + n)

    def join(self, ones: Iterable[int], others: Iterable[int]) -> None:
        """Join the sets of each of the ones and the other at its place."""
        for one, other in zip(map(int, ones), map(int, others), strict=True):
            a, b = self._root(one), self._root(other)
            self.parents[max(a, b)] = min(a, b)

    def keep(self, units: Iterable[int], reason: str) -> None:
        """Note why numbers, and with them their sets, must stay; the first reason counts."""
        for unit in map(int, units):
            self.reasons.setdefault(unit, reason)

    def roots(self) -> np.ndarray:
        """Return i64 of the set of each number, by the first number in it."""
        return np.array([self._root(i) for i in range(len(self.parents))], np.int64)

    def _root(self, i: int) -> int:
        while self.parents[i] != i:
            self.parents[i] = self.parents[self.parents[i]]
            i = self.parents[i]
        return i


@dataclass(frozen=True, eq=False)
class Channels:
    """The axis of a value whose places may go, and the unit of each of them, i64."""

    axis: int
    units: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """Where units stand in a constant that a node reads: along an axis, or as their number in it at an index.

    units: i64, one each place of the axis, or those that are counted.
    """

    node: Any
    operand: int
    units: np.ndarray
    axis: int | None = None
    index: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Ends:
    """A product between units: those of its input channels and of its output channels, i64 each.

    Of a grouped convolution the two of a block are one unit. A channel stands for n_in / len(reads) columns and
    n_out / len(writes) rows of the product's matrix.
    """

    product: Product
    reads: np.ndarray
    writes: np.ndarray

    def sizes(self, n_reads: int, n_writes: int) -> tuple[int, int, int]:
        """Return outputs, inputs and groups of the matrix with so many channels left."""
        product = self.product
        n_out = len(product.weights) // len(self.writes) * n_writes
        groups = product.groups * n_writes // len(self.writes) if product.groups > 1 else 1
        return n_out, product.n_in // len(self.reads) * n_reads, groups
