"""Figures: drawn from stored rows and states only, in one style, units on every axis, PNG and SVG."""

from cyclekit.plots.curves import lines, roofline, tradeoff
from cyclekit.plots.published import bars_beside_paper, errors_by_row, times_beside_paper
from cyclekit.plots.stacks import stacked_losses, stacked_parts, states_by_design, unit_by_time

__all__ = [
    "bars_beside_paper",
    "errors_by_row",
    "lines",
    "roofline",
    "stacked_losses",
    "stacked_parts",
    "states_by_design",
    "times_beside_paper",
    "tradeoff",
    "unit_by_time",
]
