"""The knob of a machine that skips zeros: the share of weights that each matrix keeps, by magnitude."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cyclekit.budgets.knob import N_SHORT, Knob
from workloads.allocation.table import Choice, Table
from workloads.recipes.recipe import Fitted, Recipe
from workloads.recipes.repair import Tune
from workloads.recipes.steps import Prune
from workloads.records import Workload

N_LEVELS = 40  # each is 0.87 of the one before
LEAST = 0.005
N_SCORED = 1000  # inputs whose gradients say what a weight is worth
CLOSE = 0.99  # of the budget: as near as the network is brought to it
N_TRIES = 6
FINE = 1.004  # between two scales of which one meets the budget and one does not


@dataclass(frozen=True, kw_only=True)
class Densities(Knob):
    """The share of weights that each matrix keeps, by magnitude; a network of this knob is a Fitted."""

    unit = "density"

    def _table(self) -> Table:
        whole = self._fit({"*": 1.0})
        layers = whole.workloads(self._inputs, self.batch, self.task.provenance)
        shares = tuple(float(share) for share in np.geomspace(1, LEAST, N_LEVELS))
        scores, costs, losses = self._scores(), {}, {}
        for done, layer in enumerate(layers):
            self.progress(f"costs of {layer.name}", done, len(layers))
            order = np.argsort(np.abs(layer.weights), axis=None, kind="stable")
            harm = np.append(0.0, np.cumsum(scores[layer.name].ravel()[order], dtype=np.float64))
            gone = [layer.weights.size - max(1, round(share * layer.weights.size)) for share in shares]
            costs[layer.name] = np.array([[self._cost_without(layer, order[:n]) for n in gone]])
            losses[layer.name] = harm[gone]
        return Table(levels={layer.name: shares for layer in layers}, costs=costs, losses=losses, before={})

    def _cost_without(self, layer: Workload, places: np.ndarray) -> float:
        mask = np.ones(layer.weights.size, np.float32)
        mask[places] = 0
        return self.cost_of([_in_places(layer, mask.reshape(layer.weights.shape))])[layer.name]

    def _scores(self) -> dict[str, np.ndarray]:
        """Return what is lost with a weight: OBD's h w^2 / 2 where there are labels, else its share of outputs."""
        seen = self._fit({"*": 1.0}, n=N_SCORED).state.evidence()
        if self.can_tune:
            return {name: seen.fisher[name] * matrix**2 / 2 for name, matrix in seen.matrices.items()}
        norms = {name: np.linalg.norm(reaching, axis=0) for name, reaching in seen.reaching.items()}
        return {name: (matrix * norms[name][None]) ** 2 for name, matrix in seen.matrices.items()}

    def start(self, choice: Choice) -> Fitted:
        return self._fit(self.densities(choice))

    def densities(self, choice: Choice) -> dict[str, float]:
        """Return the density of each matrix at a choice."""
        return {name: self.table().levels[name][level] for name, level in choice.items()}

    def network_of(self, made: Fitted) -> Any:
        return made.apply()

    def lowered(self, made: Fitted | None, layer: str, choice: Choice) -> Fitted:
        """Return the network with one more matrix at its level, shortly tuned."""
        return self._fit({layer: self.densities(choice)[layer]}, made, targets=(layer,), epochs=1, n=N_SHORT)

    def finished(self, choice: Choice, budget: float, start: Fitted | None = None) -> Fitted:
        """Return the network at a choice, tuned at length, with all densities scaled alike to meet the budget."""
        densities, goal = self.densities(choice), budget
        for _ in range(N_TRIES):
            scale = self._scale(densities, goal, start)
            scaled = {name: min(1.0, scale * density) for name, density in densities.items()}
            made = self._fit(scaled, start, epochs=self.epochs)
            cost = self.cost_of_made(made)
            if CLOSE * budget <= cost <= budget or (min(scaled.values()) == 1 and cost <= budget):
                break
            goal *= 0.996 * budget / cost  # what reaches the layers has changed by tuning
        return made

    def _scale(self, densities: Mapping[str, float], goal: float, start: Fitted | None) -> float:
        """Return the largest scale of the densities at which the network, not tuned, costs no more than the goal."""

        def fits(scale: float) -> bool:
            scaled = {name: min(1.0, scale * density) for name, density in densities.items()}
            return self.cost_of_made(self._fit(scaled, start)) <= goal

        low, high = 1.0, 1 / min(densities.values())  # with the largest all are whole
        if fits(high):
            return high
        while not fits(low):
            low, high = low / 2, low
        while high / low > FINE:
            middle = (low * high) ** 0.5
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low

    def cost_of_made(self, made: Fitted) -> float:
        return sum(self.layer_costs(made).values())

    def layer_costs(self, made: Fitted) -> dict[str, float]:
        layers = made.workloads(self._inputs, self.batch, self.task.provenance)
        return self.cost_of([_in_places(layer, (layer.weights != 0).astype(np.float32)) for layer in layers])

    def workloads(self, made: Fitted) -> list[Workload]:
        return made.workloads(self._inputs, self.batch, self.task.provenance)

    def levels_of(self, made: Fitted) -> dict[str, float]:
        return {name: float(mask.mean()) for name, mask in made.masks.items()}

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
    ) -> Fitted:
        steps: list[Any] = [Prune(density=dict(densities), targets=targets)]
        if epochs and self.can_tune:
            steps.append(Tune(epochs=epochs))
        task = self.task if n is None else self.task.first(n)
        network = task.network if start is None else start.apply()
        return replace(task, network=network).fit(Recipe(steps=tuple(steps), seed=self.seed))


def _in_places(layer: Workload, mask: np.ndarray) -> Workload:
    """Return a layer with ones where a mask keeps weights: as many cycles, and no values to share."""
    bias = None if layer.bias is None else (layer.bias != 0).astype(np.float32)
    return replace(layer, weights=mask, bias=bias, codes=None, codebook=None)
