"""The knob of a machine that multiplies whole matrices: how many outputs each keeps, by first-order importance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cyclekit.budgets.knob import N_SHORT, Knob
from workloads.allocation.narrow import importance, narrowable, narrowed
from workloads.allocation.table import Choice, Cost, Table
from workloads.errors import BadInput
from workloads.networks.sequential import Sequential
from workloads.recipes.subjects import subject
from workloads.records import Shape, Workload

N_WIDTHS = 16  # of a matrix, evenly from all outputs down to one of so many parts


@dataclass(frozen=True, kw_only=True)
class Widths(Knob):
    """How many outputs each matrix keeps; a network of this knob is a smaller Sequential."""

    unit = "width"

    def __post_init__(self):
        if not isinstance(self.task.network, Sequential) or self.task.labels is None:
            raise BadInput(
                f"network {self.task.name!r} must be modules in a row with labels: "
                "only of these is known which widths go together"
            )

    @cached_property
    def _importance(self) -> dict[str, np.ndarray]:
        return importance(self.task.network, self.task.inputs, self.task.labels)

    def _table(self) -> Table:
        weighted, known = self.task.network.weighted, {}
        levels = {name: widths(len(weighted[name].weights)) for name in narrowable(self.task.network)}
        losses = {name: np.array([self._lost(name, width) for width in own]) for name, own in levels.items()}
        costs, before = {}, None
        for done, (name, module) in enumerate(weighted.items()):
            self.progress(f"costs of {name}", done, len(weighted))
            knobs = tuple(knob for knob in (before, name) if knob in levels)
            ins, outs = levels.get(before, (module.weights.shape[1],)), levels.get(name, (len(module.weights),))
            each = module.matrix.shape[1] // ins[0]
            pairs = [[self._cost_of_shape(known, name, n_out, n_in * each) for n_out in outs] for n_in in ins]
            shape = tuple(len(levels[knob]) for knob in knobs)
            costs[name], before = Cost(knobs=knobs, amounts=np.reshape(pairs, shape)), name
        return Table(levels=levels, costs=costs, losses=losses)

    def _cost_of_shape(self, known: dict, name: str, n_out: int, n_in: int) -> float:
        key = n_out, n_in, self._positions[name]
        if key not in known:
            shape = Shape(name=name, n_out=n_out, n_in=n_in, batch=self.batch, positions=self._positions[name])
            known[key] = self.cost_of([shape])[name]
        return known[key]

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: len(rows) for name, rows in self.task.network.inputs(self.task.inputs[:1]).items()}

    def _lost(self, name: str, width: int) -> float:
        return float(np.sort(self._importance[name])[: len(self._importance[name]) - width].sum())

    def widths(self, choice: Choice) -> dict[str, int]:
        """Return the outputs of each matrix that may be narrower, at a choice."""
        return {name: int(self.table().levels[name][level]) for name, level in choice.items()}

    def uncut(self) -> Sequential:
        return self.task.network

    def start(self, choice: Choice) -> Sequential:
        network = _narrowed(self.task.network, self._importance, self.widths(choice))
        return self.fit(network, **self.others).apply() if self.recalibrates else network

    def network_of(self, cut: Sequential) -> Any:
        return cut

    def lowered(self, cut: Sequential | None, layer: str, choice: Choice) -> Sequential:
        """Return the network with one more matrix at its width, shortly tuned."""
        network = self.task.network if cut is None else cut
        first = self.task.first(N_SHORT)
        scores = importance(network, first.inputs, first.labels)
        network = _narrowed(network, scores, {layer: self.widths(choice)[layer]})
        return self._tuned(network, 1, N_SHORT)

    def finished(self, choice: Choice, budget: float, start: Sequential | None = None) -> Sequential:
        """Return the network at a choice, tuned at length."""
        if start is None:
            return self._tuned(self.start(choice), self.epochs, None)
        first = self.task.first(N_SHORT)
        scores = importance(start, first.inputs, first.labels)
        return self._tuned(_narrowed(start, scores, self.widths(choice)), self.epochs, None)

    def _tuned(self, network: Sequential, epochs: int, n: int | None) -> Sequential:
        is_changed = self.recalibrates or (epochs and self.can_tune)
        return self.fit(network, epochs=epochs, n=n).apply() if is_changed else network

    def layer_costs(self, cut: Sequential) -> dict[str, float]:
        return {
            name: self._cost_of_shape({}, name, len(module.weights), module.matrix.shape[1])
            for name, module in cut.weighted.items()
        }

    def workloads(self, cut: Sequential) -> list[Workload]:
        return subject(cut).workloads(self.task.inputs[: self.batch], self.batch, self.task.provenance)

    def levels_of(self, cut: Sequential) -> dict[str, float]:
        return {name: len(module.weights) for name, module in cut.weighted.items()}


def widths(n_outputs: int) -> tuple[int, ...]:
    """Return N_WIDTHS widths from all outputs down, whole numbers."""
    step = n_outputs / N_WIDTHS
    return tuple(sorted({max(1, math.ceil(step * part)) for part in range(1, N_WIDTHS + 1)}, reverse=True))


def _narrowed(network: Sequential, scores: dict[str, np.ndarray], widths: dict[str, int]) -> Sequential:
    """Return the network with the outputs that score highest."""
    outputs = {
        name: np.sort(np.argsort(-scores[name], kind="stable")[:width])
        for name, width in widths.items()
        if width < len(network.weighted[name].weights)
    }
    return narrowed(network, outputs)
