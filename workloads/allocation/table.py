"""What a network costs and loses at each level of its knobs, densities or widths: what methods choose by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True, kw_only=True, eq=False)
class Table:
    """levels: {knob: its shares or widths, from the whole down}, in the order in which they are chosen.

    costs: {layer: Cost}, whose sum is the network's: each of its own knob, of the one it reads as well, or of none.
    losses: {knob: f64[levels]}, what is lost there beside the whole, additive. Raises BadInput where the shapes do not
    go together.
    """

    levels: Mapping[str, tuple[float, ...]]
    costs: Mapping[str, Cost]
    losses: Mapping[str, np.ndarray]

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

    @property
    def least(self) -> dict[str, int]:
        """The choice of all knobs at their lowest."""
        return {name: len(levels) - 1 for name, levels in self.levels.items()}

    def check(self, budget: float) -> None:
        """Raise BadInput for a budget that no choice can meet, with the lowest that one can."""
        least = self.cost(self.least)
        if budget < least:
            raise BadInput(
                f"budget must be at least {least:.6g}, which all layers at their lowest take, got {budget:.6g}"
            )


def _check(what: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    if np.shape(array) != shape:
        raise BadInput(f"{what} must be f64{list(shape)}, got {np.shape(array)}")
