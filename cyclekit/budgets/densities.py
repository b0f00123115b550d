"""The knob of a machine that skips zeros: the share of weights that each matrix keeps, by magnitude."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from cyclekit.budgets.knob import N_SHORT, Knob
from cyclekit.run import identity
from cyclekit.sweep.tasks import Work
from workloads.allocation.table import Choice, Cost, Table
from workloads.errors import BadInput
from workloads.graphs.lowering import block_diagonal
from workloads.pruning.scores import wanda
from workloads.recipes.recipe import Fitted
from workloads.recipes.steps import Prune
from workloads.recipes.subjects import subject
from workloads.records import Workload

N_LEVELS = 40  # each is 0.87 of the one before
LEAST = 0.005
MANNER = "ones in the places of the largest weights that are not 0"  # part of the identity of a layer at a density
N_SCORED = 1000  # inputs whose gradients say what a weight is worth
CLOSE = 0.99  # of the budget: as near as the network is brought to it
AIM = 0.996  # of the budget: what a try goes for
N_TRIES = 10
LEAST_SLOPE = 0.1  # of the logarithm of a cost by that of a scale: below, broadcasts are all that is left of it


@dataclass(frozen=True, kw_only=True)
class Densities(Knob):
    """The share of weights that each matrix keeps, by magnitude; a network of this knob is a Fitted."""

    unit = "density"

    def _table(self) -> Table:
        whole = self.uncut()
        layers = whole.workloads(self._inputs, self.batch, self.task.provenance)
        shares = tuple(float(share) for share in np.geomspace(1, LEAST, N_LEVELS))
        scores, works, losses = self._scores(), {}, {}
        for layer in layers:
            order = np.argsort(np.abs(layer.blocks), axis=None, kind="stable")
            harm = np.append(0.0, np.cumsum(scores[layer.name].ravel()[order], dtype=np.float64))
            n_kept = [max(1, round(share * len(order))) for share in shares]
            works[layer.name] = list(self._works(layer, shares, n_kept))
            losses[layer.name] = harm[[len(order) - n for n in n_kept]]
        known, costs = self.costs.of(work for of_layer in works.values() for work in of_layer), {}
        for name, of_layer in works.items():
            costs[name] = Cost(knobs=(name,), amounts=np.array([known[work.name] for work in of_layer]))
        return Table(levels=dict.fromkeys(works, shares), costs=costs, losses=losses, unit=self.metric)

    def _works(self, layer: Workload, shares: Iterable[float], n_kept: Iterable[int]) -> Iterator[Work]:
        """Yield a layer at each of its densities; one's identity is that of the layer whole and of what is kept."""
        whole = self.costs.work(layer, layer.name)
        for share, n in zip(shares, n_kept, strict=True):
            name = f"{self.task.name}/{layer.name} (density {share:.4g})"
            content, digest = (identity(digest, MANNER, n) for digest in (whole.content, whole.digest))
            yield replace(whole, name=name, content=content, layers=Kept(replace(layer, name=name), n), digest=digest)

    def _scores(self) -> dict[str, np.ndarray]:
        """Return what is lost with a weight: OBD's h w^2 / 2 where there are labels, else its share of outputs."""
        seen = self._fit({"*": 1.0}, n=N_SCORED).state.evidence()
        if self.can_tune:
            return {name: seen.fisher[name] * matrix**2 / 2 for name, matrix in seen.matrices.items()}
        return {name: np.concatenate([wanda(*part) for part in seen.parts(name)]) ** 2 for name in seen.matrices}

    def uncut(self) -> Fitted:
        return self._fit({"*": 1.0})

    def start(self, choice: Choice) -> Fitted:
        return self._fit(self.densities(choice), **self.others)

    def densities(self, choice: Choice) -> dict[str, float]:
        """Return the density of each matrix at a choice."""
        return {name: self.table().levels[name][level] for name, level in choice.items()}

    def network_of(self, cut: Fitted) -> Any:
        return cut.apply()

    def lowered(self, cut: Fitted | None, layer: str, choice: Choice) -> Fitted:
        """Return the network with one more matrix at its level, shortly tuned."""
        return self._fit({layer: self.densities(choice)[layer]}, cut, targets=(layer,), epochs=1, n=N_SHORT)

    def finished(self, choice: Choice, budget: float, start: Fitted | None = None) -> Fitted:
        """Return the network at a choice, tuned at length, its densities scaled alike to cost CLOSE to all of a budget.

        Tuning changes what reaches the layers, and with it the cost, so that each try is tuned. Raises BadInput where
        none of N_TRIES is within the budget.
        """
        densities, scale, tried = self.densities(choice), 1.0, []
        for _ in range(N_TRIES):
            scaled = {name: min(1.0, max(LEAST, scale * density)) for name, density in densities.items()}
            cut = self._fit(scaled, start, epochs=self.epochs)
            tried.append((scale, self.cost_of_network(cut), cut))
            if CLOSE * budget <= tried[-1][1] <= budget or (min(scaled.values()) == 1 and tried[-1][1] <= budget):
                break
            scale = _next(sorted(tried, key=lambda of_try: of_try[0]), AIM * budget)
        within = [of_try for of_try in tried if of_try[1] <= budget]
        if not within:
            least = min(cost for _, cost, _ in tried)
            raise BadInput(f"budget must be at least {least:.6g}, the least that was reached, got {budget:.6g}")
        return max(within, key=lambda of_try: of_try[1])[2]

    def layer_costs(self, cut: Fitted) -> dict[str, float]:
        names = {
            name: f"{self.task.name}/{name} (tuned, density {level:.4g})" for name, level in self.levels_of(cut).items()
        }
        layers = (_in_places(layer, layer.blocks != 0) for layer in self.workloads(cut))
        costs = self.costs.of(self.costs.work(layer, names[layer.name]) for layer in layers)
        return {name: costs[told] for name, told in names.items()}

    def workloads(self, cut: Fitted) -> list[Workload]:
        return cut.workloads(self._inputs, self.batch, self.task.provenance)

    def levels_of(self, cut: Fitted) -> dict[str, float]:
        return {name: float(mask.mean()) for name, mask in cut.masks.items()}

    @property
    def _inputs(self) -> Any:
        return None if self.task.inputs is None else self.task.inputs[: self.batch]

    def _fit(
        self,
        densities: Mapping[str, float],
        start: Fitted | None = None,
        *,
        targets: tuple[str, ...] = ("*",),
        epochs: int = 0,
        n: int | None = None,
        after: int = 0,
    ) -> Fitted:
        network = self.task.network if start is None else start.apply()
        densities = {name: max(density, self._of_one_weight.get(name, 0.0)) for name, density in densities.items()}
        return self.fit(network, [Prune(density=densities, targets=targets)], epochs=epochs, n=n, after=after)

    @cached_property
    def _of_one_weight(self) -> dict[str, float]:
        return {name: 1 / matrix.size for name, matrix in subject(self.task.network).matrices.items()}


def _next(tried: list[tuple[float, float, Any]], goal: float) -> float:
    """Return the scale to try next: between the two whose costs are about the goal, or beyond the last of them."""
    points = [(math.log(scale), math.log(cost)) for scale, cost, _ in tried]
    below = [point for point in points if point[1] <= math.log(goal)]
    above = [point for point in points if point[1] > math.log(goal)]
    if below and above:
        (low, low_cost), (high, high_cost) = max(below), min(above)
        share = (math.log(goal) - low_cost) / (high_cost - low_cost)
        return math.exp(low + (high - low) * min(max(share, 0.1), 0.9))
    ends = points[:2] if above else points[-2:]
    slope = (ends[1][1] - ends[0][1]) / (ends[1][0] - ends[0][0]) if len(ends) > 1 else 0.7
    scale, cost = ends[0] if above else ends[-1]
    return math.exp(scale + (math.log(goal) - cost) / min(max(slope, LEAST_SLOPE), 1.0))


@dataclass(frozen=True, eq=False)
class Kept(Sequence):
    """One layer of which only the places of its n largest weights are left, made whenever it is looked at.

    So all levels of a layer take no memory.
    """

    layer: Workload
    n: int

    def __len__(self) -> int:
        return 1

    def __getitem__(self, place: int) -> Workload:
        range(1)[place]  # IndexError behind the end
        blocks = np.abs(self.layer.blocks)
        sizes, n_gone = blocks.ravel(), blocks.size - self.n
        if not n_gone:
            return _in_places(self.layer, blocks > 0)
        mask = sizes > (largest := np.partition(sizes, n_gone - 1)[n_gone - 1])
        equal = np.flatnonzero(sizes == largest)  # of which the first go, as in a stable order
        mask[equal[len(equal) - (self.n - np.count_nonzero(mask)) :]] = True
        return _in_places(self.layer, mask.reshape(blocks.shape) & (blocks > 0))


def _in_places(layer: Workload, mask: np.ndarray) -> Workload:
    """Return a layer with ones where a mask of its blocks keeps weights: as many cycles, and no values to share."""
    weights = block_diagonal(mask.astype(np.float32), layer.groups)
    bias = None if layer.bias is None else (layer.bias != 0).astype(np.float32)
    return replace(layer, weights=weights, bias=bias, codes=None, codebook=None)
