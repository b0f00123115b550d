"""Draw the figures of stored results: lines, stacked bars, planes with Pareto's front, and maps, in either theme."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from math import sqrt
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cyclekit.figures.figure import Front, Lines, Map, Panel, Plane, Stacks
from cyclekit.figures.labels import write_names
from cyclekit.figures.style import LETTERS, MARKERS, PLAIN, THEMES, Theme, spread

WIDTH = 7.2  # inches: two columns of a printed page
SETTINGS = {"font.size": 8, "figure.dpi": 200, "figure.constrained_layout.use": True, "text.parse_math": False}
LINE = 0.15  # inches of a line of it
MOST_MARKERS = 16  # of a line


def draw(data: Lines | Stacks | Front | Map, title: str, theme_name: str, caption: str = "") -> Any:
    """Return the Figure of some data in a theme, "print" or "dark", with a captions title."""
    theme = THEMES[theme_name]
    drawer = {Lines: _lines, Stacks: _stacks, Front: _front, Map: _map}[type(data)]
    with mpl.rc_context(theme.style(**SETTINGS)):
        figure = drawer(data, theme)
        figure.suptitle(title, x=0.01, ha="left", fontsize=9)
        if caption:
            _caption(figure, title, caption)
        if isinstance(data, Front):
            _name_designs(figure, data, theme)
    return figure


def _caption(figure: Any, title: str, caption: str) -> None:
    """Put a caption under a figure's title; the figure grows by its lines."""
    width, height = figure.get_size_inches()
    lines = textwrap.wrap(caption, int(LETTERS * width), break_on_hyphens=False)
    grown = height + LINE * (len(lines) + 1)
    figure.set_size_inches(width, grown)
    room = [""] * (len(lines) + 1)  # which the layout keeps free
    figure.suptitle("\n".join([title, *room]), x=0.01, ha="left", fontsize=9)
    figure.text(0.01, 0.98 - 1.5 * LINE / grown, "\n".join(lines), ha="left", va="top", fontsize=7, linespacing=1.35)


def _lines(data: Lines, theme: Theme) -> Any:
    n_panels = len(data.panels)
    labels = list(dict.fromkeys(label for panel in data.panels for label in panel.lines))
    looks = {
        label: {"color": colour, "marker": marker, "markersize": 3.6, "linewidth": 1.2}
        for label, colour, marker in zip(labels, theme.series, MARKERS, strict=False)
    }
    figure, axes = plt.subplots(1, n_panels, figsize=(4.4 if n_panels == 1 else WIDTH, 3.3), squeeze=False)
    xs = sorted({x for panel in data.panels for of_line, _ in panel.lines.values() for x in of_line})
    for axis, panel in zip(axes[0], data.panels, strict=True):
        lone = len(panel.lines) > 1 and len(set(panel.lines.values())) == 1
        for label, (of_line, ys) in panel.lines.items():
            look = {"color": theme.ink, "marker": ".", "linewidth": 1.2} if lone else looks[label]
            axis.plot(of_line, ys, markevery=-(-len(ys) // MOST_MARKERS), **look)
            if lone:  # one over the other they would all look like the last
                axis.set_title("all the same", loc="right", fontsize=7)
                break
        axis.set(xlabel=data.x_label, ylabel=panel.y_label)
        _scales(axis, xs, panel, n_ticks=9 if n_panels < 3 else 5)
        if panel.in_proportion:
            axis.plot(xs, [x / xs[0] for x in xs], color=theme.ink, linestyle=":", linewidth=0.9, zorder=1)
    # A name that begins with "_" is none to matplotlib.
    handles = [Line2D([], [], label=f" {label}", **looks[label]) for label in labels if label]
    if any(panel.in_proportion for panel in data.panels):
        handles.append(Line2D([], [], color=theme.ink, linestyle=":", linewidth=0.9, label="in proportion"))
    _legend(figure, handles, data.series_label)
    return figure


def _scales(axis: Any, xs: Sequence[float], panel: Panel, *, n_ticks: int) -> None:
    """Give an axis logarithmic scales where values span more than a linear one can show."""
    ys = [y for _, of_line in panel.lines.values() for y in of_line]
    if _by_factors(xs):
        axis.set_xscale("log", base=2)
        if len(xs) <= 16:
            axis.set_xticks(xs[:: -(-len(xs) // n_ticks)])
        axis.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    elif len(xs) <= n_ticks + 2:
        axis.set_xticks(xs)
    axis.xaxis.set_major_formatter(PLAIN)
    if panel.in_proportion:
        axis.set_yscale("log", base=2)
    elif panel.y_label.endswith("[%]"):
        low, high = 10 * min(9, min(ys) // 10), max(100, *ys)
        axis.set_ylim(low, high + 0.03 * (high - low))
    elif min(ys) > 0 and max(ys) / min(ys) >= 20:
        axis.set_yscale("log")
    else:
        axis.set_ylim(0, 1.06 * max(ys) or 1)
    axis.yaxis.set_major_formatter(PLAIN)
    axis.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    axis.grid(visible=True, axis="both")


def _by_factors(xs: Sequence[float]) -> bool:
    """Whether values go up by factors rather than by steps: where the middle one stands between the ends."""
    if xs[0] <= 0 or xs[-1] / xs[0] < 8:
        return False
    return 2 * xs[len(xs) // 2] < sqrt(xs[0] * xs[-1]) + (xs[0] + xs[-1]) / 2


def _stacks(data: Stacks, theme: Theme) -> Any:
    n_panels = len(data.panels)
    n_columns = min(3, n_panels)
    n_rows = -(-n_panels // n_columns)
    size = (4.4 if n_columns == 1 else WIDTH, 0.8 + (2.2 if n_rows == 1 else 1.55) * n_rows)
    figure, axes = plt.subplots(n_rows, n_columns, figsize=size, squeeze=False, sharey=data.same_scale)
    palette = getattr(theme, data.colours)
    colours = {name: palette[place % len(palette)] for name, place in data.places.items()}
    for axis in axes.flat[n_panels:]:
        axis.remove()
    for place, (axis, (title, bars)) in enumerate(zip(axes.flat, data.panels.items(), strict=False)):
        below = np.zeros(len(bars))
        tallest = max(sum(parts.values()) for parts in bars.values())
        for name, colour in colours.items():
            heights = np.array([parts.get(name, 0.0) for parts in bars.values()])
            edges = np.where(heights > 0.01 * tallest, 0.3, 0.0)  # of a thin part nothing but edge would be seen
            axis.bar(range(len(bars)), heights, 0.8, below, color=colour, edgecolor=theme.ink, linewidth=edges)
            below += heights
        crowded = len("".join(bars)) > (60 if n_columns == 1 else 24)
        axis.set_xticks(range(len(bars)), list(bars), rotation=90 if crowded else 0, fontsize=7)
        axis.tick_params(axis="x", length=0)
        if title:
            axis.set_title(title, loc="left", fontsize=8)
        if place % n_columns == 0:
            axis.set_ylabel(data.y_label)
        if place >= n_panels - n_columns:
            axis.set_xlabel(data.x_label)
        axis.yaxis.set_major_formatter(PLAIN)
        if data.y_label.endswith("[%]"):
            axis.set_ylim(0, 100)
    handles = [Patch(facecolor=c, edgecolor=theme.ink, linewidth=0.3, label=name) for name, c in colours.items()]
    _legend(figure, handles, "")
    return figure


def _front(data: Front, theme: Theme) -> Any:
    n_planes = len(data.planes)
    figure, axes = plt.subplots(1, n_planes, figsize=(4.4 if n_planes == 1 else WIDTH, 3.3), squeeze=False)
    for axis, plane in zip(axes[0], data.planes, strict=True):
        _plane(axis, plane, theme)
    handles = [
        Line2D([], [], linestyle="none", marker="o", markersize=3, color=theme.series[7], label="a design"),
        Line2D([], [], marker="s", markersize=4, color=theme.series[1], linewidth=1.0, label="no other one beats it"),
    ]
    _legend(figure, handles, f"labels: {data.design_label}")
    return figure


def _plane(axis: Any, plane: Plane, theme: Theme) -> None:
    xs, ys = np.array(list(plane.designs.values())).T
    # Many points as a picture: an SVG of them would be megabytes.
    axis.scatter(xs, ys, s=7, color=theme.series[7], alpha=0.6, linewidths=0, rasterized=len(xs) > 2000)
    front_xs, front_ys = np.array([plane.designs[name] for name in plane.front]).T
    axis.plot(
        front_xs, front_ys, drawstyle="steps-post", color=theme.series[1], marker="s", markersize=3.6, linewidth=1.0
    )
    for name, values in (("x", xs), ("y", ys)):
        if min(values) > 0 and max(values) / min(values) >= 20:
            getattr(axis, f"set_{name}scale")("log")
        else:
            spread(axis, **{name: values})
        getattr(axis, f"{name}axis").set_major_formatter(PLAIN)
        getattr(axis, f"{name}axis").set_minor_formatter(mpl.ticker.NullFormatter())
    axis.set(xlabel=plane.x_label, ylabel=plane.y_label)
    axis.grid(visible=True, axis="both")
    axis.margins(0.08)


def _name_designs(figure: Any, data: Front, theme: Theme) -> None:
    """Write the names of the designs on the front, from the left, those that find room."""
    figure.draw_without_rendering()  # which gives all panels their places
    for axis, plane in zip(figure.axes, data.planes, strict=True):
        names = [(*plane.designs[name], name, theme.ink) for name in plane.front]
        write_names(axis, names, size=6.5, must=False)


def _map(data: Map, theme: Theme) -> Any:
    n_units = len(data.cells)
    figure, axis = plt.subplots(figsize=(WIDTH, 1.5 + min(3.2, 0.06 * n_units)))
    colours = [theme.states[data.places[name] % len(theme.states)] for name in data.states]
    axis.imshow(
        data.cells, aspect="auto", cmap=ListedColormap(colours), vmin=-0.5, vmax=len(colours) - 0.5,
        extent=(0, data.cycles, n_units - 0.5, -0.5), interpolation="nearest",
    )  # fmt: skip
    axis.set(xlabel="time [cycles]", ylabel=f"{data.unit} [number]")
    axis.yaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
    axis.xaxis.set_major_formatter(PLAIN)
    axis.grid(visible=False)
    seen = np.unique(data.cells)
    handles = [
        Patch(facecolor=colours[place], edgecolor=theme.ink, linewidth=0.3, label=data.states[place]) for place in seen
    ]
    _legend(figure, handles, "")
    return figure


def _legend(figure: Any, handles: Sequence[Any], title: str) -> None:
    """Put a legend under the panels, in as many columns as its longest text leaves room for."""
    if handles:
        longest = max(len(handle.get_label()) for handle in handles)
        n_columns = max(1, min(5, len(handles), int(13 * figure.get_figwidth() / (longest + 6))))
        figure.legend(handles=handles, title=title, loc="outside lower center", ncols=n_columns, fontsize=7)
