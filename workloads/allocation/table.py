"""What a network costs and loses at each level of its knobs, densities or widths: what methods choose by."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from workloads.errors import BadInput

Choice = Mapping[str, int]  # {knob: which of its levels}


@dataclass(frozen=True, kw_only=True, eq=False)
class Cost:
    """What a layer costs: f64[levels of each knob that it hangs on], of no knob f64[]."""

    knobs: tuple[str, ...]
    amounts: np.ndarray

    def at(self, choice: Choice) -> float:
        """Return what the layer costs with each knob at a level."""
        return float(self.amounts[tuple(choice[name] for name in self.knobs)])

    def with_fixed(self, choice: Choice) -> Cost:
        """Return what it costs with some knobs at a level, by the others."""
        amounts = self.amounts[tuple(choice.get(name, slice(None)) for name in self.knobs)]
        return Cost(knobs=tuple(name for name in self.knobs if name not in choice), amounts=amounts)


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """levels: {knob: its shares or widths, from the whole down}, in the order in which they are chosen.

    costs: {layer: Cost}, whose sum is the network's: each of its own knob, of the one it reads as well, or of none.
    losses: {knob: f64[levels]}, what is lost there beside the whole, additive. unit: of the costs. Raises BadInput
    where the shapes do not go together.
    """

    levels: Mapping[str, tuple[float, ...]]
    costs: Mapping[str, Cost]
    losses: Mapping[str, np.ndarray]
    unit: str = ""

    def __post_init__(self):
        for name, cost in self.costs.items():
            unknown = [knob for knob in cost.knobs if knob not in self.levels]
            if unknown or len(set(cost.knobs)) < len(cost.knobs):
                raise BadInput(f"costs of layer {name!r} must hang on knobs of the table, each once, got {cost.knobs}")
            _check(f"costs of layer {name!r}", cost.amounts, tuple(len(self.levels[knob]) for knob in cost.knobs))
        for name, levels in self.levels.items():
            _check(f"losses of knob {name!r}", self.losses[name], (len(levels),))

    def cost(self, choice: Choice) -> float:
        """Return what the network costs with each knob at a level."""
        return sum(cost.at(choice) for cost in self.costs.values())

    def loss(self, choice: Choice) -> float:
        """Return what is lost with each knob at a level."""
        return sum(float(losses[choice[name]]) for name, losses in self.losses.items())

    @property
    def whole(self) -> dict[str, int]:
        """The choice of all knobs whole."""
        return dict.fromkeys(self.levels, 0)

    @cached_property
    def least(self) -> dict[str, int]:
        """The choice that costs least, of equals the one with the lowest levels; costs need not fall with these."""
        choice: dict[str, int] = {}
        for name in self.levels:
            lowest = self.lowest(choice, name)
            choice[name] = int(np.flatnonzero(lowest == lowest.min())[-1])
        return choice

    def lowest(self, fixed: Choice, name: str) -> np.ndarray:
        """Return f64[levels]: the least that the network can cost with a knob at each of its levels.

        fixed: levels of other knobs, all the rest being free; these are eliminated one by one, first those that fewest
        others go with (Dechter 1999, bucket elimination), so that it is exact.
        """
        costs, free = [cost.with_fixed(fixed) for cost in self.costs.values()], set(self.levels) - {*fixed, name}
        while free:
            sums = {knob: {other for cost in costs if knob in cost.knobs for other in cost.knobs} for knob in free}
            knob = min(sorted(free), key=lambda knob: len(sums[knob]))
            of_knob = _sum(cost for cost in costs if knob in cost.knobs)
            costs = [cost for cost in costs if knob not in cost.knobs]
            if knob in of_knob.knobs:
                places = tuple(other for other in of_knob.knobs if other != knob)
                costs.append(Cost(knobs=places, amounts=of_knob.amounts.min(axis=of_knob.knobs.index(knob))))
            free.remove(knob)
        return np.broadcast_to(_sum(costs).amounts, len(self.levels[name]))

    def check(self, budget: float) -> None:
        """Raise BadInput for a budget that no choice can meet, with the lowest that one can."""
        least = self.cost(self.least)
        if budget < least:
            raise self.refusal(budget, least, "the cheapest choice of all")

    def refusal(self, budget: float, least: float, what: str) -> BadInput:
        """Return what refuses a budget and says the least one, which is what; as a share of the whole rounded up."""
        told, own = (f"{amount:.6g} {self.unit}".strip() for amount in (least, budget))
        share = math.ceil(1e4 * least / whole) / 1e4 if (whole := self.cost(self.whole)) else 1.0
        return BadInput(f"budget must be at least {told}, {what}, got {own}; as a share, {share:g}")


def _sum(costs: Iterable[Cost]) -> Cost:
    """Return what some layers cost together, by all knobs that they hang on."""
    costs = list(costs)
    knobs, total = tuple(dict.fromkeys(knob for cost in costs for knob in cost.knobs)), np.zeros(())
    for cost in costs:
        axes = np.transpose(cost.amounts, [cost.knobs.index(knob) for knob in knobs if knob in cost.knobs])
        total = total + axes[tuple(slice(None) if knob in cost.knobs else None for knob in knobs)]
    return Cost(knobs=knobs, amounts=total)


def _check(what: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if np.shape(array) != shape:
        raise BadInput(f"{what} must be f64{list(shape)}, got {np.shape(array)}")
