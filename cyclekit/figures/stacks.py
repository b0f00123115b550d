"""Draw where the cycles, the time or the energy of a few designs went, as stacked bars."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Patch

from cyclekit.figures.colours import places_of_modules, places_of_states
from cyclekit.figures.style import PLAIN, PRINT, save

INCHES = 0.36  # of a bar with its number over it, at least
MANY, LONG = 8, 12  # bars, and letters of the name of one


def states_by_design(
    designs: Mapping[str, Mapping[str, float]],
    names: type[IntEnum],
    path: Path,
    *,
    title: str,
    about: str,
    times_us: Mapping[str, float],
) -> None:
    """Draw a bar a design: its time in microseconds (`times_us`), and where the units' cycles went, in %, stacked."""
    with mpl.rc_context(PRINT.style()):
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), width_ratios=(1, 1.15))
        labels = list(designs)
        times = [times_us[label] for label in labels]
        drawn = left.bar(labels, times, color="#1f4e79", width=0.6)
        left.bar_label(drawn, [f"{time:,.2f} us\n{times[0] / time:.1f}x" for time in times], fontsize=8, padding=2)
        left.set_ylabel("time of one input [us]")
        left.yaxis.set_major_formatter(PLAIN)
        left.set_title("time, and speed-up over the first", loc="left", fontsize=9)
        left.margins(y=0.2)
        below = np.zeros(len(labels))
        present = [state for state in names if any(spent[state.name.lower()] for spent in designs.values())]
        colours = _colours(names)
        for state in present:
            share = [100 * spent[state.name.lower()] / sum(spent.values()) for spent in designs.values()]
            right.bar(labels, share, bottom=below, color=colours[state], width=0.6)
            below += share
        right.set_ylabel("share of the units' cycles [%]")
        right.set_title("where the cycles went", loc="left", fontsize=9)
        _legend_of_states(figure, {state.name.lower(): colours[state] for state in present})
        figure.suptitle(title, x=0.125, y=1.02, ha="left")
        save(figure, path, about)


def stacked_losses(
    bars: Mapping[str, Mapping[str, float]],
    base: tuple[str, float],
    names: type[IntEnum],
    path: Path,
    *,
    title: str,
    about: str,
    x_label: str,
) -> None:
    """Draw bars that begin with what is ideal, `base` (label, %), and add what each state costs, {state: %}."""
    with mpl.rc_context(PRINT.style()):
        figure, panel = plt.subplots(figsize=(8, 4.2))
        labels = list(bars)
        panel.bar(labels, base[1], color="white", edgecolor=PRINT.ink, linewidth=0.8, width=0.6, label=base[0])
        below = np.full(len(labels), base[1])
        present = [state for state in names if any(lost[state.name.lower()] > 0.1 for lost in bars.values())]
        colours = _colours(names)
        for state in present:
            heights = np.array([max(lost[state.name.lower()], 0.0) for lost in bars.values()])
            panel.bar(labels, heights, bottom=below, color=colours[state], width=0.6, label=state.name.lower())
            below += heights
        panel.axhline(100, color=PRINT.ink, linestyle="--", linewidth=0.9, label="dense")
        panel.set(xlabel=x_label, ylabel="time [% of dense]")
        panel.set_title(title, loc="left")
        handles, texts = panel.get_legend_handles_labels()
        figure.legend(handles[::-1], texts[::-1], loc="center left", bbox_to_anchor=(0.91, 0.5))
        save(figure, path, about)


def stacked_parts(
    panels: Mapping[str, Mapping[str, Mapping[str, float]]],
    path: Path,
    *,
    title: str,
    about: str,
    x_label: str = "",
    known: Sequence[str] = (),
) -> None:
    """Draw a panel a quantity, {label with unit: {bar: {part: value}}}; a bar's parts stand on each other.

    known: parts whose colours are known, in their order.
    """
    parts = list(dict.fromkeys(part for bars in panels.values() for of_bar in bars.values() for part in of_bar))
    placed = places_of_modules(parts, known) if known else {part: place for place, part in enumerate(parts)}
    with mpl.rc_context(PRINT.style()):
        most = max(map(len, panels.values()))
        size = (max(4.2, INCHES * most) * len(panels), 3.6)
        figure, axes = plt.subplots(1, len(panels), figsize=size, squeeze=False)
        for panel, (y_label, bars) in zip(axes[0], panels.items(), strict=True):
            places, below = np.arange(len(bars)), np.zeros(len(bars))
            for part, place in placed.items():
                heights = np.array([of_bar.get(part, 0.0) for of_bar in bars.values()])
                panel.bar(places, heights, bottom=below, label=part, width=0.6, **PRINT.fill(place))
                below += heights
            totals = [f"{total:,.{0 if total >= 100 or total == round(total) else 2}f}" for total in below]
            panel.bar_label(panel.containers[-1], totals, fontsize=8 if len(bars) < MANY else 6, padding=2)
            panel.set_xticks(places, [textwrap.fill(name, LONG) for name in bars])
            panel.set(xlabel=x_label, ylabel=y_label, ylim=(0, 1.12 * max(below)))
            panel.yaxis.set_major_formatter(PLAIN)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        if len(labels) > 1:
            figure.legend(handles[::-1], labels[::-1], loc="center left", bbox_to_anchor=(0.91, 0.5))
        figure.suptitle(title, x=0.125, ha="left")
        figure.subplots_adjust(wspace=0.3)
        save(figure, path, about)


def _colours(names: type[IntEnum]) -> dict[IntEnum, str]:
    places = places_of_states(state.name.lower() for state in names)
    return {state: PRINT.states[places[state.name.lower()] % len(PRINT.states)] for state in names}


def _legend_of_states(figure, colours: Mapping[str, str]) -> None:
    handles = [Patch(color=colour, label=name) for name, colour in colours.items()]
    figure.legend(handles=handles, loc="center left", bbox_to_anchor=(0.91, 0.5))
