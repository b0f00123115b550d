"""The knob of a machine that multiplies whole matrices: how many outputs each keeps, by first-order importance."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cyclekit.budgets.knob import N_SHORT, Knob
from workloads.allocation.narrow import importance, narrowable, narrowed
from workloads.allocation.table import Choice, Cost, Table
from workloads.errors import BadInput
from workloads.networks import train
from workloads.networks.sequential import Sequential
from workloads.recipes.repair import Tune
from workloads.recipes.subjects import subject
from workloads.records import Shape, Workload

N_WIDTHS = 16  # of a matrix, evenly from all outputs down to one of so many parts
TUNING = Tune()


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
        weighted = self.task.network.weighted
        levels = {name: widths(len(weighted[name].weights)) for name in narrowable(self.task.network)}
        losses = {name: np.array([self._lost(name, width) for width in own]) for name, own in levels.items()}
        knobs, shapes, before = {}, {}, None
        for name, module in weighted.items():
            knobs[name] = tuple(knob for knob in (before, name) if knob in levels)
            ins, outs = levels.get(before, (module.weights.shape[1],)), levels.get(name, (len(module.weights),))
            each, before = module.matrix.shape[1] // ins[0], name
            shapes[name] = [self._shape(name, n_out, n_in * each) for n_in in ins for n_out in outs]
        known, costs = self._costs_of(shape for of_layer in shapes.values() for shape in of_layer), {}
        for name, of_layer in shapes.items():
            sizes = tuple(len(levels[knob]) for knob in knobs[name])
            amounts = np.reshape([known[shape] for shape in of_layer], sizes)
            costs[name] = Cost(knobs=knobs[name], amounts=amounts)
        return Table(levels=levels, costs=costs, losses=losses)

    def _shape(self, name: str, n_out: int, n_in: int) -> Shape:
        """Return a layer's product, its positions side by side; of the name by which `zeroskip sweep` knows it."""
        n = self.batch * self._positions[name]
        return Shape(name=f"{n_out}x{n}x{n_in}", n_out=n_out, n_in=n_in, batch=n)

    def _costs_of(self, shapes: Iterable[Shape]) -> dict[Shape, float]:
        """Return {shape: cost}; equal ones are simulated once."""
        shapes = list(dict.fromkeys(shapes))
        costs = self.costs.of(self.costs.work(shape, shape.name) for shape in shapes)
        return {shape: costs[shape.name] for shape in shapes}

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: len(rows) for name, rows in self.task.network.inputs(self.task.inputs[:1]).items()}

    def _lost(self, name: str, width: int) -> float:
        return float(np.sort(self._importance[name])[: len(self._importance[name]) - width].sum())

    def widths(self, choice: Choice) -> dict[str, int]:
        """Return the outputs of each matrix that may be narrower, at a choice."""
        return {name: int(self.table().levels[name][level]) for name, level in choice.items()}

    def start(self, choice: Choice) -> Sequential:
        return _narrowed(self.task.network, self._importance, self.widths(choice))

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
        if not epochs:
            return network
        recipe = train.Recipe(n_epochs=epochs, learning_rate=TUNING.learning_rate, batch=TUNING.batch, seed=self.seed)
        return train.fit(network, self.task.inputs[:n], self.task.labels[:n], recipe)

    def layer_costs(self, cut: Sequential) -> dict[str, float]:
        shapes = {name: self._shape(name, *module.matrix.shape) for name, module in cut.weighted.items()}
        costs = self._costs_of(shapes.values())
        return {name: costs[shape] for name, shape in shapes.items()}

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
