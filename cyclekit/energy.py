"""Energy as counts times prices, each with its source, and standing power times time; the parts sum to the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import fsum, isclose
from typing import Any, Self

from workloads.errors import BadInput

UNITS = ("pJ", "mW", "um2")  # of an action, of standing power, of area


@dataclass(frozen=True)
class Price:
    """What one thing costs a module, and who says so; the unit is pJ for an action, mW for power, um2 for area."""

    module: str
    value: float
    unit: str
    source: str

    def __post_init__(self):
        if not 0 <= self.value < float("inf") or self.unit not in UNITS or not self.source:
            raise ValueError(f"a price must be a number from 0 on, in one of {UNITS}, with a source: {self}")


@dataclass(frozen=True, kw_only=True)
class Prices:
    """One table of prices for one design.

    actions: what each action costs, [pJ]; an action may cost several modules something. free: action -> why it costs
    nothing here. standing: kind of power (clock, leakage) -> its prices [mW] of the whole machine. area: [um2] of the
    whole machine. notes: what a reader of a result must know.
    """

    name: str
    actions: Mapping[str, Sequence[Price]]
    free: Mapping[str, str]
    standing: Mapping[str, Sequence[Price]]
    area: Sequence[Price]
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        groups = {"pJ": self.actions.values(), "mW": self.standing.values(), "um2": [self.area]}
        for unit, of_unit in groups.items():
            if wrong := [price for prices in of_unit for price in prices if price.unit != unit]:
                raise ValueError(f"prices {self.name} must be in {unit} here: {wrong[0]}")
        if twice := set(self.actions) & set(self.free):
            raise ValueError(f"prices {self.name} must not call {sorted(twice)} both priced and free")


@dataclass(frozen=True, kw_only=True)
class Energy:
    """What one run costs by one table of prices. Raises ValueError where the parts do not sum to the whole.

    pj: module -> action, or kind of standing power -> energy. area_um2: by module. n_macs: useful multiply-adds.
    """

    prices: str
    pj: Mapping[str, Mapping[str, float]]
    total_pj: float
    time_us: float
    n_macs: int
    area_um2: Mapping[str, float]
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        parts = [value for of_module in self.pj.values() for value in of_module.values()]
        if min([*parts, *self.area_um2.values(), self.time_us, self.n_macs], default=0) < 0:
            raise ValueError(f"no part of an energy may be negative: {self}")
        if not isclose(fsum(parts), self.total_pj, rel_tol=1e-9, abs_tol=1e-9):
            raise ValueError(f"the parts of the energy must sum to {self.total_pj} pJ, got {fsum(parts)}")

    @property
    def module_pj(self) -> dict[str, float]:
        """Energy by module."""
        return {module: fsum(parts.values()) for module, parts in self.pj.items()}

    @property
    def power_mw(self) -> float:
        """Mean power over the run; 0 for a run without time."""
        return power_mw(self.total_pj, self.time_us) or 0.0

    @property
    def edp_nj_us(self) -> float:
        """Energy-delay product."""
        return edp_nj_us(self.total_pj, self.time_us)

    @property
    def pj_per_mac(self) -> float:
        """Energy of a useful multiply-add; 0 where there was none."""
        return self.total_pj / self.n_macs if self.n_macs else 0.0

    @property
    def total_area_mm2(self) -> float:
        return fsum(self.area_um2.values()) / 1e6

    def as_dict(self) -> dict[str, Any]:
        """Return what is stored, and what follows from it, as plain values for JSON."""
        stored = {entry.name: getattr(self, entry.name) for entry in fields(self)} | {"notes": list(self.notes)}
        return stored | {name: getattr(self, name) for name in _DERIVED}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Return the energy that `as_dict` was called on; raises BadInput where it is not what as_dict gives."""
        names = {entry.name for entry in fields(cls)} | set(_DERIVED)
        if stored.keys() != names:
            raise BadInput(f"a stored energy must have exactly the fields of this version, not {sorted(stored)}")
        own = {name: value for name, value in stored.items() if name not in _DERIVED}
        energy = cls(**own | {"notes": tuple(own["notes"])})
        if wrong := [name for name in _DERIVED if not isclose(stored[name], getattr(energy, name), rel_tol=1e-9)]:
            raise BadInput(f"a stored energy contradicts itself: {wrong[0]} is {stored[wrong[0]]}")
        return energy


_DERIVED = ("power_mw", "edp_nj_us", "pj_per_mac", "total_area_mm2")


def power_mw(energy_pj: float | None, time_us: float) -> float | None:
    """Return the mean power over a time; None where there is no energy or no time."""
    return None if energy_pj is None or not time_us else energy_pj / time_us / 1e3


def edp_nj_us(energy_pj: float | None, time_us: float) -> float | None:
    """Return the energy-delay product; None where there is no energy."""
    return None if energy_pj is None else energy_pj / 1e3 * time_us


def charge(prices: Prices, actions: Mapping[str, int], time_us: float, n_macs: int) -> Energy:
    """Return what the counted actions and the time cost; raises BadInput for a counted action without a price."""
    pj: dict[str, dict[str, float]] = {}

    def book(module: str, what: str, value: float) -> None:
        parts = pj.setdefault(module, {})
        parts[what] = parts.get(what, 0.0) + value

    for action, count in actions.items():
        if action in prices.free:
            continue
        if action not in prices.actions:
            raise BadInput(f"prices {prices.name} have none for {action}, which happened {count:,} times")
        for price in prices.actions[action]:
            book(price.module, str(action), count * price.value)
    for kind, of_kind in prices.standing.items():
        for price in of_kind:
            book(price.module, kind, price.value * time_us * 1e3)  # 1 mW for 1 us is 1,000 pJ
    area: dict[str, float] = {}
    for price in prices.area:
        area[price.module] = area.get(price.module, 0.0) + price.value
    total = fsum(value for parts in pj.values() for value in parts.values())
    return Energy(
        prices=prices.name, pj=pj, total_pj=total, time_us=time_us, n_macs=n_macs, area_um2=area, notes=prices.notes
    )
