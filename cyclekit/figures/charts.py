"""The figures that stored results support: which there are, what each shows, and how one is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cyclekit import machine as machines
from cyclekit.figures import cuts, series
from cyclekit.figures.colours import places_of_states
from cyclekit.figures.cuts import MOST_LINES, Cut, nearest_preset
from cyclekit.figures.figure import Front, Lines, Map, Stacks
from cyclekit.figures.numbers import as_csv
from cyclekit.machine import Machine
from cyclekit.sweep.edges import best_at_the_ends
from cyclekit.sweep.presets import PRESET
from cyclekit.sweep.results import Result, UnitMap, varied
from cyclekit.terminal import write_whole
from cyclekit.views import ENERGY, LOAD_BALANCE, TIME, View, field_label
from workloads.errors import BadInput

MOST_MAPS = 6


@dataclass(frozen=True)
class Chart:
    """One figure. name: the stem of its file, unique among those of one call of `charts`; caption: what is shown."""

    name: str
    title: str
    caption: str
    data: Lines | Stacks | Front | Map

    def draw(self, theme: str, *, captioned: bool = True) -> Any:
        """Return matplotlib's Figure in a theme, "print" or "dark", with its caption; who calls closes it."""
        from cyclekit.figures.draw import draw  # late: matplotlib is slow to import

        return draw(self.data, self.title, theme, self.caption if captioned else "")


def write(chart: Chart, path: Path, theme: str = "print", *, captioned: bool = True) -> None:
    """Write a figure as the file's suffix says, .png or .svg, or its numbers as .csv, whole or not at all.

    theme: "print" or "dark"; captioned: its caption stands in the picture, too.
    Raises BadInput for another suffix, or where the file cannot be written.
    """
    from cyclekit.figures.style import to_file

    if path.suffix not in (".png", ".svg", ".csv"):
        raise BadInput(f"a figure must be a .png, .svg or .csv file, got {str(path)!r}")
    try:
        if path.suffix == ".csv":
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, as_csv(chart.data).encode())
            return
        to_file(chart.draw(theme, captioned=captioned), path, chart.caption if captioned else "")
    except OSError as error:
        raise BadInput(f"{str(path)!r} could not be written: {error.strerror or error}") from error


def charts(results: Sequence[Result], maps: Iterable[UnitMap] = ()) -> list[Chart]:
    """Return the figures that results of a store support, a machine after the other, then those of its unit maps.

    Nothing is averaged over a field that varies: it is x, or lines, or fixed, and the caption says at what.
    """
    by_machine: dict[str, list[Result]] = {}
    for result in results:
        by_machine.setdefault(result.machine, []).append(result)
    figures = [chart for name, own in by_machine.items() for chart in _of_machine(name, own)]
    figures += _of_maps(maps)
    uses: dict[str, int] = {}
    for place, chart in enumerate(figures):
        uses[chart.name] = n = uses.get(chart.name, 0) + 1
        figures[place] = chart if n == 1 else replace(chart, name=f"{chart.name}_{n}")
    return figures


def _of_machine(name: str, results: Sequence[Result]) -> list[Chart]:
    machine = machines.find(name)
    figures = [chart for cut in _cuts(machine, results) for chart in _of_cut(name, machine, cut)]
    if (pareto := series.front(results)) is not None:
        data, of_one = pareto
        told = data.design_label.split("/")
        preset, changes = nearest_preset(machine, of_one[0], told)
        parts = _design("" if PRESET in told else preset, changes)
        fixed = f" Fixed: {', '.join(parts)}." if parts else ""
        ran = _listed([result.workload for result in of_one])
        what = " or ".join(plane.y_label.partition(" [")[0] for plane in data.planes)
        n_designs = len(data.planes[0].designs)
        caption = (
            f"{_capital(what)} against time of {n_designs:,} designs, one input of {ran}; joined: those that no other "
            f"one beats in both. Labels: {data.design_label}.{fixed}{_priced(results)}"
        )
        figures.append(Chart(_slug(f"{name}_pareto"), f"{name}: Pareto's front of time and {what}", caption, data))
    return figures


def _cuts(machine: Machine | None, results: Sequence[Result]) -> list[Cut]:
    """Return a cut for each of the machine's own views, then for each other field that varies; or for a lone design."""
    shown = [
        cut for view in (machine.views if machine else ()) if (cut := cuts.cut(results, view, machine)) is not None
    ]
    told = {"workload", "engine", *(name for cut in shown for name in (cut.view.over, cut.view.lines))}
    balance = replace(LOAD_BALANCE, label=machine.balance) if machine else LOAD_BALANCE
    usual = [View(name, (TIME, balance, ENERGY)) for name in varied(results) if name not in told]
    shown += [cut for view in usual if (cut := cuts.cut(results, view, machine)) is not None]
    if not shown and (cut := cuts.cut(results, View("workload", ()), machine)) is not None:
        shown = [cut]
    return shown


def _of_cut(name: str, machine: Machine | None, cut: Cut) -> list[Chart]:
    """Return the lines along a cut, where the cycles went, and where the energy went; those that there are."""
    label = cut.view.label or field_label(cut.view.name)
    stem, plain, said = _slug(f"{name}_{cut.view.name}"), label.partition(" [")[0], _said(machine, cut)
    figures = []
    if (data := series.lines(cut, label)) is not None:
        what = ", ".join(panel.y_label.partition(" [")[0] for panel in data.panels)
        each = f", a line for each {_each(cut)}" if cut.lines_by else ""
        title = f"{name}: {what}"
        caption = f"{_capital(what)} against {plain}{each}. {said}{_unpriced(cut)}"
        figures.append(Chart(stem, title, caption, data))
    panels = f", a panel for each {_each(cut)}" if cut.lines_by else ""
    for suffix, title, data in (
        ("states", "where the cycles went", series.states(cut, label)),
        ("energy", "energy by module", series.energy(cut, label, machine.modules if machine else ())),
    ):
        if data is not None:
            caption = f"{_capital(title)} against {plain}{_thinned(cut)}{panels}. {said}"
            figures.append(Chart(f"{stem}_{suffix}", f"{name}: {title}", caption, data))
    return figures


def _each(cut: Cut) -> str:
    """Return what there is a line or a panel for each of."""
    label = cut.lines_label.partition(" [")[0]
    return f"number of {label.removeprefix('number of ')}" if cut.lines_by.startswith("n_") else label


def _priced(results: Sequence[Result]) -> str:
    tables = sorted({result.prices for result in results if result.prices})
    return f" Prices: {' or '.join(tables)}." if tables else ""


def _said(machine: Machine | None, cut: Cut) -> str:
    """Return which results a cut shows: the design, what is fixed, what is left out."""
    told = (cut.view.over, cut.lines_by)
    preset, changes = nearest_preset(machine, cut.results[0], told)
    preset = "" if PRESET in told else preset
    fixed = {**changes, **cut.fixed}
    fixed.pop(PRESET, None)  # said first, as every preset is
    workloads = {result.workload for result in cut.results}
    if len(workloads) == 1:
        fixed = {"workload": workloads.pop(), **fixed}
    tables = {result.prices for result in cut.results if result.prices}
    if tables and any(quantity.unit == "pJ" for quantity in (*cut.view.panels, ENERGY)):
        fixed["prices"] = " or ".join(sorted(tables))
    said = f"Fixed: {', '.join(parts)}. " if (parts := _design(preset, fixed)) else ""
    n_inputs = {result.n_inputs for result in cut.results}
    if n_inputs != {1}:
        said += f"Each point is the mean of {' or '.join(str(n) for n in sorted(n_inputs))} inputs. "
    if machine and cut.view.name in machine.cautions:
        said += f"{_capital(machine.cautions[cut.view.name])}. "
    said += _at_the_ends(machine, cut)
    if cut.n_infeasible:
        said += f"Left out: {cut.n_infeasible:,} without a result. "
    if cut.n_lines_left_out:
        said += f"Not shown: {cut.n_lines_left_out:,} of one value only, or beyond the first {MOST_LINES}. "
    return said.strip()


def _at_the_ends(machine: Machine | None, cut: Cut) -> str:
    """Return which of the lines have their best at an end of x, by what the lines are called."""
    if not isinstance(cut.view.over, str):
        return ""
    field = "" if cut.lines_by in ("", "workload") else f"{cut.lines_by} = "
    lines = {}
    for label, points in cut.lines.items():
        if told := best_at_the_ends([result for _, result in points], machine):
            lines.setdefault(told, []).append(label)
    return "".join(
        f"{field}{', '.join(labels)}: {told}. " if any(labels) else f"{told}. " for told, labels in lines.items()
    )


def _design(preset: str, fields: Mapping[str, Any]) -> list[str]:
    named = [f"preset {preset}"] if preset else []
    return named + [f"{field} = {series.plain(of_field)}" for field, of_field in fields.items()]


def _unpriced(cut: Cut) -> str:
    missing = [result.unpriced for result in cut.results if result.unpriced]
    if not missing or all(quantity.unit != "pJ" for quantity in cut.view.panels):
        return ""
    some = f" of {len(missing):,} of {len(cut.results):,}" if len(missing) < len(cut.results) else ""
    return f" No energy{some}: {missing[0]}."


def _thinned(cut: Cut) -> str:
    most = max(len(points) for points in cut.lines.values())
    return f" ({series.MOST_BARS} of {most:,} values)" if most > series.MOST_BARS else ""


def _of_maps(maps: Iterable[UnitMap]) -> list[Chart]:
    """Return the first map of each workload with the fewest units, and with the most; MOST_MAPS at most.

    Of a machine's kinds of units the one of which there are the most is shown.
    """
    ends: dict[tuple[str, str, str], list[UnitMap]] = {}
    for unit_map in maps:
        fewest, most = ends.setdefault((unit_map.machine, unit_map.kind, unit_map.workload), [unit_map, unit_map])
        if len(unit_map.cells) < len(fewest.cells):
            ends[unit_map.machine, unit_map.kind, unit_map.workload][0] = unit_map
        if len(unit_map.cells) > len(most.cells):
            ends[unit_map.machine, unit_map.kind, unit_map.workload][1] = unit_map
    n_units: dict[str, dict[str, int]] = {}
    for (machine, kind, _), (_, most) in ends.items():
        of_kind = n_units.setdefault(machine, {})
        of_kind[kind] = max(of_kind.get(kind, 0), len(most.cells))
    shown = [
        unit_map
        for (machine, kind, _), (fewest, most) in ends.items()
        if kind == max(n_units[machine], key=n_units[machine].__getitem__)
        for unit_map in ([fewest, most] if fewest is not most else [most])
    ]
    return [_of_map(unit_map) for unit_map in shown[:MOST_MAPS]]


def _of_map(unit_map: UnitMap) -> Chart:
    design = _design(*nearest_preset(machines.find(unit_map.machine), unit_map, ()))
    n_units, n_moments = unit_map.cells.shape
    caption = (
        f"The state of each {unit_map.kind} of {n_units:,} at {n_moments:,} evenly spaced moments of "
        f"{unit_map.cycles:,} cycles: "
        f"{', '.join([unit_map.workload, f'input {unit_map.input}', *design])}."
    )
    return Chart(
        _slug(f"{unit_map.machine}_map_{unit_map.workload}_{n_units}"),
        f"{unit_map.machine}: what each {unit_map.kind} of {n_units:,} did, {unit_map.workload}",
        caption,
        Map(unit_map.kind, places_of_states(unit_map.states), unit_map.states, unit_map.cells, unit_map.cycles),
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"each of {len(names)} workloads together ({', '.join(names)})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _slug(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text)
