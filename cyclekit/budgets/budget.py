"""A budget as text: a share of what the network costs, or an amount of time, cycles or energy."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from cyclekit.machine import Machine
from cyclekit.run import Run
from workloads.errors import BadInput

CYCLES, TIME, ENERGY = "cycles", "us", "uJ"
UNITS = {"cycles": (CYCLES, 1.0), "us": (TIME, 1.0), "ms": (TIME, 1e3), "nJ": (ENERGY, 1e-3), "uJ": (ENERGY, 1.0)}
AMOUNT = re.compile(r"([0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?)\s*([A-Za-z]*)")


@dataclass(frozen=True)
class Budget:
    """amount: in `metric`, one of cycles, us and uJ; or a share of the dense network's, where is_share."""

    amount: float
    metric: str
    is_share: bool

    @classmethod
    def of(cls, text: str | float) -> Budget:
        """Return what a text says: "0.5" or 0.5 (of the time), "123us", "456000cycles", "7uJ". Raises BadInput."""
        text = str(text)
        match = AMOUNT.fullmatch(text.strip())
        amount = float(match[1]) if match else 0.0
        if not match or (match[2] and match[2] not in UNITS) or not 0 < amount < float("inf"):
            units = ", ".join(UNITS)
            raise BadInput(f"budget must be a share up to 1, or a number with one of {units}, got {text!r}")
        if match[2]:
            metric, factor = UNITS[match[2]]
            return cls(amount * factor, metric, False)
        if amount > 1:
            raise BadInput(f"budget without a unit is a share up to 1, got {text!r}: add us, cycles or uJ")
        return cls(amount, TIME, True)

    def absolute(self, dense: float) -> float:
        """Return the amount, of a network that costs `dense` as it is."""
        return self.amount * dense if self.is_share else self.amount


def measure(chosen: Machine, metric: str) -> Callable[[Run], float]:
    """Return what reads the metric off a run. Raises BadInput where the machine has no price for energy."""
    if metric == ENERGY:
        return lambda run: chosen.price(run).total_pj / 1e6
    return (lambda run: float(run.cycles)) if metric == CYCLES else (lambda run: run.time_us)
