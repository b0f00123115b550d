"""What each layer costs at each of its levels, a density or a width, and what is lost there: what methods choose by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workloads.errors import BadInput

Choice = Mapping[str, int]  # {layer: which of its levels}


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """levels: {layer: its shares or widths, from the whole down}, in the order in which the layers run.

    costs: {layer: f64[levels of the layer before, its own]}, or f64[1, its own] where `before` names none. losses:
    {layer: f64[levels]}, what is lost there beside the whole, additive. fixed: the cost of all that no level changes.
    Raises BadInput where the shapes do not go together.
    """

    levels: Mapping[str, tuple[float, ...]]
    costs: Mapping[str, np.ndarray]
    losses: Mapping[str, np.ndarray]
    before: Mapping[str, str]
    fixed: float = 0.0

    def __post_init__(self):
        for name, levels in self.levels.items():
            n_before = len(self.levels[self.before[name]]) if name in self.before else 1
            for what, array, shape in (
                ("costs", self.costs[name], (n_before, len(levels))),
                ("losses", self.losses[name], (len(levels),)),
            ):
                if np.shape(array) != shape:
                    raise BadInput(f"{what} of layer {name!r} must be f64{list(shape)}, got {np.shape(array)}")

    def cost(self, choice: Choice) -> float:
        """Return what the network costs with each layer at a level."""
        return self.fixed + sum(
            float(costs[choice[self.before[name]] if name in self.before else 0, choice[name]])
            for name, costs in self.costs.items()
        )

    def loss(self, choice: Choice) -> float:
        """Return what is lost with each layer at a level."""
        return sum(float(losses[choice[name]]) for name, losses in self.losses.items())

    @property
    def whole(self) -> dict[str, int]:
        """The choice of all layers whole."""
        return dict.fromkeys(self.levels, 0)

    @property
    def least(self) -> dict[str, int]:
        """The choice of all layers at their lowest."""
        return {name: len(levels) - 1 for name, levels in self.levels.items()}

    def check(self, budget: float) -> None:
        """Raise BadInput for a budget that no choice can meet, with the lowest that one can."""
        least = self.cost(self.least)
        if budget < least:
            raise BadInput(
                f"budget must be at least {least:.6g}, which all layers at their lowest take, got {budget:.6g}"
            )
