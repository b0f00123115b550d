"""Where every cycle of every unit went, and how often each action was done: counts whose sums must come out."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from enum import IntEnum

import numpy as np


@dataclass(frozen=True, eq=False)
class Ledger:
    """The books of one run.

    cycles: length of the run. states: unit kind -> (its State enum, i64[units, states] cycles spent in each);
    actions: action -> count. Raises ValueError where a unit's cycles do not sum to the run's, or a count is negative.
    """

    cycles: int
    states: Mapping[str, tuple[type[IntEnum], np.ndarray]]
    actions: Mapping[str, int]

    def __post_init__(self):
        for kind, (names, spent) in self.states.items():
            if spent.shape[1] != len(names) or (spent < 0).any() or (spent.sum(axis=1) != self.cycles).any():
                raise ValueError(f"the states of {kind} must sum to {self.cycles} cycles for every unit")
        if negative := [action for action, count in self.actions.items() if count < 0]:
            raise ValueError(f"the counts of {negative} must not be negative")

    def totals(self) -> dict[str, dict[str, int]]:
        """Return {unit kind: {state: cycles}}, summed over the units of a kind."""
        sums = {kind: (names, spent.sum(axis=0).tolist()) for kind, (names, spent) in self.states.items()}
        return {kind: {state.name.lower(): spent[state] for state in names} for kind, (names, spent) in sums.items()}

    def copy(self) -> Ledger:
        """Return the same books in arrays of their own."""
        same = copy(self)  # what was checked need not be checked again
        states = {kind: (names, spent.copy()) for kind, (names, spent) in self.states.items()}
        object.__setattr__(same, "states", states)
        object.__setattr__(same, "actions", dict(self.actions))
        return same
