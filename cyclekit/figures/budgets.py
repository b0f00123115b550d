"""Draw what layers cost at each level, and of networks brought within budgets what each layer gave and what is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from cyclekit.budgets.adapt import Adapted
from cyclekit.figures.style import PRINT, save, spread
from workloads.allocation.table import Cost, Table

N_ABREAST = 5  # panels


def draw_costs(table: Table, metric: str, unit: str, path: Path, title: str, about: str) -> Path:
    """Draw a panel a layer: its cost by the last knob of more than two levels, the others whole, and each halved."""
    costs = {name: cost for name, cost in table.costs.items() if cost.knobs}
    n_rows = -(-len(costs) // N_ABREAST)
    n_columns = min(len(costs), N_ABREAST)
    with mpl.rc_context(PRINT.style(**{"axes.grid.axis": "both"})):
        figure, panels = plt.subplots(n_rows, n_columns, figsize=(3.4 * n_columns, 3.2 * n_rows), squeeze=False)
        for panel in panels.flat[len(costs) :]:
            panel.set_axis_off()
        for panel, (name, cost) in zip(panels.flat, costs.items(), strict=False):
            axis = max(range(len(cost.knobs)), key=lambda place: (len(table.levels[cost.knobs[place]]) > 2, place))
            own = cost.knobs[axis]
            lines = {"": _along(cost, axis, {})}
            for place, knob in enumerate(cost.knobs):
                if place != axis:
                    half = len(table.levels[knob]) // 2
                    label = f"{table.levels[knob][half]:g} into it" if half > 1 else knob.rpartition(" ")[2]
                    lines[label] = _along(cost, axis, {place: half})
            if len(lines) > 1 and len(cost.knobs) > 1:
                lines = {"whole": lines.pop("")} | lines
            for (label, line), colour in zip(lines.items(), PRINT.series, strict=False):
                panel.step(table.levels[own], line, where="mid", color=colour, linewidth=1.3, label=label)
            panel.set(xlabel=unit if own == name else f"{unit} of {own}", ylabel=f"cost [{metric}]")
            panel.set_title(name, loc="left", fontsize=9)
            panel.set_ylim(0, 1.08 * max(map(max, lines.values())))
            if any(lines):
                panel.legend(fontsize=8)
        figure.tight_layout()
        figure.suptitle(title, x=0.02, y=1.0, ha="left", va="bottom", fontsize=10)
        save(figure, path, about)
    return path


def draw_layers(results: Sequence[Adapted], metric: str, unit: str, path: Path, title: str, about: str) -> Path:
    """Draw which layers gave what: a row a budget, on the left what stays of each layer, on the right what it costs.

    Bars by method, the dense network's as an outline around them.
    """
    budgets = list(dict.fromkeys(result.budget for result in results))
    names = list(results[0].levels)
    places, size = np.arange(len(names)), (max(7.0, 1.6 + 1.5 * len(names)), 2.6 * len(budgets))
    with mpl.rc_context(PRINT.style()):
        figure, rows = plt.subplots(len(budgets), 2, figsize=size, squeeze=False, sharex=True)
        for row, budget in zip(rows, budgets, strict=True):
            of_budget = [result for result in results if result.budget == budget]
            wide = 0.8 / len(of_budget)
            for i, (result, colour) in enumerate(zip(of_budget, PRINT.series * 2, strict=False)):
                left = places - 0.4 + wide * i
                shares = [100 * after / before for before, after in result.levels.values()]
                costs = [after for _, after in result.costs.values()]
                for panel, heights in zip(row, (shares, costs), strict=True):
                    panel.bar(left, heights, wide, align="edge", color=colour, label=result.method)
            whole = [100.0] * len(names), [before for before, _ in of_budget[0].costs.values()]
            for panel, heights in zip(row, whole, strict=True):
                panel.bar(places, heights, 0.8, fill=False, edgecolor=PRINT.ink, linewidth=0.8, label="dense")
                panel.set_xticks(places, names, rotation=0 if len(names) < 7 else 45)
            row[0].set(ylabel=f"{unit} left [%]")
            row[1].set(ylabel=f"cost [{metric}]")
            row[0].set_title(f"budget {budget:,.4g} {metric}", loc="left", fontsize=9)
        figure.tight_layout()
        figure.suptitle(title, x=0.02, y=1.0, ha="left", va="bottom", fontsize=10)
        figure.legend(*rows[0, 0].get_legend_handles_labels(), loc="center left", bbox_to_anchor=(1.0, 0.5))
        save(figure, path, about)
    return path


def _along(cost: Cost, axis: int, others: Mapping[int, int]) -> np.ndarray:
    """Return f64[levels] of one knob of a cost, the others at these levels or whole."""
    return cost.amounts[
        tuple(slice(None) if place == axis else others.get(place, 0) for place in range(cost.amounts.ndim))
    ]


def draw_tradeoff(results: Sequence[Adapted], metric: str, measure: str, path: Path, title: str, about: str) -> Path:
    """Draw accuracy after the tuning against cost, a line a method; the dense network as a star."""
    with mpl.rc_context(PRINT.style(**{"axes.grid.axis": "both"})):
        figure, panel = plt.subplots(figsize=(7, 4.2))
        for method, colour in zip(dict.fromkeys(r.method for r in results), PRINT.series * 2, strict=False):
            own = sorted((r.cost, r.values[2]) for r in results if r.method == method and r.values[2] is not None)
            if own:
                panel.plot(*zip(*own, strict=True), color=colour, marker="o", markersize=4, linewidth=1.3, label=method)
        dense = results[0]
        shown = [value for result in results for value in (result.values[0], result.values[2]) if value is not None]
        if shown:
            spread(panel, y=shown)
        if measure == "accuracy":
            panel.set_ylim(top=min(1.01, panel.get_ylim()[1]))  # there is none above 1
        if dense.values[0] is not None:
            panel.plot([dense.dense_cost], [dense.values[0]], "*", color=PRINT.ink, markersize=10, label="dense")
        panel.set(xlabel=f"cost [{metric}]", ylabel=f"{measure}, tuned")
        panel.set_title(title, loc="left", fontsize=10)
        figure.legend(*panel.get_legend_handles_labels(), loc="center left", bbox_to_anchor=(0.91, 0.5))
        save(figure, path, about)
    return path
