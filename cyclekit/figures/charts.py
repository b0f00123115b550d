"""The figures that stored results support: which there are, what each shows, and how one is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cyclekit import machine as machines
from cyclekit.figures import series
from cyclekit.figures.cuts import MOST_LINES, Cut, cut, nearest_preset, varied
from cyclekit.figures.figure import Front, Lines, Map, Stacks
from cyclekit.machine import Machine
from cyclekit.sweep.results import Result, UnitMap
from cyclekit.views import ENERGY, LOAD_BALANCE, TIME, View
from workloads.errors import BadInput

MOST_MAPS = 6


@dataclass(frozen=True)
class Chart:
    """One figure. name: the stem of its file, unique among those of one call of `charts`; caption: what is shown."""

    name: str
    title: str
    caption: str
    data: Lines | Stacks | Front | Map

    def draw(self, theme: str) -> Any:
        """Return matplotlib's Figure in a theme, "print" or "dark"; who calls closes it."""
        from cyclekit.figures.draw import draw  # late: matplotlib is slow to import

        return draw(self.data, self.title, theme)


def write(chart: Chart, path: Path, theme: str = "print") -> None:
    """Write a figure as the file's suffix says, .png or .svg, whole or not at all; theme: "print" or "dark".

    Raises BadInput for another suffix, or where the file cannot be written.
    """
    from cyclekit.figures.style import save

    if path.suffix not in (".png", ".svg"):
        raise BadInput(f"a figure must be a .png or .svg file, got {str(path)!r}")
    try:
        save(chart.draw(theme), path)
    except OSError as error:
        raise BadInput(f"{str(path)!r} could not be written: {error.strerror or error}") from error


def charts(results: Sequence[Result], maps: Iterable[UnitMap] = ()) -> list[Chart]:
    """Return the figures that results of a store support, a machine after the other, then those of its unit maps.

    Nothing is averaged over a field that varies: it is x, or lines, or fixed, and the caption says at what.
    """
    by_machine: dict[str, list[Result]] = {}
    for result in results:
        by_machine.setdefault(result.machine, []).append(result)
    found = [chart for name, own in by_machine.items() for chart in _of_machine(name, own)]
    found += _of_maps(results, maps)
    uses: dict[str, int] = {}
    for place, chart in enumerate(found):
        uses[chart.name] = n = uses.get(chart.name, 0) + 1
        found[place] = chart if n == 1 else replace(chart, name=f"{chart.name}_{n}")
    return found


def _of_machine(name: str, results: Sequence[Result]) -> list[Chart]:
    machine = machines.find(name)
    found = [chart for made in _cuts(machine, results) for chart in _of_cut(name, machine, made)]
    if (made := series.front(results)) is not None:
        data, workloads = made
        what = " or ".join(plane.y_label.partition(" [")[0] for plane in data.planes)
        n_designs = len(data.planes[0].designs)
        caption = (
            f"{_capital(what)} against time of {n_designs:,} designs, one input of {_listed(workloads)}; "
            f"joined: those that no other one beats in both. Labels: {data.design_label}."
        )
        found.append(Chart(_slug(f"{name}_pareto"), f"{name}: Pareto's front of time and {what}", caption, data))
    return found


def _cuts(machine: Machine | None, results: Sequence[Result]) -> list[Cut]:
    """Return a cut for each of the machine's own views, then for each other field that varies; or for a lone design."""
    cuts = [made for view in (machine.views if machine else ()) if (made := cut(results, view, machine)) is not None]
    told = {"workload", "engine", *(name for made in cuts for name in (made.view.over, made.view.lines))}
    balance = replace(LOAD_BALANCE, label=machine.balance) if machine else LOAD_BALANCE
    usual = [View(name, (TIME, balance, ENERGY)) for name in varied(results) if name not in told]
    cuts += [made for view in usual if (made := cut(results, view, machine)) is not None]
    if not cuts and (made := cut(results, View("workload", ()), machine)) is not None:
        cuts = [made]
    return cuts


def _of_cut(name: str, machine: Machine | None, made: Cut) -> list[Chart]:
    """Return the lines along a cut, where the cycles went, and where the energy went; those that there are."""
    label = made.view.label or series.field_label(made.view.name)
    stem, plain, said = _slug(f"{name}_{made.view.name}"), label.partition(" [")[0], _said(machine, made)
    found = []
    if (data := series.lines(made, label)) is not None:
        what = ", ".join(panel.y_label.partition(" [")[0] for panel in data.panels)
        each = f", a line for each {series.field_label(made.lines_by).partition(' [')[0]}" if made.lines_by else ""
        title = f"{name}: {what}"
        caption = f"{_capital(what)} against {plain}{each}. {said}{_unpriced(made)}"
        found.append(Chart(stem, title, caption, data))
    panels = f", a panel for each {series.field_label(made.lines_by).partition(' [')[0]}" if made.lines_by else ""
    for suffix, title, data in (
        ("states", "where the cycles went", series.states(made, label)),
        ("energy", "energy by module", series.energy(made, label)),
    ):
        if data is not None:
            caption = f"{_capital(title)} against {plain}{_thinned(made)}{panels}. {said}"
            found.append(Chart(f"{stem}_{suffix}", f"{name}: {title}", caption, data))
    return found


def _said(machine: Machine | None, made: Cut) -> str:
    """Return which results a cut shows: the design, what is fixed, what is left out."""
    told = (made.view.over, made.lines_by)
    preset, changes = nearest_preset(machine, made.results[0].spec, told)
    fixed = {**changes, **made.fixed}
    workloads = {result.workload for result in made.results}
    if len(workloads) == 1:
        fixed = {"workload": workloads.pop(), **fixed}
    said = f"Fixed: {', '.join(parts)}. " if (parts := _design(preset, fixed)) else ""
    n_inputs = {result.n_inputs for result in made.results}
    if n_inputs != {1}:
        said += f"Each point is the mean of {' or '.join(str(n) for n in sorted(n_inputs))} inputs. "
    if made.n_infeasible:
        said += f"Left out: {made.n_infeasible:,} infeasible. "
    if made.n_lines_left_out:
        said += f"Not shown: {made.n_lines_left_out:,} of one value only, or beyond the first {MOST_LINES}. "
    return said.strip()


def _design(preset: str, fields: Mapping[str, Any]) -> list[str]:
    named = [f"preset {preset}"] if preset else []
    return named + [f"{field} = {series.plain(of_field)}" for field, of_field in fields.items()]


def _unpriced(made: Cut) -> str:
    missing = [result.unpriced for result in made.results if result.unpriced]
    if not missing or all(quantity.unit != "pJ" for quantity in made.view.panels):
        return ""
    some = f" of {len(missing):,} of {len(made.results):,}" if len(missing) < len(made.results) else ""
    return f" No energy{some}: {missing[0]}."


def _thinned(made: Cut) -> str:
    most = max(len(points) for points in made.lines.values())
    return f" ({series.MOST_BARS} of {most:,} values)" if most > series.MOST_BARS else ""


def _of_maps(results: Sequence[Result], maps: Iterable[UnitMap]) -> list[Chart]:
    """Return the first map of each workload with the fewest units, and with the most; MOST_MAPS at most.

    Of a machine's kinds of units the one of which there are the most is shown.
    """
    ends: dict[tuple[str, str, str], list[UnitMap]] = {}
    for found in maps:
        fewest, most = ends.setdefault((found.machine, found.kind, found.workload), [found, found])
        if len(found.cells) < len(fewest.cells):
            ends[found.machine, found.kind, found.workload][0] = found
        if len(found.cells) > len(most.cells):
            ends[found.machine, found.kind, found.workload][1] = found
    n_units: dict[str, dict[str, int]] = {}
    for (machine, kind, _), (_, most) in ends.items():
        of_kind = n_units.setdefault(machine, {})
        of_kind[kind] = max(of_kind.get(kind, 0), len(most.cells))
    shown = [
        found
        for (machine, kind, _), (fewest, most) in ends.items()
        if kind == max(n_units[machine], key=n_units[machine].__getitem__)
        for found in ([fewest, most] if fewest is not most else [most])
    ]
    return [_of_map(results, found) for found in shown[:MOST_MAPS]]


def _of_map(results: Sequence[Result], found: UnitMap) -> Chart:
    design = _design(*nearest_preset(machines.find(found.machine), found.spec, ()))
    n_units, n_moments = found.cells.shape
    of_machine = (result.states.get(found.kind) for result in results if result.machine == found.machine)
    places = series.places(found.states, list(next((spent for spent in of_machine if spent), ())))
    caption = (
        f"The state of each {found.kind} of {n_units:,} at {n_moments:,} evenly spaced moments of {found.cycles:,} "
        "cycles: "
        f"{', '.join([found.workload, f'input {found.input}', *design])}."
    )
    return Chart(
        _slug(f"{found.machine}_map_{found.workload}_{n_units}"),
        f"{found.machine}: what each {found.kind} of {n_units:,} did, {found.workload}",
        caption,
        Map(found.kind, places, found.states, found.cells, found.cycles),
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"each of {len(names)} workloads together ({', '.join(names)})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _slug(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text)
