"""What a search judges designs by: the quantities, bounds on them, and what they are over several workloads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan

from cyclekit.energy import edp_nj_us, power_mw
from cyclekit.machine import Machine
from cyclekit.sweep.results import Result
from workloads.errors import BadInput, did_you_mean

QUANTITIES = {  # what a design is judged by -> whether it takes a table of prices
    "cycles": False,
    "time_us": False,
    "energy_pj": True,
    "power_mw": True,
    "edp_nj_us": True,
    "area_mm2": True,
    "load_balance": False,
}
OBJECTIVES = tuple(name for name in QUANTITIES if name != "load_balance")  # of which less is better
ROUNDING = 1e-9  # of a quantity, relative: a design at its bound must not miss it by the order of a sum


@dataclass(frozen=True)
class Constraint:
    """A bound on a quantity: "area_mm2<=40" or "load_balance>=0.8"."""

    name: str
    sign: str
    bound: float

    @classmethod
    def of(cls, text: str) -> Constraint:
        """Return the constraint that a text stands for; raises BadInput."""
        match = re.fullmatch(r"\s*(\w+)\s*(<=|>=)\s*(\S+)\s*", text)
        if not match:
            raise BadInput(f"--where must look like area_mm2<=40 or load_balance>=0.8, got {text!r}")
        name, sign, number = match.groups()
        if name not in QUANTITIES:
            raise BadInput(f"--where knows no {name!r}{did_you_mean(name, QUANTITIES)}")
        try:
            bound = float(number)
        except ValueError:
            bound = nan
        if not isfinite(bound):
            raise BadInput(f"--where must bound {name} by a number, got {text!r}")
        if name == "load_balance" and not 0 <= bound <= 1:
            raise BadInput(f"--where must bound load_balance by a share from 0 to 1, got {text!r}")
        return cls(name, sign, bound)

    def __str__(self) -> str:
        return f"{self.name}{self.sign}{self.bound:g}"

    def excess(self, values: Mapping[str, float]) -> float:
        """Return by what share of the bound it is missed; 0 where it is met."""
        over = values[self.name] - self.bound if self.sign == "<=" else self.bound - values[self.name]
        share = over / (abs(self.bound) or 1.0)
        return share if share > ROUNDING else 0.0


def check_objectives(names: Sequence[str]) -> None:
    """Raise BadInput unless there are names, each an objective's."""
    if not names:
        raise BadInput("a search needs at least one objective to minimise, got none")
    for name in names:
        if name not in OBJECTIVES:
            raise BadInput(f"--minimise knows no {name!r}{did_you_mean(name, OBJECTIVES)}")


def check_table(machine: Machine, priced: Sequence[str], table: str | None) -> None:
    """Raise BadInput where a machine has no such table of prices (None: its default), or lacks one that `priced` takes.

    priced: those quantities to minimise or to bound that take a price.
    """
    if table is not None and table not in machine.prices:
        raise BadInput(f"unknown prices {table!r} of {machine.name}{did_you_mean(table, machine.prices)}")
    if not priced:
        return
    unpriced = ",".join(name for name in OBJECTIVES if not QUANTITIES[name])
    if machine.energy is None:
        raise BadInput(f"{machine.name} has no prices, which {priced[0]} takes: ask for --minimise {unpriced}")
    if table is None and machine.default_prices is None:
        raise BadInput(f"{priced[0]} takes a table of prices: --prices {' or '.join(machine.prices)}")


def together(results: Sequence[Result]) -> dict[str, float]:
    """Return what is known of QUANTITIES, of all workloads on one design together.

    Cycles, time and energy are sums over the workloads; power and energy x time follow from the sums; the area is the
    design's; the load balance is the mean by cycles.
    """
    cycles, time_us = (sum(getattr(result, name) for result in results) for name in ("cycles", "time_us"))
    balanced = sum(result.load_balance * result.cycles for result in results)
    values = {"cycles": cycles, "time_us": time_us, "load_balance": balanced / cycles if cycles else 0.0}
    if all(result.energy_pj is not None for result in results):
        energy_pj = sum(result.energy_pj for result in results)
        power = power_mw(energy_pj, time_us) or 0.0
        values |= {"energy_pj": energy_pj, "power_mw": power, "edp_nj_us": edp_nj_us(energy_pj, time_us)}
    if results[0].area_mm2 is not None:
        values["area_mm2"] = results[0].area_mm2
    return values
