"""Draw what layers cost at each level, and accuracy against cost of networks brought within budgets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt

from cyclekit.budgets.adapt import Adapted
from cyclekit.figures.style import PRINT, save
from workloads.allocation.table import Table


def draw_costs(table: Table, metric: str, unit: str, path: Path, title: str) -> Path:
    """Draw a panel a layer: its cost at each level, where it hangs on the layer before with that whole and halved."""
    names = [name for name in table.levels if len(table.levels[name]) > 1]
    with mpl.rc_context(PRINT.style(**{"axes.grid.axis": "both"})):
        figure, panels = plt.subplots(1, len(names), figsize=(3.4 * len(names), 3.2), squeeze=False)
        for panel, name in zip(panels[0], names, strict=True):
            levels, costs = table.levels[name], table.costs[name]
            rows = {"": 0}
            if name in table.before:
                before = table.levels[table.before[name]]
                rows = {f"{before[i]:g} into it": i for i in sorted({0, len(before) // 2})}
            for (label, row), colour in zip(rows.items(), PRINT.series, strict=False):
                panel.step(levels, costs[row], where="mid", color=colour, linewidth=1.3, label=label)
            panel.set(xlabel=unit, ylabel=f"cost [{metric}]", title=name)
            if any(rows):
                panel.legend(fontsize=8)
        figure.suptitle(title, x=0.02, y=1.02, ha="left", fontsize=10)
        figure.tight_layout()
        save(figure, path)
    return path


def draw_tradeoff(results: Sequence[Adapted], metric: str, path: Path, title: str) -> Path:
    """Draw accuracy after the tuning against cost, a line a method; the dense network as a star."""
    with mpl.rc_context(PRINT.style(**{"axes.grid.axis": "both"})):
        figure, panel = plt.subplots(figsize=(7, 4.2))
        for method, colour in zip(dict.fromkeys(r.method for r in results), PRINT.series * 2, strict=False):
            own = sorted((r.cost, r.values[2]) for r in results if r.method == method and r.values[2] is not None)
            if own:
                panel.plot(*zip(*own, strict=True), color=colour, marker="o", markersize=4, linewidth=1.3, label=method)
        dense = results[0]
        if dense.values[0] is not None:
            panel.plot([dense.dense_cost], [dense.values[0]], "*", color=PRINT.ink, markersize=10, label="dense")
        panel.set(xlabel=f"cost [{metric}]", ylabel="quality, tuned")
        panel.set_title(title, loc="left", fontsize=10)
        figure.legend(*panel.get_legend_handles_labels(), loc="center left", bbox_to_anchor=(0.91, 0.5))
        save(figure, path)
    return path
