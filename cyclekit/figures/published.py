"""Draw published values beside simulated ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cyclekit.figures.colours import KINDS, places
from cyclekit.figures.style import PLAIN, PRINT, save
from cyclekit.validation import Comparison

FITTED = {"as published": "no constant fitted", "calibrated": "a constant fitted on it"}  # what a row's kind says of it


def bars_beside_paper(rows: Sequence[Comparison], path: Path, *, setting: str, about: str, log: bool = False) -> None:
    """Draw one figure of a paper again: bars by layer and setting, the published value as a tick; a panel a kind."""
    kinds = list(dict.fromkeys(row.kind for row in rows))
    layers = list(dict.fromkeys(row.layer for row in rows))
    settings = list(dict.fromkeys(row.setting for row in rows))
    with mpl.rc_context(PRINT.style()):
        figure, panels = plt.subplots(len(kinds), 1, figsize=(11, 3.0 * len(kinds)), sharex=True, squeeze=False)
        width = 0.85 / len(settings)
        colours = plt.get_cmap("viridis_r")(np.linspace(0.1, 0.95, len(settings)))
        for panel, kind in zip(panels[:, 0], kinds, strict=True):
            for row in (row for row in rows if row.kind == kind):
                place = settings.index(row.setting)
                x = layers.index(row.layer) + (place - (len(settings) - 1) / 2) * width
                panel.bar(x, row.simulated, width * 0.92, color=colours[place])
                panel.hlines(row.published, x - width * 0.46, x + width * 0.46, color=PRINT.ink, linewidth=1.6)
            panel.set_title(f"layers {kind}", loc="left", fontsize=9)
            what = rows[0].quantity.partition(" against")[0].partition(" at ")[0]
            panel.set_ylabel(f"{what} [{'times' if rows[0].unit == 'x' else rows[0].unit}]")
            if log:
                panel.set_yscale("log", base=2)
            panel.yaxis.set_major_formatter(PLAIN)
        panels[-1, 0].set_xticks(range(len(layers)), layers)
        handles = [Patch(color=colour, label=text) for colour, text in zip(colours, settings, strict=True)]
        handles.append(Line2D([], [], color=PRINT.ink, linewidth=1.6, label="published"))
        figure.legend(handles=handles, title=setting, loc="center left", bbox_to_anchor=(0.91, 0.5))
        figure.suptitle(
            f"{rows[0].source}: {rows[0].quantity}, simulated (bars) and published (ticks)",
            x=0.125,
            y=0.88 + 0.35 / figure.get_figheight(),  # inches above the panels
            ha="left",
            va="bottom",
        )
        save(figure, path, about)


def times_beside_paper(rows: Sequence[Comparison], path: Path, *, about: str) -> None:
    """Draw a table of times: a panel a quantity, the published bar beside one for each kind of layers."""
    kinds = list(dict.fromkeys(row.kind for row in rows))
    layers = list(dict.fromkeys(row.layer for row in rows))
    quantities = list(dict.fromkeys(row.quantity for row in rows))
    with mpl.rc_context(PRINT.style()):
        figure, panels = plt.subplots(
            len(quantities), 1, figsize=(9, 2.6 * len(quantities)), sharex=True, squeeze=False
        )
        width = 0.8 / (len(kinds) + 1)
        for panel, quantity in zip(panels[:, 0], quantities, strict=True):
            for place, (name, colour) in enumerate([("", PRINT.ink), *_colours(kinds).items()]):
                chosen = [row for row in rows if row.quantity == quantity and row.kind == (name or kinds[0])]
                xs = [layers.index(row.layer) + (place - len(kinds) / 2) * width for row in chosen]
                heights = [row.simulated if name else row.published for row in chosen]
                label = f"simulated: layers {name}" if name else "published"
                drawn = panel.bar(xs, heights, width * 0.94, color=colour, label=label)
                if name:
                    panel.bar_label(drawn, [f"{row.error:+.0f}%" for row in chosen], fontsize=5.5, padding=1)
            panel.set_ylabel(f"{quantity} [{rows[0].unit}]")
        panels[-1, 0].set_xticks(range(len(layers)), layers)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, ncols=len(kinds) + 1, loc="lower left", bbox_to_anchor=(0.115, 0.885))
        figure.suptitle(f"{rows[0].source}: published and simulated", x=0.125, y=0.99, ha="left")
        save(figure, path, about)


def _colours(kinds: Sequence[str]) -> dict[str, str]:
    return {kind: PRINT.series[place % len(PRINT.series)] for kind, place in places(kinds, KINDS).items()}


def errors_by_row(rows: Sequence[Comparison], path: Path, *, title: str, band: float, about: str) -> None:
    """Draw the error of every comparison as a point, one line each, coloured by kind; `band` [%] is shaded."""
    kinds = list(dict.fromkeys(row.kind for row in rows))
    recalled = {"R": " (recalled)"}
    labels = [
        ", ".join(
            part
            for part in (row.quantity, row.layer, row.setting)
            if part and (part == row.quantity or part not in row.quantity)
        )
        + recalled.get(row.mark, "")
        for row in rows
    ]
    with mpl.rc_context(PRINT.style(**{"axes.grid.axis": "both"})):
        figure, panel = plt.subplots(figsize=(9, 0.8 + 0.17 * len(rows)))
        panel.axvspan(-band, band, color="#e6eef6", zorder=0)
        panel.axvline(0, color=PRINT.ink, linewidth=0.8)
        for kind, colour in _colours(kinds).items():
            chosen = [(row.error, place) for place, row in enumerate(rows) if row.kind == kind]
            panel.scatter(*zip(*chosen, strict=True), color=colour, s=16, label=FITTED.get(kind, kind), zorder=3)
        panel.set_yticks(range(len(rows)), labels, fontsize=6.5)
        panel.set_ylim(len(rows) - 0.4, -0.6)
        panel.set_xlabel(f"simulated against published [%]; shaded: within {band:g}%")
        panel.set_title(title, loc="left")
        if len(kinds) > 1:
            panel.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        save(figure, path, about)


def times_on_diagonal(rows: Sequence[Comparison], path: Path, *, title: str, band: float, about: str) -> None:
    """Draw simulated against published times, a colour and mark a quantity; `band` [%] about the diagonal is shaded."""
    quantities = list(dict.fromkeys(row.quantity for row in rows))
    ends = [min(min(row.published, row.simulated) for row in rows), max(max(r.published, r.simulated) for r in rows)]
    diagonal = np.array([ends[0] / 1.3, ends[1] * 1.3])
    with mpl.rc_context(PRINT.style(**{"axes.grid.axis": "both"})):
        figure, panel = plt.subplots(figsize=(7, 5.5))
        panel.fill_between(
            diagonal, diagonal * (1 - band / 100), diagonal * (1 + band / 100), color="#e6eef6", zorder=0
        )
        panel.plot(diagonal, diagonal, color=PRINT.ink, linewidth=0.8)
        for place, quantity in enumerate(quantities):
            chosen = [(row.published, row.simulated) for row in rows if row.quantity == quantity]
            colour, marker = PRINT.series[place // 2 % len(PRINT.series)], "o^"[place % 2]
            panel.scatter(*zip(*chosen, strict=True), color=colour, marker=marker, s=16, label=quantity, zorder=3)
        panel.set(xscale="log", yscale="log", xlim=diagonal, ylim=diagonal)
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_formatter(PLAIN)
        panel.set_xlabel(f"published [{rows[0].unit}]; shaded: within {band:g}%")
        panel.set_ylabel(f"simulated [{rows[0].unit}]")
        panel.set_title(title, loc="left")
        panel.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        save(figure, path, about)
