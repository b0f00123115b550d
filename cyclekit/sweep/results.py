"""What a store found, one result a design and workload: its layers summed, its inputs averaged, its energy priced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import groupby
from statistics import fmean
from typing import Any

import numpy as np

from cyclekit import machine as machines
from cyclekit.energy import Energy, edp_nj_us, power_mw
from cyclekit.run import Run
from cyclekit.sweep.presets import by_presets
from cyclekit.sweep.store import Row, Store
from cyclekit.sweep.unit_map import unpack
from workloads.errors import BadInput, did_you_mean


@dataclass(frozen=True, kw_only=True)
class Result:
    """One workload on one design.

    Cycles, time, actions and energy are those of one input (of a batched machine: of one batch), the mean over the
    inputs stored, through all layers one after the other. load_balance: mean over the layers by their cycles. states:
    {unit kind: {state: share}}, shares of the kind's cycles that sum to 1. measures: of the first input, where there is
    one layer. reason: why the design is infeasible, or cannot be compared with the workload's others; then all that was
    found is 0 or empty. unpriced: why there is no energy. n_left_out: inputs that are stored of it, and not of every
    design that is compared with it: in no mean. called: what tables and figures call the design by, where not by its
    fields: {"preset": its name} and the fields that presets do not say (cyclekit.sweep.presets).
    """

    machine: str
    workload: str
    engine: str
    spec: Mapping[str, Any]
    reason: str | None = None
    n_inputs: int = 0
    n_left_out: int = 0
    cycles: float = 0.0
    time_us: float = 0.0
    load_balance: float = 0.0
    actions: Mapping[str, float] = field(default_factory=dict)
    states: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    measures: Mapping[str, float | str] = field(default_factory=dict)
    energy_pj: float | None = None
    module_pj: Mapping[str, float] = field(default_factory=dict)
    n_macs: float = 0.0
    area_um2: Mapping[str, float] = field(default_factory=dict)  # by module; empty where the prices have no area
    prices: str = ""  # the table that gave energy and area
    unpriced: str = ""
    called: Mapping[str, Any] | None = None

    @property
    def design(self) -> Mapping[str, Any]:
        """What the design is called by: its fields, or a preset's name in place of those that presets say."""
        return self.spec if self.called is None else self.called

    @property
    def area_mm2(self) -> float | None:
        return sum(self.area_um2.values()) / 1e6 if self.area_um2 else None

    @property
    def power_mw(self) -> float | None:
        return power_mw(self.energy_pj, self.time_us)

    @property
    def edp_nj_us(self) -> float | None:
        """Energy-delay product."""
        return edp_nj_us(self.energy_pj, self.time_us)


def value(result: Result, name: str) -> Any:
    """Return a field of a result's design, its workload, its engine, or "preset" where it is called by that."""
    if name in ("workload", "engine"):
        return getattr(result, name)
    return result.called[name] if result.called and name in result.called else result.spec.get(name)


def varied(results: Sequence[Result]) -> list[str]:
    """Return what is not the same in all results, "workload", "engine" and "preset" among the fields."""
    names = dict.fromkeys(name for result in results for name in ("workload", "engine", *result.design))
    return [name for name in names if len({value(result, name) for result in results}) > 1]


def read(store: Store, prices: str | None = None) -> list[Result]:
    """Return the results in the order in which they were first stored, each over the inputs that all of them have.

    "All" are the feasible designs of a workload on a machine: means over other inputs could not be compared. Where no
    input is stored of all, they are those that have the input stored of most; each other has a reason and no mean.
    prices: the table for all machines (None: each machine's default). Where a workload or the machine's model has
    changed between two sweeps of the same design, what was stored later holds. Raises BadInput for a table that no
    machine of the store has.
    """
    pricing = Pricing(store, prices)
    by_design: dict[tuple[str, ...], tuple[str, dict[int, Result]]] = {}
    for _, rows in groupby(store.rows(), lambda row: row.task):
        first, *others = rows
        design = first.machine, first.work, first.engine, first.spec
        if design not in by_design or by_design[design][0] != first.content:
            by_design[design] = first.content, {}
        by_design[design][1][first.input] = _of_task([first, *others], pricing)
    feasible: dict[tuple[str, str], list[set[int]]] = {}
    for (machine, work, *_), (_, inputs) in by_design.items():
        if _is_feasible(inputs):
            feasible.setdefault((machine, work), []).append(set(inputs))
    shared = {of: _shared(stored) for of, stored in feasible.items()}
    means = []
    for (machine, work, *_), (_, inputs) in by_design.items():
        wanted = shared[machine, work] if _is_feasible(inputs) else set(inputs)
        chosen = [result for place, result in inputs.items() if place in wanted]
        mean = _mean(chosen) if chosen else _stranger(next(iter(inputs.values())), inputs, wanted)
        means.append(replace(mean, n_left_out=len(inputs) - len(chosen)))
    return _called(means)


def _called(results: Sequence[Result]) -> list[Result]:
    """Return the results, the designs of each machine called by presets where that says shorter what differs."""
    names: list[Mapping[str, Any] | None] = [None] * len(results)
    for name in dict.fromkeys(result.machine for result in results):
        places = [place for place, result in enumerate(results) if result.machine == name]
        if machine := machines.find(name):
            presets = {preset: spec.as_dict() for preset, spec in machine.presets.items()}
            called = by_presets([results[place].spec for place in places], presets)
            for place, of_design in zip(places, called, strict=True):
                names[place] = of_design
    return [replace(each, called=name) if name else each for each, name in zip(results, names, strict=True)]


def _shared(stored: Sequence[set[int]]) -> set[int]:
    """Return the inputs that all designs have which have the input that most have; of such inputs the first."""
    counts = Counter(place for inputs in stored for place in inputs)
    most = min(counts, key=lambda place: (-counts[place], place))
    return set.intersection(*(inputs for inputs in stored if most in inputs))


def _stranger(first: Result, stored: Iterable[int], shared: Iterable[int]) -> Result:
    """Return a design whose inputs no other design of its workload is compared on, without what it found on them."""
    own, theirs = (", ".join(map(str, sorted(places))) for places in (stored, shared))
    reason = f"stored on input {own} and not on {theirs}, on which the other designs are compared: sweep that too"
    about = {name: getattr(first, name) for name in ("machine", "workload", "engine", "spec")}
    return Result(**about, reason=reason)


def is_apart(result: Result) -> bool:
    """Tell whether a design has inputs stored, and none on which the others of its workload are compared."""
    return result.reason is not None and result.n_left_out > 0


def left_out(results: Iterable[Result]) -> list[str]:
    """Return in a line each how many inputs are in no mean, and how many designs have none therefore."""
    cut = [result for result in results if result.n_left_out]
    lines = []
    if cut:
        n = sum(result.n_left_out for result in cut)
        lines.append(f"{n:,} inputs of {len(cut):,} results are in no mean: other designs do not have them")
    if n := sum(map(is_apart, cut)):
        lines.append(f"{n:,} of these results have no mean, and are compared with none: sweep what the others have")
    return lines


def _is_feasible(inputs: Mapping[int, Result]) -> bool:
    return all(result.reason is None for result in inputs.values())


def of_design(rows: Iterable[Row], price: Callable[[Run], Energy | str]) -> Result:
    """Return what one workload found on one design, from the rows of its inputs, a task's together.

    price: gives a run's energy, or why it has none.
    """
    return _mean([_of_task(list(of_task), price) for _, of_task in groupby(rows, lambda row: row.task)])


@dataclass(frozen=True, eq=False, kw_only=True)
class UnitMap:
    """What the units of one kind did in one run: cells u8[units, moments], the state of each at each.

    The moments are the middles of as many equal parts of the run, which takes `cycles`. states: their names by number.
    workload: the layer that ran. input: which of a batch.
    """

    machine: str
    workload: str
    input: int
    engine: str
    spec: Mapping[str, Any]
    kind: str
    states: tuple[str, ...]
    cells: np.ndarray
    cycles: int


def maps(store: Store) -> Iterator[UnitMap]:
    """Yield the unit maps that are stored, one at a time."""
    for row in store.mapped():
        about = {"machine": row.machine, "workload": row.workload, "input": row.input, "engine": row.engine}
        with row.if_sound():
            unpacked = unpack(row.unit_map)
        for kind, (states, cells) in unpacked.items():
            yield UnitMap(**about, spec=row.design(), kind=kind, states=states, cells=cells, cycles=row.cycles)


def front(points: Sequence[Sequence[float]]) -> list[int]:
    """Return the places of those points that no other point beats: Pareto's front where less is better.

    A point is beaten by one that is nowhere above it and somewhere below. Of equal points all stay.
    """
    order = sorted(range(len(points)), key=lambda place: tuple(points[place]))
    best: list[int] = []
    for place in order:  # what could beat a point stands before it
        if not any(_beats(points[other], points[place]) for other in best):
            best.append(place)
    return sorted(best)


def _beats(a: Sequence[float], b: Sequence[float]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and tuple(a) != tuple(b)


class Pricing:
    """What prices a store's runs by one table (None: each machine's default), or says why it cannot.

    Raises BadInput for a table that no machine of the store has.
    """

    def __init__(self, store: Store, table: str | None):
        self._table = table
        self._load = cache(machines.load)  # once a machine, not once a row
        if table is None:
            return
        known: dict[str, None] = {}
        for machine in dict.fromkeys(machine for machine, *_ in store.counts()):
            with suppress(BadInput):  # not installed any more
                known |= dict.fromkeys(self._load(machine).prices)
        if table not in known:
            would_do = did_you_mean(table, known) if known else ": the store's machines have none"
            raise BadInput(f"unknown prices {table!r}{would_do}")

    def __call__(self, run: Run) -> Energy | str:
        """Return a run's energy, or why it has none."""
        try:
            return self._load(run.machine).price(run, self._table)
        except BadInput as error:
            return str(error)


def _of_task(rows: Sequence[Row], price: Callable[[Run], Energy | str]) -> Result:
    """Return one input's way through all layers; shares of states are still cycles."""
    runs = [row.run() for row in rows]
    about = {"machine": rows[0].machine, "workload": rows[0].work, "engine": rows[0].engine}
    about["spec"] = rows[0].design()
    if rows[0].reason is not None:
        return Result(**about, reason=rows[0].reason)
    costs = [price(run) for run in runs]
    unpriced = next((cost for cost in costs if isinstance(cost, str)), "")
    cycles = sum(run.cycles for run in runs)
    priced = {}
    if not unpriced:
        priced = {
            "energy_pj": sum(cost.total_pj for cost in costs),
            "module_pj": _sum(cost.module_pj for cost in costs),
            "n_macs": sum(cost.n_macs for cost in costs),
            "area_um2": costs[0].area_um2,
            "prices": costs[0].prices,
        }
    return Result(
        **about,
        n_inputs=1,
        cycles=cycles,
        time_us=sum(run.time_us for run in runs),
        load_balance=sum(run.load_balance * run.cycles for run in runs) / cycles if cycles else 0.0,
        actions=_sum(run.actions for run in runs),
        states={kind: _sum(run.states[kind] for run in runs) for kind in runs[0].states},
        measures=runs[0].measures if len(runs) == 1 else {},
        unpriced=unpriced,
        **priced,
    )


def _mean(results: Sequence[Result]) -> Result:
    """Return the mean of several inputs on one design."""
    first, n = results[0], len(results)
    if infeasible := next((result for result in results if result.reason is not None), None):
        return infeasible
    states = {kind: _sum(result.states[kind] for result in results) for kind in first.states}
    whole = {kind: sum(spent.values()) for kind, spent in states.items()}
    unpriced = next((result.unpriced for result in results if result.unpriced), "")
    about = {
        name: getattr(first, name)
        for name in ("machine", "workload", "engine", "spec", "measures", "area_um2", "prices")
    }
    return Result(
        **about,
        n_inputs=n,
        cycles=fmean(result.cycles for result in results),
        time_us=fmean(result.time_us for result in results),
        load_balance=fmean(result.load_balance for result in results),
        actions={name: count / n for name, count in _sum(result.actions for result in results).items()},
        states={
            kind: {state: cycles / whole[kind] if whole[kind] else 0.0 for state, cycles in spent.items()}
            for kind, spent in states.items()
        },
        energy_pj=None if unpriced else fmean(result.energy_pj for result in results),
        module_pj={name: pj / n for name, pj in _sum(result.module_pj for result in results).items()},
        n_macs=fmean(result.n_macs for result in results),
        unpriced=unpriced,
    )


def _sum(parts: Iterator[Mapping[str, float]]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for part in parts:
        for name, number in part.items():
            total[name] += number
    return dict(total)
