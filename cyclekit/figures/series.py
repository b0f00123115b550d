"""The numbers of each kind of figure, from the results that it shows; nothing is drawn here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import fsum
from typing import Any

from cyclekit.figures.colours import places_of_modules, places_of_states
from cyclekit.figures.cuts import Cut, Value, is_number
from cyclekit.figures.figure import Front, Line, Lines, Panel, Plane, Stacks
from cyclekit.sweep.results import Result, value, varied
from cyclekit.sweep.results import front as unbeaten
from cyclekit.views import Quantity, scale

MOST_BARS = 12
TOO_SHORT = 20  # times as high as a bar that nobody can read


def lines(cut: Cut, x_label: str) -> Lines | None:
    """Return a panel a quantity of the view; None where x are no numbers, or no result has any of the quantities."""
    if not all(is_number(x) for x in cut.xs):
        return None
    panels = [panel for quantity in cut.view.panels if (panel := _panel(cut, quantity, x_label)) is not None]
    return Lines(x_label, cut.lines_label, panels) if panels else None


def _panel(cut: Cut, quantity: Quantity, x_label: str) -> Panel | None:
    curves: dict[str, list[tuple[float, float]]] = {}
    for label, points in cut.lines.items():
        known = [(x, y) for x, result in points if (y := quantity.of(result)) is not None]
        if quantity.over_smallest:
            known = _over_smallest(known, cut.xs[0])
        if known:
            curves[label] = known
    if not curves:
        return None
    label = quantity.head
    if quantity.over_smallest:
        name = x_label.partition(" [")[0]
        label = f"{quantity.label} over {name} = {plain(cut.xs[0])} [{quantity.unit}]"
        return Panel(label, {line: _unzip(points) for line, points in curves.items()}, in_proportion=True)
    unit, factor = scale(quantity.unit, max(y for points in curves.values() for _, y in points))
    if unit != quantity.unit:
        label = f"{quantity.label} [{unit}]"
    return Panel(label, {line: _unzip([(x, y / factor) for x, y in points]) for line, points in curves.items()})


def _over_smallest(points: Sequence[tuple[float, float]], smallest: float) -> list[tuple[float, float]]:
    """Return by which factor each y is less than the one at the smallest x; nothing for a line that lacks it."""
    base = next((y for x, y in points if x == smallest), None)
    return [(x, base / y) for x, y in points if y] if base is not None else []


def _unzip(points: Sequence[tuple[float, float]]) -> Line:
    xs, ys = zip(*points, strict=True)
    return xs, ys


def states(cut: Cut, x_label: str) -> Stacks | None:
    """Return where the cycles of the first kind of unit went, in % of them: a panel a line, a bar an x.

    None where they went the same way at every x.
    """
    kinds = {next(iter(result.states), None) for result in cut.results}
    kind = kinds.pop()
    if kinds or kind is None:
        return None
    names = dict.fromkeys(name for result in cut.results for name in result.states[kind])
    panels = _panels(cut, lambda result: _percent(result.states[kind]))
    return _stacks(panels, x_label, f"share of {kind} cycles [%]", places_of_states(names), "states", same_scale=True)


def energy(cut: Cut, x_label: str, modules: Sequence[str] = ()) -> Stacks | None:
    """Return the energy by module, in % where bars of very different height would stand beside each other.

    modules: those whose colours are known, in their order.
    None where a result has none, or where it is the same at every x.
    """
    totals = [fsum(result.module_pj.values()) for result in cut.results]
    if not min(totals):
        return None
    placed = places_of_modules({name for result in cut.results for name in result.module_pj}, modules)
    if any(_ratio([fsum(result.module_pj.values()) for _, result in of]) >= TOO_SHORT for of in cut.lines.values()):
        panels = _panels(cut, lambda result: _percent(result.module_pj))
        return _stacks(panels, x_label, "share of energy [%]", placed, "series", same_scale=True)
    unit, factor = scale("pJ", max(totals))
    panels = _panels(cut, lambda result: {module: pj / factor for module, pj in result.module_pj.items()})
    same = cut.lines_by != "workload"
    return _stacks(panels, x_label, f"energy [{unit}]", placed, "series", same_scale=same)


Panels = dict[str, dict[str, Mapping[str, float]]]


def _panels(cut: Cut, parts_of: Callable[[Result], Mapping[str, float]]) -> Panels:
    """Return a panel a line; lines of which all is the same share one."""
    panels: Panels = {}
    for line, points in cut.lines.items():
        shown = _few(points)
        names = [plain(x) for x, _ in shown]
        if len(set(names)) < len(names):  # workloads of the same size
            names = [f"{result.workload}: {name}" for name, (_, result) in zip(names, shown, strict=True)]
        bars = {name: parts_of(result) for name, (_, result) in zip(names, shown, strict=True)}
        like = next((title for title, others in panels.items() if others == bars), None)
        if like is None:
            panels[line] = bars
        else:
            panels = {f"{title}, {line}" if title == like else title: of for title, of in panels.items()}
    if cut.lines_by in ("", "workload"):
        return panels
    name = cut.lines_label.partition(" [")[0]
    return {f"{name} = {title}": bars for title, bars in panels.items()}


def _stacks(
    panels: Panels, x_label: str, y_label: str, placed: Mapping[str, int], colours: str, **options: bool
) -> Any:
    """Return the panels with those parts that are anywhere; None where several bars are the same in all of them."""
    bars = [list(of_panel.values()) for of_panel in panels.values()]
    if max(map(len, bars)) > 1 and all(bar == of_panel[0] for of_panel in bars for bar in of_panel):
        return None
    present = {name for of_panel in bars for parts in of_panel for name, height in parts.items() if height}
    shown = {name: place for name, place in placed.items() if name in present}
    return Stacks(x_label, y_label, panels, shown, colours, **options)


def front(results: Sequence[Result]) -> tuple[Front, list[Result]] | None:
    """Return designs by time and energy, and by time and area, each with Pareto's front; and one design's results.

    The workloads' times and energies are added up: one input of each, one after the other. Shown are the designs that
    ran all of the workloads that the most designs ran. None where there are not two designs and two quantities.
    """
    feasible = [result for result in results if result.reason is None]
    names = [name for name in varied(feasible) if name != "workload"]
    designs: dict[tuple[Value, ...], dict[str, Result]] = {}
    for result in feasible:
        designs.setdefault(tuple(value(result, name) for name in names), {})[result.workload] = result
    ran: dict[frozenset[str], int] = {}
    for of_design in designs.values():
        ran[frozenset(of_design)] = ran.get(frozenset(of_design), 0) + 1
    if not ran:
        return None
    common = max(ran, key=lambda workloads: (ran[workloads], len(workloads)))
    workloads = [name for name in dict.fromkeys(result.workload for result in feasible) if name in common]
    shown = {key: [of[name] for name in workloads] for key, of in designs.items() if common <= of.keys()}
    if len(shown) < 2:
        return None
    told = [place for place in range(len(names)) if len({key[place] for key in shown}) > 1]
    labels = {key: "/".join(plain(key[place]) for place in told) for key in shown}
    times = {labels[key]: fsum(result.time_us for result in own) for key, own in shown.items()}
    planes = []
    energies = [[result.energy_pj for result in own] for own in shown.values()]
    if not any(pj is None for own in energies for pj in own):
        totals = dict(zip(times, map(fsum, energies), strict=True))
        planes.append(_plane(times, "energy", "pJ", totals))
    areas = {labels[key]: own[0].area_mm2 for key, own in shown.items()}
    if None not in areas.values() and len(set(areas.values())) > 1:
        planes.append(_plane(times, "area", "mm2", areas))
    return (Front("/".join(names[place] for place in told), planes), next(iter(shown.values()))) if planes else None


def _plane(times: Mapping[str, float], label: str, unit: str, ys: Mapping[str, float]) -> Plane:
    x_unit, x_factor = scale("us", max(times.values()))
    y_unit, y_factor = scale(unit, max(ys.values()))
    designs = {name: (times[name] / x_factor, ys[name] / y_factor) for name in times}
    best = unbeaten(list(designs.values()))
    names = list(designs)
    ordered = sorted((names[place] for place in best), key=designs.__getitem__)
    return Plane(f"time [{x_unit}]", f"{label} [{y_unit}]", designs, ordered)


def _few(points: Sequence[tuple[Value, Result]]) -> list[tuple[Value, Result]]:
    """Return MOST_BARS points at most, evenly chosen, the first and the last among them."""
    if len(points) <= MOST_BARS:
        return list(points)
    return [points[round(place * (len(points) - 1) / (MOST_BARS - 1))] for place in range(MOST_BARS)]


def _percent(parts: Mapping[str, float]) -> dict[str, float]:
    whole = fsum(parts.values())
    return {name: 100 * part / whole if whole else 0.0 for name, part in parts.items()}


def _ratio(values: Sequence[float]) -> float:
    return max(values) / min(values)


def plain(item: Value) -> str:
    """Return a field's value as text."""
    return f"{item:.10g}" if isinstance(item, float) else str(item)
