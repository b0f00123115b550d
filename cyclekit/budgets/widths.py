"""The knob of a machine that multiplies whole matrices: how many outputs each keeps, by first-order importance."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cyclekit.budgets.knob import N_SHORT, Knob
from workloads.allocation import two_four
from workloads.allocation.narrow import Channels, channels, importance, narrowed
from workloads.allocation.table import Choice, Cost, Table
from workloads.allocation.two_four import PATTERN
from workloads.errors import BadInput, did_you_mean
from workloads.networks.sequential import Sequential
from workloads.recipes.subjects import subject
from workloads.records import Workload

N_WIDTHS = 16  # of a matrix, evenly from all outputs down to one of so many parts
TURNED = ("width", PATTERN, "both")


@dataclass(frozen=True, kw_only=True)
class Widths(Knob):
    """How many outputs each matrix keeps, as many as those that an Add joins with it; a network of this knob is a
    smaller Sequential.

    turned: "width", "2:4" (which of the matrices are, by magnitude), or "both". Raises BadInput for a machine without.
    """

    unit = "width"
    turned: str = "width"

    def __post_init__(self):
        if self.turned not in TURNED:
            raise BadInput(f"unknown knob {self.turned!r}{did_you_mean(self.turned, TURNED)}")
        if self.turned != "width" and not self._sparse_design:
            raise BadInput(
                f"knob must be width on {self.chosen.name}: 2:4 takes a dense design of a machine that has it, "
                f"got {self.turned!r}"
            )
        if not isinstance(self.task.network, Sequential) or self.task.labels is None:
            raise BadInput(
                f"network {self.task.name!r} must be modules in a row with labels: "
                "only of these is known which widths go together"
            )

    @cached_property
    def _importance(self) -> dict[str, np.ndarray]:
        return importance(self.task.network, self.task.inputs, self.task.labels)

    @cached_property
    def _sparse_design(self) -> Mapping[str, Any] | None:
        """What to change of the design for 2:4; None where it is sparse already, or there is none."""
        of, changes = self.chosen.pattern, self.chosen.entrants.get(PATTERN)
        return changes if changes and not of(self.spec) and of(self.spec.replace(**changes)) == PATTERN else None

    @property
    def is_even(self) -> bool:
        return self.turned == "width"

    def _table(self) -> Table:
        weighted = self.task.network.weighted
        levels = {
            name: widths(len(weighted[name].weights)) for name in self._channels.writers if self.turned != PATTERN
        }
        losses = {name: np.array([self._lost(name, width) for width in own]) for name, own in levels.items()}
        if self.turned != "width":
            first = self.task.first(N_SHORT)
            gone = two_four.lost(self.task.network, first.inputs, first.labels)
            levels |= {_sparse(name): (1.0, 0.5) for name in weighted}
            losses |= {_sparse(name): np.array([0.0, gone[name]]) for name in weighted}
        knobs, shapes = {}, {}
        for name, module in weighted.items():
            reads, writes = self._channels.readers.get(name), self._channels.written.get(name)
            knobs[name] = tuple(dict.fromkeys(knob for knob in (reads, writes) if knob in levels))
            n_out, n_in = module.matrix.shape
            shapes[name] = []
            for at in itertools.product(*(levels[knob] for knob in knobs[name])):
                wide = dict(zip(knobs[name], at, strict=True))
                left = n_in // levels[reads][0] * wide[reads] if reads in wide else n_in
                shapes[name].append(self.shape(wide.get(writes, n_out), left, self._positions[name]))
        every = [shape for of_layer in shapes.values() for shape in of_layer]
        designs, costs = [{}] if self.turned == "width" else [{}, self._sparse_design], {}
        known = [self.costs_of(every, changes) for changes in designs]
        for name, of_layer in shapes.items():
            own = (*knobs[name], *(knob for knob in [_sparse(name)] if knob in levels))
            amounts = [[of_design[shape] for of_design in known] for shape in of_layer]
            sizes = tuple(len(levels[knob]) for knob in own)
            costs[name] = Cost(knobs=own, amounts=np.reshape(amounts, sizes))
        return Table(levels=levels, costs=costs, losses=losses, unit=self.metric)

    @cached_property
    def _channels(self) -> Channels:
        return channels(self.task.network)

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: len(rows) for name, rows in self.task.network.inputs(self.task.inputs[:1]).items()}

    def _lost(self, name: str, width: int) -> float:
        return float(np.sort(self._importance[name])[: len(self._importance[name]) - width].sum())

    def widths(self, choice: Choice) -> dict[str, int]:
        """Return the outputs of each group of matrices that may be narrower, at a choice."""
        groups = self._channels.writers
        return {name: int(self.table().levels[name][choice[name]]) for name in groups if name in choice}

    def uncut(self) -> Sequential:
        return self.task.network

    def start(self, choice: Choice) -> Sequential:
        network = self._cut(self.task.network, self._importance, choice)
        return self.fit(network, **self.others).apply() if self.recalibrates else network

    def _cut(self, network: Sequential, scores: Mapping[str, np.ndarray], choice: Choice) -> Sequential:
        """Return a network at a choice: narrower, and then at 2:4 what is chosen to be."""
        narrow = _narrowed(network, scores, self.widths(choice))
        return two_four.sparse(narrow, [name for name in network.weighted if choice.get(_sparse(name))])

    def network_of(self, cut: Sequential) -> Any:
        return cut

    def lowered(self, cut: Sequential | None, layer: str, choice: Choice) -> Sequential:
        """Return the network with one more matrix at its width, or at 2:4, shortly tuned."""
        return self._tuned(self._cut_further(self.task.network if cut is None else cut, choice), 1, N_SHORT)

    def finished(self, choice: Choice, budget: float, start: Sequential | None = None) -> Sequential:
        """Return the network at a choice, tuned at length."""
        cut = self.start(choice) if start is None else self._cut_further(start, choice)
        return self._tuned(cut, self.epochs, None)

    def _cut_further(self, network: Sequential, choice: Choice) -> Sequential:
        first = self.task.first(N_SHORT)
        return self._cut(network, importance(network, first.inputs, first.labels), choice)

    def _tuned(self, network: Sequential, epochs: int, n: int | None) -> Sequential:
        is_changed = self.recalibrates or (epochs and self.can_tune)
        return self.fit(network, epochs=epochs, n=n).apply() if is_changed else network

    def layer_costs(self, cut: Sequential) -> dict[str, float]:
        shapes = {
            name: self.shape(*module.matrix.shape, self._positions[name]) for name, module in cut.weighted.items()
        }
        dense, sparse = self.costs_of(shapes.values()), self.patterns_of(cut)
        if sparse:
            of_sparse = self.costs_of([shapes[name] for name in sparse], self._sparse_design)
        return {name: of_sparse[shape] if name in sparse else dense[shape] for name, shape in shapes.items()}

    def patterns_of(self, cut: Sequential) -> dict[str, str]:
        return {} if self.turned == "width" else dict.fromkeys(two_four.are_sparse(cut), PATTERN)

    def workloads(self, cut: Sequential) -> list[Workload]:
        return subject(cut).workloads(self.task.inputs[: self.batch], self.batch, self.task.provenance)

    def levels_of(self, cut: Sequential) -> dict[str, float]:
        return {name: len(module.weights) for name, module in cut.weighted.items()}

    @property
    def notes(self) -> list[str]:
        if self.turned == PATTERN:
            return []
        return [f"turned together: {', '.join(names)}" for names in self._channels.writers.values() if len(names) > 1]


def _sparse(name: str) -> str:
    """Return what the knob is called that has a matrix at 2:4 or not."""
    return f"{name} {PATTERN}"


def widths(n_outputs: int) -> tuple[int, ...]:
    """Return N_WIDTHS widths from all outputs down, whole numbers."""
    step = n_outputs / N_WIDTHS
    return tuple(sorted({max(1, math.ceil(step * part)) for part in range(1, N_WIDTHS + 1)}, reverse=True))


def _narrowed(network: Sequential, scores: Mapping[str, np.ndarray], widths: dict[str, int]) -> Sequential:
    """Return the network with the outputs that score highest."""
    outputs = {
        name: np.sort(np.argsort(-scores[name], kind="stable")[:width])
        for name, width in widths.items()
        if width < len(network.weighted[name].weights)
    }
    return narrowed(network, outputs)
