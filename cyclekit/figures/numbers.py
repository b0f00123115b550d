"""The numbers of a figure as CSV: a row a point, a part of a bar, a design, or a unit."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from io import StringIO

import numpy as np

from cyclekit.figures.figure import Front, Lines, Map, Stacks


def as_csv(data: Lines | Stacks | Front | Map) -> str:
    """Return what is drawn as text, by RFC 4180, its heads the labels of the figure with their units.

    Of a map: a row a unit, a column a moment by its cycle (the middles of equal parts), the states by the numbers that
    the first head explains.
    """
    text = StringIO(newline="")
    rows = {Lines: _lines, Stacks: _stacks, Front: _front, Map: _map}[type(data)](data)
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _lines(data: Lines) -> Iterator[Sequence]:
    yield "quantity", data.series_label or "line", data.x_label, "value"
    for panel in data.panels:
        for line, (xs, ys) in panel.lines.items():
            yield from ((panel.y_label, line, x, y) for x, y in zip(xs, ys, strict=True))


def _stacks(data: Stacks) -> Iterator[Sequence]:
    yield "panel", data.x_label, "part", data.y_label
    for panel, bars in data.panels.items():
        for bar, parts in bars.items():
            yield from ((panel, bar, part, parts.get(part, 0.0)) for part in data.places)


def _front(data: Front) -> Iterator[Sequence]:
    yield "quantity", data.design_label, data.planes[0].x_label, "value", "on the front"
    for plane in data.planes:
        best = set(plane.front)
        yield from ((plane.y_label, name, x, y, int(name in best)) for name, (x, y) in plane.designs.items())


def _map(data: Map) -> Iterator[Sequence]:
    n_moments = data.cells.shape[1]
    states = ", ".join(f"{number} {name}" for number, name in enumerate(data.states))
    yield f"{data.unit} at a cycle: {states}", *((2 * np.arange(n_moments) + 1) * data.cycles // (2 * n_moments))
    for unit, cells in enumerate(data.cells):
        yield unit, *cells
