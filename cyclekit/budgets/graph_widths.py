"""The knob of an ONNX graph on a machine that multiplies whole matrices: how many channels each coupled group keeps."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from operator import mul
from typing import Any

import numpy as np

from cyclekit.budgets.knob import Knob
from cyclekit.budgets.widths import N_WIDTHS
from workloads.allocation.coupling import Coupling, coupled
from workloads.allocation.reconstructed import reconstructed
from workloads.allocation.smaller import smaller
from workloads.allocation.table import Choice, Cost, Table
from workloads.errors import BadInput
from workloads.graphs.feed import Feed
from workloads.graphs.graph import Graph, as_model
from workloads.records import Shape, Workload


@dataclass(frozen=True, kw_only=True)
class GraphWidths(Knob):
    """How many channels each group of coupled ones keeps; a network of this knob is a smaller Graph."""

    unit = "width"

    def __post_init__(self):
        if len(self.task.network.layers) < len(self.task.graph.products):
            raise BadInput(f"network {self.task.name!r} must be the whole graph: its widths hang together")
        if not self._coupling.knobs:
            raise BadInput(f"network {self.task.name!r} has no width that can change: {'; '.join(self._stay())}")

    @cached_property
    def _coupling(self) -> Coupling:
        return coupled(self.task.graph)

    @cached_property
    def _layers(self) -> dict[str, Workload]:
        return {layer.name: layer for layer in self.task.network.layers}

    @cached_property
    def _importance(self) -> np.ndarray:
        """f64[units]: a unit's share of the energy that reaches each of its readers' outputs, on the inputs, summed.

        Of a column that is its mean square times that of its weights: what the outputs lose without it.
        """
        worth = np.zeros(self._coupling.n)
        for name, ends in self._coupling.ends.items():
            layer = self._layers[name]
            if layer.groups == 1:  # else it carries its channels on, each to its own
                columns = (layer.activations**2).mean(axis=0, dtype=np.float64) * (layer.weights**2).sum(axis=0)
                np.add.at(worth, ends.reads, columns.reshape(len(ends.reads), -1).sum(axis=1) / (columns.sum() or 1))
        return worth

    @cached_property
    def _counts(self) -> dict[str, list[tuple[int, ...]]]:
        """{knob: how many units of each of its groups stay at each level}."""
        parts = range(N_WIDTHS, 0, -1)
        return {
            name: list(dict.fromkeys(tuple(-(-len(units) * part // N_WIDTHS) for units in groups) for part in parts))
            for name, groups in self._coupling.knobs.items()
        }

    def _table(self) -> Table:
        knobs, shapes = {}, {}
        for name, layer in self._layers.items():
            whole = (layer.n_out, layer.n_in, layer.groups)
            knobs[name], sizes = self._sizes(name) if name in self._coupling.ends else ((), {(): whole})
            shapes[name] = {places: self._shape(name, *of_matrix) for places, of_matrix in sizes.items()}
        known, costs = self.costs_of(shape for of_layer in shapes.values() for shape in of_layer.values()), {}
        for name, of_layer in shapes.items():
            amounts = np.zeros([len(self._counts[knob]) for knob in knobs[name]])
            for places, shape in of_layer.items():
                amounts[places] = known[shape]
            costs[name] = Cost(knobs=knobs[name], amounts=amounts)
        levels = {name: tuple(map(sum, counts)) for name, counts in self._counts.items()}
        losses = {name: np.array([self._lost(name, n) for n in counts]) for name, counts in self._counts.items()}
        return Table(levels=levels, costs=costs, losses=losses, unit=self.metric)

    def _sizes(self, name: str) -> tuple[tuple[str, ...], dict[tuple[int, ...], tuple[int, int, int]]]:
        """Return the knobs that a layer's cost hangs on, and {their levels: its outputs, inputs and groups}."""
        ends = self._coupling.ends[name]
        (reads, n_reads), (writes, n_writes) = self._channels(ends.reads), self._channels(ends.writes)
        knobs = tuple(dict.fromkeys(knob for knob in (reads, writes) if knob))
        sizes = {}
        for places in itertools.product(*(range(len(self._counts[knob])) for knob in knobs)):
            at = dict(zip(knobs, places, strict=True))
            sizes[places] = ends.sizes(n_reads[at.get(reads, 0)], n_writes[at.get(writes, 0)])
        return knobs, sizes

    def _channels(self, units: np.ndarray) -> tuple[str, list[int]]:
        """Return the knob that turns an end of a layer, "" for none, and how many channels there are at each level."""
        for name, groups in self._coupling.knobs.items():
            each = [int(np.isin(units, group).sum()) // len(group) for group in groups]
            if any(each):
                n_fixed = len(units) - sum(n * len(group) for n, group in zip(each, groups, strict=True))
                return name, [n_fixed + sum(map(mul, each, counts)) for counts in self._counts[name]]
        return "", [len(units)]

    def _shape(self, name: str, n_out: int, n_in: int, groups: int) -> Shape:
        return self.shape(n_out, n_in, self._layers[name].positions, groups)

    def _lost(self, name: str, counts: tuple[int, ...]) -> float:
        pairs = zip(self._coupling.knobs[name], counts, strict=True)
        return sum(float(np.sort(self._importance[units])[: len(units) - n].sum()) for units, n in pairs)

    def _stays(self, choice: Choice) -> np.ndarray:
        stays = np.ones(self._coupling.n, bool)
        for name, level in choice.items():
            for units, n in zip(self._coupling.knobs[name], self._counts[name][level], strict=True):
                stays[units[np.argsort(-self._importance[units], kind="stable")[n:]]] = False
        return stays

    def uncut(self) -> Graph:
        return smaller(self._coupling, np.ones(self._coupling.n, bool))

    def start(self, choice: Choice) -> Graph:
        return smaller(self._coupling, self._stays(choice))

    def network_of(self, cut: Graph) -> Graph:
        return cut

    def lowered(self, cut: Graph | None, layer: str, choice: Choice) -> Graph:
        """Return the graph at the choice."""
        return self.start(choice)

    def finished(self, choice: Choice, budget: float, start: Graph | None = None) -> Graph:
        """Return the graph at the choice, what reads fewer channels solved anew."""
        small = self.start(choice)
        return reconstructed(self._coupling, small, self._stays(choice)) if self.can_tune else small

    @property
    def can_tune(self) -> bool:
        """Whether weights are solved anew."""
        return self.epochs > 0

    def quality(self, network: Graph) -> float:
        return self.task.graph_quality(network.model)

    def check_judged(self) -> None:
        """Raise BadInput where statistics would be re-estimated: here they are part of the products before them."""
        if self.recalibrates:
            raise BadInput(
                f"method must be another than eagleeye for the graph {self.task.name}, which has no statistics"
            )

    @property
    def n_judged(self) -> int:
        return self.task.graph.n_inputs

    @property
    def judged(self) -> list[np.ndarray | None]:
        return [*(array for part in self.task.graph.parts for array in part.values()), self.task.graph.labels]

    def value_of(self, network: Graph) -> float:
        """Return the accuracy of a smaller graph, or where there are no labels minus its relative error."""
        return self.quality(network) if self.task.measure == "accuracy" else -self.quality(network)

    def layer_costs(self, cut: Graph) -> dict[str, float]:
        shapes = {
            product.name: self._shape(product.name, len(product.weights), product.n_in, product.groups)
            for product in cut.products
        }
        known = self.costs_of(shapes.values())
        return {name: known[shape] for name, shape in shapes.items()}

    def as_onnx(self, cut: Graph) -> Any:
        return cut.model

    def workloads(self, cut: Graph) -> list[Workload]:
        return [layer.first(self.batch) for layer in as_model(cut, Feed()).layers]

    def levels_of(self, cut: Graph) -> dict[str, float]:
        return {product.name: len(product.weights) for product in cut.products}

    @property
    def notes(self) -> list[str]:
        turned: dict[str, list[str]] = {}
        for name, ends in self._coupling.ends.items():
            turned.setdefault(self._channels(ends.writes)[0], []).append(name)
        alike = [f"turned together: {', '.join(names)}" for knob, names in turned.items() if knob and len(names) > 1]
        return [*self._solved(), *alike, *self._stay()]

    def _stay(self) -> list[str]:
        return [f"{name} keeps its width: {why}" for name, why in self._coupling.kept.items()]

    def _solved(self) -> list[str]:
        if not self.can_tune:
            return []
        few = [
            name
            for name, ends in self._coupling.ends.items()
            if self._channels(ends.reads)[0] and len(self._layers[name].activations) < ends.product.n_in
            if ends.product.groups == 1
        ]
        said = "what reads fewer channels was solved anew by least squares on the inputs given"
        return [said, *([f"so few inputs say little of {', '.join(few)}: fewer rows than columns"] if few else [])]
