"""Write names beside points so that none lies on another: at the first free place, with a line where that is far."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes

# Where a name can stand, to the right and below first, and how far off, in points
SIDES = ((1, -1), (1, 1), (-1, 1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0))
NEAR, FAR = (5,), (14, 24, 36, 50, 66, 84)
MARK, STROKE = 3.0, 1.0  # half of a point's mark, and of a line, in points
NOTHING = 1e-6  # of an area

Name = tuple[float, float, str, str]  # x, y, text, colour


def write_names(axis: Axes, names: Sequence[Name], *, size: float, must: bool) -> None:
    """Write the names of points in their order; must: every one, else those that find room beside their points.

    The axis is in its place and has its scales and lines; what is written changes no limit and no layout.
    """
    renderer, inch = axis.figure.canvas.get_renderer(), axis.figure.dpi / 72
    axis.get_xlim(), axis.get_ylim()  # which settles them
    points = [axis.transData.transform((x, y)) for x, y, *_ in names]
    strokes = [point for line in axis.lines for point in axis.transData.transform(line.get_xydata())]
    taken = [_around(point, MARK * inch) for point in points] + [_around(point, STROKE * inch) for point in strokes]
    frame = np.array([axis.get_window_extent(renderer).extents])
    written: list[np.ndarray] = []
    for (x, y, text, colour), point in zip(names, points, strict=True):
        look = {"fontsize": size, "color": colour, "va": "bottom", "zorder": 4}
        note = axis.annotate(text, (x, y), in_layout=False, parse_math=False, **look)
        extent = note.get_window_extent(renderer)
        best = float("inf"), 0, np.zeros(4)
        for far, side in product(NEAR + FAR if must else NEAR, SIDES):
            box = _beside(point, far * inch, side, extent.size)
            covered = _shared(box, taken) + np.prod(extent.size) - _shared(box, frame)
            if far in FAR:  # what the line to it would cross
                covered += sum(_shared(part, written) for part in _line(point, box))
            if covered < best[0]:
                best = covered, far, box
            if covered < NOTHING:
                break
        covered, far, box = best
        if covered >= NOTHING and not must:
            note.remove()
            continue
        note.set(position=(box[:2] - point) / inch, anncoords="offset points")
        if far in FAR:
            ends = axis.transData.inverted().transform([point, np.clip(point, box[:2], box[2:])])
            axis.plot(*ends.T, color=colour, linewidth=0.5, scalex=False, scaley=False)
            taken += _line(point, box)
        taken.append(box)
        written.append(box)


def _beside(point: np.ndarray, far: float, side: tuple[int, int], size: np.ndarray) -> np.ndarray:
    """Return the box of that size, f64[4] of its lower left and upper right corners, so far to a side of a point."""
    corner = point + np.array(side) * far - size * (1 - np.array(side)) / 2
    return np.concatenate([corner, corner + size])


def _around(point: np.ndarray, far: float) -> np.ndarray:
    return np.concatenate([point - far, point + far])


def _line(point: np.ndarray, box: np.ndarray) -> list[np.ndarray]:
    """Return small boxes along the line from a point to the nearest of a box, its ends left out."""
    end = np.clip(point, box[:2], box[2:])
    return [_around(point + share * (end - point), STROKE) for share in np.linspace(0.1, 0.9, 16)]


def _shared(box: np.ndarray, others: Sequence[np.ndarray]) -> float:
    """Return the area that a box shares with others."""
    if not len(others):
        return 0.0
    corners = np.array(others)
    sides = np.minimum(box[2:], corners[:, 2:]) - np.maximum(box[:2], corners[:, :2])
    return float(np.prod(np.maximum(sides, 0), axis=1).sum())
