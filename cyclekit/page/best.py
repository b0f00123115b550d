"""Which designs of a store the page names: the best by each quantity, those on the front, those that fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from cyclekit.sweep.results import Result, front, varied
from cyclekit.views import LOAD_BALANCE, TIME, Quantity

T = TypeVar("T")
MOST_DESIGNS = 20_000  # that the views hold: about 6 MB, and the browser still answers at once


CYCLES = Quantity("cycles", "", lambda result: result.cycles, name="cycles")
ENERGY = Quantity(
    "energy", "nJ", lambda result: None if result.energy_pj is None else result.energy_pj / 1e3, name="energy_nj"
)
AREA = Quantity("area", "mm2", lambda result: result.area_mm2, name="area_mm2")
EDP = Quantity("energy x time", "nJ us", lambda result: result.edp_nj_us, name="edp_nj_us")
POWER = Quantity("power", "mW", lambda result: result.power_mw, name="power_mw")
QUANTITIES = (TIME, CYCLES, ENERGY, EDP, POWER, AREA, LOAD_BALANCE)
COSTS = (TIME, ENERGY, AREA)  # of the fronts in the tables


@dataclass(frozen=True)
class Front:
    """The designs of one workload on one machine that no other beats in any of the costs, the fastest first.

    n_left_out: designs that lack one of the costs, because they have no price.
    """

    workload: str
    machine: str
    costs: tuple[Quantity, ...]
    results: tuple[Result, ...]
    n_designs: int
    n_left_out: int


def least(results: Sequence[Result]) -> Iterator[tuple[str, Quantity, Result]]:
    """Yield (workload, quantity, the design with the least of it); of equal ones the fastest, then the thriftiest."""
    for workload, of_workload in grouped(results, lambda result: result.workload).items():
        for quantity in (TIME, ENERGY, EDP, AREA):
            having = [result for result in of_workload if quantity.of(result) is not None]
            if having:
                order = [quantity, *COSTS]
                yield workload, quantity, min(having, key=lambda result: [_or_last(of.of(result)) for of in order])


def fronts(results: Sequence[Result]) -> list[Front]:
    """Return the front of each workload on each machine, in the costs that its designs have."""
    of_fronts = []
    for (workload, machine), group in grouped(results, lambda result: (result.workload, result.machine)).items():
        costs = tuple(cost for cost in COSTS if any(cost.of(result) is not None for result in group))
        having = [result for result in group if all(cost.of(result) is not None for cost in costs)]
        best = [having[place] for place in front([[cost.of(result) for cost in costs] for result in having])]
        best.sort(key=lambda result: [cost.of(result) for cost in costs])
        of_fronts.append(Front(workload, machine, costs, tuple(best), len(group), len(group) - len(having)))
    return of_fronts


def held(results: Sequence[Result], of_fronts: Sequence[Front], most: int = MOST_DESIGNS) -> list[Result]:
    """Return at most so many results in their order: all that fit; or else the fronts, then evenly chosen others."""
    if len(results) <= most:
        return list(results)
    wanted = {id(result) for pareto in of_fronts for result in pareto.results}
    best = evenly([result for result in results if id(result) in wanted], most)
    others = evenly([result for result in results if id(result) not in wanted], most - len(best))
    chosen = {id(result) for result in (*best, *others)}
    return [result for result in results if id(result) in chosen]


def evenly(items: Sequence[T], most: int) -> list[T]:
    """Return at most so many items at even distances, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    if most < 2:
        return list(items[:most])
    return [items[place * (len(items) - 1) // (most - 1)] for place in range(most)]


def varied_values(results: Sequence[Result]) -> dict[str, list[Any]]:
    """Return {field: its values in order} of the fields, or presets, that differ between designs of one machine."""
    names = {name: None for of in grouped(results, lambda r: r.machine).values() for name in varied_fields(of)}
    return {
        name: sorted({result.design[name] for result in results if name in result.design}, key=_numbers_first)
        for name in names
    }


def varied_fields(results: Sequence[Result]) -> list[str]:
    """Return what the first design is called by that differs between designs, all of one machine."""
    return [name for name in varied(results) if name in results[0].design]


def grouped(items: Sequence[T], key: Callable[[T], Any]) -> Mapping[Any, list[T]]:
    """Return {key: items} in the order in which the keys appear."""
    groups: dict[Any, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _or_last(value: float | None) -> float:
    return float("inf") if value is None else value


def _numbers_first(value: Any) -> tuple[bool, Any]:
    return isinstance(value, str), value
