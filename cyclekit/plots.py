"""Figures, drawn from stored rows and states only: one style, units on every axis, PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cyclekit.validation import Comparison

# One colour a state, by its number: work in blues, own losses yellow and violet, starvation in reds, the end in greys.
STATE_COLOURS = (
    "#1f4e79", "#7fb2e5", "#d9c24a", "#9e7bb5", "#c9302c", "#f08a5d", "#f9cfa5", "#5e3c99", "#8f8f8f", "#d4d4d4",
    "#3b3b3b", "#e8e1d0",
)  # fmt: skip
SERIES_COLOURS = ("#1f4e79", "#f08a5d", "#5e3c99", "#6b8f3a", "#c9302c", "#8f8f8f")
PAPER = "#111111"
STYLE = {
    "figure.dpi": 150,
    "savefig.bbox": "tight",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#dddddd",
    "legend.frameon": False,
}


def bars_beside_paper(rows: Sequence[Comparison], path: Path, *, setting: str, log: bool = False) -> None:
    """Draw one figure of a paper again: bars by layer and setting, the published value as a tick; a panel a kind."""
    kinds = list(dict.fromkeys(row.kind for row in rows))
    layers = list(dict.fromkeys(row.layer for row in rows))
    settings = list(dict.fromkeys(row.setting for row in rows))
    with mpl.rc_context(STYLE):
        figure, panels = plt.subplots(len(kinds), 1, figsize=(11, 3.0 * len(kinds)), sharex=True, squeeze=False)
        width = 0.85 / len(settings)
        colours = plt.get_cmap("viridis_r")(np.linspace(0.1, 0.95, len(settings)))
        for panel, kind in zip(panels[:, 0], kinds, strict=True):
            for row in (row for row in rows if row.kind == kind):
                place = settings.index(row.setting)
                x = layers.index(row.layer) + (place - (len(settings) - 1) / 2) * width
                panel.bar(x, row.simulated, width * 0.92, color=colours[place])
                panel.hlines(row.published, x - width * 0.46, x + width * 0.46, color=PAPER, linewidth=1.6)
            panel.set_title(f"workloads {kind}", loc="left", fontsize=9)
            panel.set_ylabel(
                f"{rows[0].quantity.split(' against')[0]} [{'times' if rows[0].unit == 'x' else rows[0].unit}]"
            )
            if log:
                panel.set_yscale("log", base=2)
                panel.yaxis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
        panels[-1, 0].set_xticks(range(len(layers)), layers)
        handles = [Patch(color=colour, label=text) for colour, text in zip(colours, settings, strict=True)]
        handles.append(Line2D([], [], color=PAPER, linewidth=1.6, label="paper"))
        figure.legend(handles=handles, title=setting, loc="center left", bbox_to_anchor=(0.91, 0.5))
        figure.suptitle(
            f"{rows[0].source}: {rows[0].quantity}, simulated (bars) and published (ticks)", x=0.125, ha="left"
        )
        _save(figure, path)


def times_beside_paper(rows: Sequence[Comparison], path: Path) -> None:
    """Draw a table of times: a panel a quantity, the paper's bar beside one for each kind of workload."""
    kinds = list(dict.fromkeys(row.kind for row in rows))
    layers = list(dict.fromkeys(row.layer for row in rows))
    quantities = list(dict.fromkeys(row.quantity for row in rows))
    with mpl.rc_context(STYLE):
        figure, panels = plt.subplots(
            len(quantities), 1, figsize=(9, 2.6 * len(quantities)), sharex=True, squeeze=False
        )
        width = 0.8 / (len(kinds) + 1)
        for panel, quantity in zip(panels[:, 0], quantities, strict=True):
            for place, (name, colour) in enumerate(
                [("paper", PAPER), *zip(kinds, ("#f08a5d", "#1f4e79"), strict=True)]
            ):
                chosen = [
                    row
                    for row in rows
                    if row.quantity == quantity and row.kind == (kinds[0] if name == "paper" else name)
                ]
                xs = [layers.index(row.layer) + (place - len(kinds) / 2) * width for row in chosen]
                heights = [row.published if name == "paper" else row.simulated for row in chosen]
                label = name if name == "paper" else f"simulated, {name}"
                drawn = panel.bar(xs, heights, width * 0.94, color=colour, label=label)
                if name != "paper":
                    panel.bar_label(drawn, [f"{row.error:+.0f}%" for row in chosen], fontsize=5.5, padding=1)
            panel.set_ylabel(f"{quantity} [{rows[0].unit}]")
        panels[-1, 0].set_xticks(range(len(layers)), layers)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, ncols=len(kinds) + 1, loc="lower left", bbox_to_anchor=(0.115, 0.885))
        figure.suptitle(f"{rows[0].source}: published and simulated", x=0.125, y=0.99, ha="left")
        _save(figure, path)


def errors_by_row(rows: Sequence[Comparison], path: Path, *, title: str, band: float) -> None:
    """Draw the error of every comparison as a point, one line each, coloured by kind; `band` [%] is shaded."""
    kinds = list(dict.fromkeys(row.kind for row in rows))
    labels = [", ".join(part for part in (row.quantity, row.layer, row.setting) if part) for row in rows]
    with mpl.rc_context({**STYLE, "axes.grid.axis": "both"}):
        figure, panel = plt.subplots(figsize=(9, 0.8 + 0.17 * len(rows)))
        panel.axvspan(-band, band, color="#e6eef6", zorder=0)
        panel.axvline(0, color=PAPER, linewidth=0.8)
        for kind, colour in zip(kinds, SERIES_COLOURS, strict=False):
            chosen = [(row.error, place) for place, row in enumerate(rows) if row.kind == kind]
            panel.scatter(*zip(*chosen, strict=True), color=colour, s=16, label=kind, zorder=3)
        panel.set_yticks(range(len(rows)), labels, fontsize=6.5)
        panel.set_ylim(len(rows) - 0.4, -0.6)
        panel.set_xlabel(f"simulated against published [%]; shaded: within {band:g}%")
        panel.set_title(title, loc="left")
        panel.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        _save(figure, path)


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    path: Path,
    *,
    title: str,
    x_label: str,
    y_label: str,
    measured: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
    limit: tuple[str, float] | None = None,
    log_y: bool = False,
) -> None:
    """Draw lines over a logarithmic axis, measured points in the lines' colours; limit: a dashed line."""
    with mpl.rc_context({**STYLE, "axes.grid.axis": "both"}):
        figure, panel = plt.subplots(figsize=(8, 4.2))
        for (label, (xs, ys)), colour in zip(series.items(), SERIES_COLOURS, strict=False):
            panel.plot(xs, ys, color=colour, marker="o", markersize=3, linewidth=1.4, label=label)
        for (label, (xs, ys)), colour in zip((measured or {}).items(), SERIES_COLOURS, strict=False):
            panel.scatter(xs, ys, facecolors="none", edgecolors=colour, marker="s", s=34, label=label, zorder=3)
        if limit is not None:
            panel.axhline(limit[1], color=PAPER, linestyle="--", linewidth=0.9, label=limit[0])
        panel.set_xscale("log", base=2)
        panel.set_xticks(sorted({x for xs, _ in series.values() for x in xs}))
        panel.minorticks_off()
        panel.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _place: f"{value:,g}"))
        if log_y:
            panel.set_yscale("log")
        else:
            panel.set_ylim(bottom=0)
        panel.set(xlabel=x_label, ylabel=y_label)
        panel.set_title(title, loc="left")
        figure.legend(*panel.get_legend_handles_labels(), loc="center left", bbox_to_anchor=(0.91, 0.5))
        _save(figure, path)


def roofline(
    roofs: Mapping[str, tuple[float, float]],
    points: Mapping[str, Sequence[tuple[float, float, str]]],
    path: Path,
    *,
    title: str,
    x_label: str,
) -> None:
    """Draw roofs {name: (TFLOPS, GB/s)} and points {name: (operations a byte, TFLOPS, label)} in the roofs' colours."""
    least = min(x for of_name in points.values() for x, *_ in of_name)
    most = max(x for of_name in points.values() for x, *_ in of_name)
    xs = np.geomspace(least / 2, most * 2, 200)
    plain = mpl.ticker.FuncFormatter(lambda value, _place: f"{value:,g}")
    with mpl.rc_context({**STYLE, "axes.grid.axis": "both"}):
        figure, panel = plt.subplots(figsize=(8, 4.6))
        for (name, (tflops, gb_per_s)), colour in zip(roofs.items(), SERIES_COLOURS, strict=False):
            roof = np.minimum(tflops, xs * gb_per_s / 1e3)
            panel.plot(xs, roof, color=colour, linewidth=1.4, label=f"{name} roof: {tflops:,.0f} TFLOPS")
            of_name = points[name]
            panel.scatter(
                [x for x, *_ in of_name], [y for _, y, _ in of_name], color=colour, s=18, label=name, zorder=3
            )
            for x, y, label in of_name:
                panel.annotate(label, (x, y), xytext=(4, -9), textcoords="offset points", fontsize=6, color=colour)
        panel.set(xscale="log", yscale="log", xlabel=x_label, ylabel="TFLOPS of the dense product")
        panel.xaxis.set_major_formatter(plain)
        panel.yaxis.set_major_formatter(plain)
        panel.set_title(title, loc="left")
        figure.legend(*panel.get_legend_handles_labels(), loc="center left", bbox_to_anchor=(0.91, 0.5))
        _save(figure, path)


def unit_by_time(states: np.ndarray, names: type[IntEnum], path: Path, *, title: str, unit: str) -> None:
    """Draw what every unit does in every cycle; states: u8[units, cycles] of numbers of `names`.

    Where a pixel stands for several cycles it shows the first of them.
    """
    n_units, n_cycles = states.shape
    step = max(1, n_cycles // 1800)
    with mpl.rc_context({**STYLE, "axes.grid": False}):
        figure, panel = plt.subplots(figsize=(11, 1.6 + min(4.2, 0.16 * n_units)))
        colours = ListedColormap(STATE_COLOURS[: len(names)])
        extent = (0.5, n_cycles + 0.5, n_units - 0.5, -0.5)
        panel.imshow(
            states[:, ::step], aspect="auto", cmap=colours, vmin=-0.5, vmax=len(names) - 0.5, extent=extent,
            interpolation="nearest",
        )  # fmt: skip
        panel.set(xlabel="time [cycles]", ylabel=unit)
        panel.yaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        panel.set_title(title, loc="left")
        seen = np.flatnonzero(np.bincount(states.ravel(), minlength=len(names)))
        _legend_of_states(figure, [names(int(number)) for number in seen])
        _save(figure, path)


def states_by_design(
    designs: Mapping[str, Mapping[str, float]],
    names: type[IntEnum],
    path: Path,
    *,
    title: str,
    times_us: Mapping[str, float],
) -> None:
    """Draw a bar a design: its time in microseconds (`times_us`), and where the units' cycles went, in %, stacked."""
    with mpl.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), width_ratios=(1, 1.15))
        labels = list(designs)
        times = [times_us[label] for label in labels]
        drawn = left.bar(labels, times, color="#1f4e79", width=0.6)
        left.bar_label(drawn, [f"{time:,.2f} us\n{times[0] / time:.1f}x" for time in times], fontsize=8, padding=2)
        left.set_ylabel("time of one input [us]")
        left.set_title("time, and speed-up over the first", loc="left", fontsize=9)
        left.margins(y=0.2)
        below = np.zeros(len(labels))
        present = [state for state in names if any(spent[state.name.lower()] for spent in designs.values())]
        for state in present:
            share = [100 * spent[state.name.lower()] / sum(spent.values()) for spent in designs.values()]
            right.bar(labels, share, bottom=below, color=STATE_COLOURS[state], width=0.6)
            below += share
        right.set_ylabel("share of the units' cycles [%]")
        right.set_title("where the cycles went", loc="left", fontsize=9)
        _legend_of_states(figure, present)
        figure.suptitle(title, x=0.125, y=1.02, ha="left")
        _save(figure, path)


def stacked_losses(
    bars: Mapping[str, Mapping[str, float]],
    base: tuple[str, float],
    names: type[IntEnum],
    path: Path,
    *,
    title: str,
    x_label: str,
) -> None:
    """Draw bars that begin with what is ideal, `base` (label, %), and add what each state costs, {state: %}."""
    with mpl.rc_context(STYLE):
        figure, panel = plt.subplots(figsize=(8, 4.2))
        labels = list(bars)
        panel.bar(labels, base[1], color="white", edgecolor=PAPER, linewidth=0.8, width=0.6, label=base[0])
        below = np.full(len(labels), base[1])
        present = [state for state in names if any(lost[state.name.lower()] > 0.1 for lost in bars.values())]
        for state in present:
            heights = np.array([max(lost[state.name.lower()], 0.0) for lost in bars.values()])
            panel.bar(labels, heights, bottom=below, color=STATE_COLOURS[state], width=0.6, label=state.name.lower())
            below += heights
        panel.axhline(100, color=PAPER, linestyle="--", linewidth=0.9, label="dense")
        panel.set(xlabel=x_label, ylabel="time [% of dense]")
        panel.set_title(title, loc="left")
        handles, texts = panel.get_legend_handles_labels()
        figure.legend(handles[::-1], texts[::-1], loc="center left", bbox_to_anchor=(0.91, 0.5))
        _save(figure, path)


def stacked_parts(panels: Mapping[str, Mapping[str, Mapping[str, float]]], path: Path, *, title: str) -> None:
    """Draw a panel a quantity, {label with unit: {bar: {part: value}}}; a bar's parts stand on each other."""
    parts = list(dict.fromkeys(part for bars in panels.values() for of_bar in bars.values() for part in of_bar))
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(1, len(panels), figsize=(4.2 * len(panels), 3.6), squeeze=False)
        for panel, (y_label, bars) in zip(axes[0], panels.items(), strict=True):
            below = np.zeros(len(bars))
            for part, colour in zip(parts, STATE_COLOURS, strict=False):
                heights = np.array([of_bar.get(part, 0.0) for of_bar in bars.values()])
                panel.bar(list(bars), heights, bottom=below, color=colour, width=0.6, label=part)
                below += heights
            panel.bar_label(
                panel.containers[-1],
                [f"{total:,.{2 if total < 100 else 0}f}" for total in below],
                fontsize=8,
                padding=2,
            )
            panel.set_ylabel(y_label)
            panel.margins(y=0.1)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(0.91, 0.5))
        figure.suptitle(title, x=0.125, ha="left")
        figure.subplots_adjust(wspace=0.3)
        _save(figure, path)


def tradeoff(result: Mapping, path: Path) -> None:
    """Draw quality against time of each pattern, a panel a machine, from the result of `zeroskip tradeoff`.

    Hollow: pruned, filled: tuned. A network without a measure of quality shows its flexibility instead.
    """
    names, measure = list(result["rows"][0]["machines"]), result["measure"]
    with mpl.rc_context({**STYLE, "axes.grid.axis": "both"}):
        figure, panels = plt.subplots(1, len(names), figsize=(5.2 * len(names), 4), sharey=True, squeeze=False)
        for panel, name in zip(panels[0], names, strict=True):
            for row, colour in zip(result["rows"], plt.get_cmap("tab10").colors * 3, strict=False):
                x = row["machines"][name]["time_us"]
                before = row["quality_pruned"] if measure else row["flexibility"]
                after = row["quality_tuned"]
                panel.scatter(x, before, s=30, facecolors="none", edgecolors=[colour], label=row["pattern"])
                if after is not None:
                    panel.plot([x, x], [before, after], color=colour, linewidth=0.8)
                    panel.scatter(x, after, s=30, color=[colour])
            if measure:
                panel.axhline(result["quality_dense"], color=PAPER, linestyle="--", linewidth=0.9)
            panel.set_xlabel("time of all layers [us]")
            panel.set_title(f"{name}, {result['batch']} inputs to a layer", loc="left", fontsize=9)
        panels[0, 0].set_ylabel(f"{measure}; dashed: dense" if measure else "flexibility [bit/weight]")
        handles, texts = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, texts, loc="center left", bbox_to_anchor=(0.91, 0.5))
        figure.suptitle(
            f"{result['network']}, {result['density']:g} of the weights kept; hollow: pruned, full: tuned",
            x=0.125,
            ha="left",
        )
        _save(figure, path)


def _legend_of_states(figure, states: Sequence[IntEnum]) -> None:
    handles = [Patch(color=STATE_COLOURS[state], label=state.name.lower()) for state in states]
    figure.legend(handles=handles, loc="center left", bbox_to_anchor=(0.91, 0.5))


def _save(figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    plt.close(figure)
