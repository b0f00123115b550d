"""The picture of a Result: bars, with what each is made of stacked where the rows say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from cyclekit.figures.colours import places_of_states
from cyclekit.figures.style import PRINT
from cyclekit.views import field_label
from workloads.errors import BadInput


def bars(result: Any) -> Figure:
    """Return the figure of a Result; one that was refused has no bar. Raises BadInput where none has one."""
    rows = [row for row in result.rows if isinstance(row.get(result.height), int | float)]
    if not rows:
        raise BadInput(f"nothing to draw: no row has a {result.height}")
    labels = _labels(rows, result.label)
    style: Any = PRINT.style()  # matplotlib's own type is of all names that it knows
    with mpl.rc_context(style):
        figure = Figure(figsize=(max(4.0, 0.7 * len(rows) + 2), 3.8), layout="constrained")
        panel = figure.add_subplot()
        heights = np.array([float(row[result.height]) for row in rows])
        parts = [name for name in result.parts if any(row.get(name) for row in rows)]
        if parts:
            shares = np.array([[float(row.get(name) or 0.0) for row in rows] for name in parts])
            total = shares.sum(axis=0)
            stacked, below = shares / np.where(total, total, 1) * heights, np.zeros(len(rows))
            places = places_of_states(name.rpartition(".")[2] for name in result.parts)
            for name, own in zip(parts, stacked, strict=True):
                state = name.rpartition(".")[2]
                colour = PRINT.states[places[state] % len(PRINT.states)]
                panel.bar(labels, own, bottom=below, color=colour, width=0.6, label=state)
                below += own
            kind = parts[0].split(".")[1]
            panel.legend(title=f"cycles of the {kind}", fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
        else:
            panel.bar(labels, heights, color=PRINT.series[0], width=0.6)
        panel.set_ylabel(field_label(result.height))
        panel.set_title(result.title, loc="left", fontsize=10)
        if max(map(len, labels)) > 11:
            panel.tick_params(axis="x", rotation=30)
            for tick in panel.get_xticklabels():
                tick.set_horizontalalignment("right")
    return figure


def _labels(rows: Sequence[Mapping[str, Any]], column: str) -> list[str]:
    """Return what bars are called: by a column, where that is not enough with another's words, or else by numbers."""
    labels = [str(row.get(column, place)) for place, row in enumerate(rows)]
    words = [name for name, value in rows[0].items() if isinstance(value, str) and name != column]
    for name in words:
        both = [f"{row[name]} {label}" for row, label in zip(rows, labels, strict=True)]
        if len(set(labels)) < len(labels) == len(set(both)):
            return both
    return labels if len(set(labels)) == len(labels) else [f"{label} #{place}" for place, label in enumerate(labels)]


def svg(result: Any) -> bytes | None:
    """Return that figure as SVG; None where nothing can be drawn."""
    try:
        figure = bars(result)
    except BadInput:
        return None
    drawn = BytesIO()
    figure.savefig(drawn, format="svg")
    return drawn.getvalue()
