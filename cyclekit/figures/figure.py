"""What a figure shows, as plain numbers and labels; `cyclekit.figures.draw` gives it lines and colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Line = tuple[tuple[float, ...], tuple[float, ...]]  # xs and ys


@dataclass(frozen=True)
class Panel:
    """One quantity: {series: (xs, ys)}. in_proportion: also where it would lie if it grew as x does."""

    y_label: str
    lines: Mapping[str, Line]
    in_proportion: bool = False


@dataclass(frozen=True)
class Lines:
    """Quantities against the same x, beside each other; a series has one colour and marker in all of them."""

    x_label: str
    series_label: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Stacks:
    """A panel a title, {title: {bar: {part: height}}}.

    places: part -> place of its colour among the theme's `colours`. same_scale: of all panels.
    """

    x_label: str
    y_label: str
    panels: Mapping[str, Mapping[str, Mapping[str, float]]]
    places: Mapping[str, int]
    colours: str  # "states" or "series"
    same_scale: bool


@dataclass(frozen=True)
class Plane:
    """Designs by two quantities of which less is better, {design: (x, y)}, and those that no other one beats."""

    x_label: str
    y_label: str
    designs: Mapping[str, tuple[float, float]]
    front: Sequence[str]


@dataclass(frozen=True)
class Front:
    """Planes beside each other. design_label: what a design's name is made of."""

    design_label: str
    planes: Sequence[Plane]


@dataclass(frozen=True, eq=False)
class Map:
    """The state u8[units, moments] of every unit at evenly spaced moments of `cycles`.

    places: state -> place of its colour among the theme's states.
    """

    unit: str
    places: Mapping[str, int]
    states: Sequence[str]
    cells: np.ndarray
    cycles: int
