"""The figures that stored results support: which there are, what each shows, and how one is written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cyclekit import machine as machines
from cyclekit import series
from cyclekit.cuts import MOST_LINES, Cut, cut, is_number, nearest_preset, varied
from cyclekit.figure import Front, Lines, Map, Stacks
from cyclekit.machine import Machine
from cyclekit.results import Result
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
        from cyclekit.plots.draw import draw  # late: matplotlib is slow to import

        return draw(self.data, self.title, theme)


def write(chart: Chart, path: Path, theme: str = "print") -> None:
    """Write a figure as the file's suffix says, .png or .svg, whole or not at all; theme: "print" or "dark"."""
    from cyclekit.plots.style import save

    if path.suffix not in (".png", ".svg"):
        raise BadInput(f"a figure must be a .png or .svg file, got {str(path)!r}")
    save(chart.draw(theme), path)


def charts(results: Sequence[Result], maps: Iterable[Any] = ()) -> list[Chart]:
    """Return the figures that results of a store support, a machine after the other, then those of its unit maps.

    maps: `cyclekit.results.UnitMap`s. Nothing is averaged over a field that varies: it is x, or lines, or fixed, and
    the caption says at what.
    """
    by_machine: dict[str, list[Result]] = {}
    for result in results:
        by_machine.setdefault(result.machine, []).append(result)
    found = [chart for name, own in by_machine.items() for chart in _of_machine(name, own)]
    found += _of_maps(maps)
    uses: dict[str, int] = {}
    for place, chart in enumerate(found):
        uses[chart.name] = n = uses.get(chart.name, 0) + 1
        found[place] = chart if n == 1 else replace(chart, name=f"{chart.name}_{n}")
    return found


def _of_machine(name: str, results: Sequence[Result]) -> list[Chart]:
    machine = _machine(name)
    cuts = [made for view in _views(machine, results) if (made := cut(results, view, machine)) is not None]
    if not cuts and (made := cut(results, View("workload", ()), machine)) is not None:
        cuts = [made]
    found = [chart for made in cuts for chart in _of_cut(name, machine, made)]
    if (made := series.front(results)) is not None:
        data, workloads = made
        what = " and ".join(plane.y_label.partition(" [")[0] for plane in data.planes)
        n_designs = len(data.planes[0].designs)
        caption = (
            f"Time against {what} of {n_designs:,} designs, one input of each of {_listed(workloads)} together; "
            f"joined: those that no other one beats in both. Labels: {data.design_label}."
        )
        found.append(Chart(_slug(f"{name}_pareto"), f"{name}: Pareto's front", caption, data))
    return found


def _machine(name: str) -> Machine | None:
    try:
        return machines.load(name)
    except BadInput:  # a store can outlive its machine's package
        return None


def _views(machine: Machine | None, results: Sequence[Result]) -> list[View]:
    """Return the machine's own views, then one of each other field that varies."""
    own = list(machine.views) if machine else []
    told = {name for view in own for name in (view.over, view.lines)}
    balance = replace(LOAD_BALANCE, label=machine.balance) if machine else LOAD_BALANCE
    others = [name for name in varied(results) if name not in ("workload", "engine") and name not in told]
    return own + [View(name, (TIME, balance, ENERGY)) for name in others]


def _of_cut(name: str, machine: Machine | None, made: Cut) -> list[Chart]:
    """Return the lines along a cut, where the cycles went, and where the energy went; those that there are."""
    label = made.view.label or series.field_label(made.view.name)
    stem, plain, said = _slug(f"{name}_{made.view.name}"), label.partition(" [")[0], _said(machine, made)
    found = []
    if (data := series.lines(made, label)) is not None:
        what = ", ".join(panel.y_label.partition(" [")[0] for panel in data.panels)
        each = f", a line for each {_word(made.lines_by)}" if made.lines_by else ""
        title = f"{name}: {what}"
        missing = _unpriced(made) if len(data.panels) < len(made.view.panels) else ""
        found.append(Chart(stem, title, f"{_capital(what)} against {plain}{each}. {said}{missing}", data))
    panels = f", a panel for each {_word(made.lines_by)}" if made.lines_by else ""
    for suffix, title, data in (
        ("states", "where the cycles went", series.states(made, label)),
        ("energy", "energy by module", series.energy(made, label)),
    ):
        if data is not None:
            caption = f"{_capital(title)} against {plain}{panels}{_thinned(made)}. {said}"
            found.append(Chart(f"{stem}_{suffix}", f"{name}: {title}", caption, data))
    return found


def _said(machine: Machine | None, made: Cut) -> str:
    """Return which results a cut shows: the design, what is fixed, what is left out."""
    told = (made.view.over, made.lines_by)
    preset, changes = nearest_preset(machine, made.results[0], told)
    fixed = {**changes, **made.fixed}
    workloads = {result.workload for result in made.results}
    if len(workloads) == 1:
        fixed = {"workload": workloads.pop(), **fixed}
    parts = [", ".join(f"{field} = {_plain(of_field)}" for field, of_field in fixed.items())]
    if preset:
        parts.insert(0, f"preset {preset}")
    said = f"Fixed: {', '.join(part for part in parts if part)}. " if any(parts) else ""
    n_inputs = {result.n_inputs for result in made.results}
    if n_inputs != {1}:
        said += f"Each point is the mean of {' or '.join(str(n) for n in sorted(n_inputs))} inputs. "
    if made.n_infeasible:
        said += f"Left out: {made.n_infeasible:,} infeasible. "
    if made.n_lines_left_out:
        said += f"Not shown: {made.n_lines_left_out:,} of one value only, or beyond the first {MOST_LINES}. "
    return said.strip()


def _unpriced(made: Cut) -> str:
    why = next((result.unpriced for result in made.results if result.unpriced), "")
    return f" No energy: {why}." if why else ""


def _thinned(made: Cut) -> str:
    most = max(len(points) for points in made.lines.values())
    return f" ({series.MOST_BARS} of {most:,} values)" if most > series.MOST_BARS else ""


def _of_maps(maps: Iterable[Any]) -> list[Chart]:
    """Return the first map of each workload with the fewest units, and with the most; MOST_MAPS at most."""
    chosen: dict[tuple[str, str], dict[str, Any]] = {}
    kinds: dict[str, str] = {}
    for found in maps:
        if found.kind != kinds.setdefault(found.machine, found.kind):
            continue  # the machine's first kind: its workers
        ends = chosen.setdefault((found.machine, found.workload), {"fewest": found, "most": found})
        if len(found.cells) < len(ends["fewest"].cells):
            ends["fewest"] = found
        if len(found.cells) > len(ends["most"].cells):
            ends["most"] = found
    picked = []
    for ends in chosen.values():
        picked += [ends["fewest"], ends["most"]] if ends["most"] is not ends["fewest"] else [ends["most"]]
    return [_of_map(found) for found in picked[:MOST_MAPS]]


def _of_map(found: Any) -> Chart:
    preset, changes = nearest_preset(_machine(found.machine), found, ())
    design = ", ".join([*([f"preset {preset}"] if preset else []), *(f"{k} = {_plain(v)}" for k, v in changes.items())])
    n_units, n_bins = found.cells.shape
    title = f"{found.machine}: what each {found.kind} did, {found.workload}, {n_units:,} units"
    caption = (
        f"The state in which each of {n_units:,} {found.kind} spent most of each of {n_bins:,} bins of "
        f"{found.cycles / n_bins:,.4g} cycles: {found.workload}, input {found.input}; {design}."
    )
    name = _slug(f"{found.machine}_map_{found.workload}_{n_units}")
    return Chart(name, title, caption, Map(found.kind, found.states, found.cells, found.cycles))


def _word(name: str) -> str:
    return name.replace("_", " ")


def _plain(found: Any) -> str:
    return f"{found:g}" if is_number(found) else str(found)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} workloads ({', '.join(names)})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _slug(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text)
