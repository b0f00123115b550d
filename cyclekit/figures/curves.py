"""Draw one quantity against another: lines, roofs, quality against time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from cyclekit.figures.labels import write_names
from cyclekit.figures.style import MARKERS, PLAIN, PRINT, save, spread


def lines(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    path: Path,
    *,
    title: str,
    x_label: str,
    y_label: str,
    about: str,
    measured: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
    limit: tuple[str, float] | None = None,
    log_y: bool = False,
) -> None:
    """Draw lines over a logarithmic axis, measured points in the lines' colours; limit: a dashed line."""
    with mpl.rc_context(PRINT.style(**{"axes.grid.axis": "both"})):
        figure, panel = plt.subplots(figsize=(8, 4.2))
        for (label, (xs, ys)), colour in zip(series.items(), PRINT.series, strict=False):
            panel.plot(xs, ys, color=colour, marker="o", markersize=3, linewidth=1.4, label=label)
        for (label, (xs, ys)), colour in zip((measured or {}).items(), PRINT.series, strict=False):
            panel.scatter(xs, ys, facecolors="none", edgecolors=colour, marker="s", s=34, label=label, zorder=3)
        if limit is not None:
            panel.axhline(limit[1], color=PRINT.ink, linestyle="--", linewidth=0.9, label=limit[0])
        panel.set_xscale("log", base=2)
        panel.set_xticks(sorted({x for xs, _ in series.values() for x in xs}))
        panel.minorticks_off()
        panel.xaxis.set_major_formatter(PLAIN)
        if log_y:
            panel.set_yscale("log")
        else:
            panel.set_ylim(bottom=0)
        panel.yaxis.set_major_formatter(PLAIN)
        panel.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())
        panel.set(xlabel=x_label, ylabel=y_label)
        panel.set_title(title, loc="left")
        figure.legend(*panel.get_legend_handles_labels(), loc="center left", bbox_to_anchor=(0.91, 0.5))
        save(figure, path, about)


def roofline(
    roofs: Mapping[str, tuple[float, float]],
    points: Mapping[str, Sequence[tuple[float, float, str]]],
    path: Path,
    *,
    title: str,
    x_label: str,
    about: str,
) -> None:
    """Draw roofs {name: (TFLOPS, GB/s)} and points {name: (operations a byte, TFLOPS, label)} in the roofs' colours.

    Roofs that are all the same are one.
    """
    is_one = len(roofs) > 1 and len(set(roofs.values())) == 1
    least = min(x for of_name in points.values() for x, *_ in of_name)
    most = max(x for of_name in points.values() for x, *_ in of_name)
    xs = np.geomspace(least / 2, most * 2, 200)
    with mpl.rc_context(PRINT.style(**{"axes.grid.axis": "both"})):
        figure, panel = plt.subplots(figsize=(8, 4.6))
        names = []
        for place, ((name, (tflops, gb_per_s)), colour) in enumerate(zip(roofs.items(), PRINT.series, strict=False)):
            if not is_one or not place:
                roof = np.minimum(tflops, xs * gb_per_s / 1e3)
                label = f"{'' if is_one else f'{name} '}roof: {tflops:,.0f} TFLOPS"
                panel.plot(xs, roof, color=PRINT.ink if is_one else colour, linewidth=1.4, label=label)
            of_name = points[name]
            panel.scatter(
                [x for x, *_ in of_name], [y for _, y, _ in of_name], color=colour, s=18, label=name, zorder=3
            )
            names += [(*point, colour) for point in of_name]
        panel.set(xscale="log", yscale="log", xlabel=x_label, ylabel="TFLOPS of the dense product")
        panel.xaxis.set_major_formatter(PLAIN)
        panel.yaxis.set_major_formatter(PLAIN)
        panel.set_title(title, loc="left")
        figure.legend(*panel.get_legend_handles_labels(), loc="center left", bbox_to_anchor=(0.91, 0.5))
        write_names(panel, names, size=6.5, must=True)
        save(figure, path, about)


def tradeoff(result: Mapping, path: Path, about: str) -> None:
    """Draw quality against time of each pattern, a panel a machine, from the result of `zeroskip tradeoff`.

    Hollow: pruned, filled: tuned. A network without a measure of quality shows its flexibility instead.
    """
    names, measure = list(result["rows"][0]["machines"]), result["measure"]
    with mpl.rc_context(PRINT.style(**{"axes.grid.axis": "both"})):
        figure, panels = plt.subplots(1, len(names), figsize=(5.2 * len(names), 4), sharey=True, squeeze=False)
        for panel, name in zip(panels[0], names, strict=True):
            for row, colour, marker in zip(result["rows"], cycle(PRINT.series), cycle(MARKERS[:-1]), strict=False):
                x = row["machines"][name]["time_us"]
                x = math.nan if x is None else x  # the machine cannot take it: named in the legend, drawn nowhere
                before = row["quality_pruned"] if measure else row["flexibility"]
                after = row["quality_tuned"]
                panel.scatter(
                    x, before, s=30, marker=marker, facecolors="none", edgecolors=[colour], label=row["pattern"]
                )
                if after is not None:
                    panel.plot([x, x], [before, after], color=colour, linewidth=0.8)
                    panel.scatter(x, after, s=30, marker=marker, color=[colour])
            if measure:
                panel.axhline(result["quality_dense"], color=PRINT.ink, linestyle="--", linewidth=0.9)
            panel.set_xlabel("time of all layers [us]")
            if times := [us for row in result["rows"] if (us := row["machines"][name]["time_us"]) is not None]:
                spread(panel, x=times)
            panel.set_title(f"{name}, {result['batch']} inputs to a layer", loc="left", fontsize=9)
        panels[0, 0].set_ylabel(f"{measure}; dashed: dense" if measure else "flexibility [bit/weight]")
        handles, texts = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, texts, loc="center left", bbox_to_anchor=(0.91, 0.5))
        figure.suptitle(
            f"{result['network']}, {result['density']:g} of the weights kept; hollow: pruned, full: tuned",
            x=0.125,
            ha="left",
        )
        save(figure, path, about)
