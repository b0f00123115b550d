"""Which channels of a graph shrink together: groups of units that are alike, the knobs that turn them, what stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from workloads.allocation.channels import Ends, Place, Units
from workloads.allocation.following import Walk
from workloads.graphs.graph import Graph


@dataclass(frozen=True, kw_only=True, eq=False)
class Coupling:
    """What of a graph shrinks together. n: units, each with all the channels that must go with it.

    ends: {product: Ends}; why: {unit that stays: the reason}; refused: {product between no units: the reason}.
    """

    graph: Graph
    n: int
    ends: dict[str, Ends]
    places: Sequence[Place]
    why: dict[int, str]
    refused: dict[str, str]

    @cached_property
    def groups(self) -> tuple[np.ndarray, ...]:
        """The units that may go, i64[units] a kind: those that stand equally often at either end of every product."""
        kinds = np.zeros(self.n, np.int64)
        for ends in self.ends.values():
            for units in (ends.reads, ends.writes):
                counts = np.bincount(units, minlength=self.n)
                kinds = np.unique(kinds * (counts.max() + 1) + counts, return_inverse=True)[1]
        kinds[list(self.why)] = -1
        return tuple(np.flatnonzero(kinds == kind) for kind in dict.fromkeys(kinds[kinds >= 0].tolist()))

    @cached_property
    def knobs(self) -> dict[str, tuple[np.ndarray, ...]]:
        """{the first product that writes it: groups of units} that one width turns.

        Groups that a product reads or writes side by side turn together, so that its cost hangs on two widths at most.
        A group of one unit cannot become narrower, and is in none.
        """
        group_of = np.full(self.n, -1)
        for number, units in enumerate(self.groups):
            group_of[units] = number if len(units) > 1 else -1
        joined = Units()
        joined.new(len(self.groups))
        for ends in self.ends.values():
            for units in (ends.reads, ends.writes):
                numbers = np.unique(group_of[units])
                numbers = numbers[numbers >= 0]
                joined.join(numbers[:-1], numbers[1:])
        roots, knobs, seen = joined.roots(), {}, set()
        for name, ends in self.ends.items():
            for number in np.unique(group_of[ends.writes]):
                if number >= 0 and roots[number] not in seen:
                    seen.add(roots[number])
                    members = [units for i, units in enumerate(self.groups) if roots[i] == roots[number]]
                    knobs[name] = tuple(units for units in members if len(units) > 1)
        return knobs

    @cached_property
    def kept(self) -> dict[str, str]:
        """{product: why all its outputs stay}."""
        free = {unit for units in self.groups for unit in units.tolist() if len(units) > 1}
        return self.refused | {
            name: next((self.why[unit] for unit in ends.writes.tolist() if unit in self.why), "it has one output")
            for name, ends in self.ends.items()
            if free.isdisjoint(ends.writes.tolist())
        }


def coupled(graph: Graph) -> Coupling:
    """Return what of a graph shrinks together, followed from its products by the rule of each operator."""
    walk = Walk(graph)
    for node in graph.nodes.computing:
        walk.follow(node)
    for entry in graph.flat.graph.output:
        walk.keep(entry.name, f"{entry.name} is an output of the graph")
    roots = walk.units.roots()
    numbers = np.unique(roots, return_inverse=True)[1]
    why: dict[int, str] = {}
    for unit, reason in walk.units.reasons.items():
        why.setdefault(int(numbers[unit]), reason)
    return Coupling(
        graph=graph,
        n=int(numbers.max(initial=-1)) + 1,
        ends={
            ends.product.name: Ends(product=ends.product, reads=numbers[ends.reads], writes=numbers[ends.writes])
            for ends in walk.ends
        },
        places=[
            Place(node=p.node, operand=p.operand, units=numbers[p.units], axis=p.axis, index=p.index)
            for p in walk.places
        ],
        why=why,
        refused=walk.refused,
    )
