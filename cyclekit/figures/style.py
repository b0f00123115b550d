"""What all figures share: two themes, for print and for a dark screen, and how a figure becomes a whole file."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.ticker

mpl.use("Agg")
import matplotlib.pyplot as plt

from cyclekit.terminal import write_whole

LETTERS = 18  # of a caption in an inch
MOST_NARROW = 40  # letters of its line at least
MOST_LINES, MORE = 5, " ... (all of it: in the file's description)"  # of a caption
GAP = 0.12  # inches above it
LEAST_SPAN = 0.2  # of an axis, as a share of its largest value
PLAIN = mpl.ticker.FuncFormatter(lambda value, _place: f"{value:,.10g}")  # of an axis: thousands apart, no powers
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")  # one a series: colours alone do not survive a photocopier

HATCHES = ("", "////", "....", "xxxx")  # of areas beyond the colours

IN_FILES = {
    "svg.fonttype": "none",  # text stays text: it can be searched and set in the page's own font
    "svg.hashsalt": "zeroskip",  # the same figure is the same bytes
}
INKED = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")


@dataclass(frozen=True)
class Theme:
    """Colours of a figure. series: lines and modules, one after the other; states: one a state, by its number.

    Of the states: work in blues, own losses yellow and violet, starvation in reds, the end in greys.
    """

    background: str
    ink: str
    grid: str
    series: tuple[str, ...]
    states: tuple[str, ...]

    def style(self, **changes: Any) -> dict[str, Any]:
        """Return matplotlib's settings of the theme, some of them changed."""
        return {
            "figure.dpi": 150,
            "savefig.bbox": "tight",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "axes.grid": True,
            "axes.grid.axis": "y",
            "grid.color": self.grid,
            "legend.frameon": False,
            "figure.facecolor": self.background,
            "axes.facecolor": self.background,
            **dict.fromkeys(
                ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), self.ink
            ),
            **changes,
        }

    def fill(self, place: int) -> dict[str, Any]:
        """Return matplotlib's settings of the area of a name by its place: a colour, then the same ones hatched."""
        rounds, own = divmod(place, len(self.series))
        hatch = HATCHES[rounds % len(HATCHES)]
        return {"facecolor": self.series[own], "edgecolor": self.background, "linewidth": 0.0, "hatch": hatch}


PRINT = Theme(
    background="#ffffff",
    ink="#111111",
    grid="#dddddd",
    series=(
        "#1f4e79", "#d9600a", "#5e3c99", "#3f9142", "#c2287a", "#8a6d00", "#2f8fc4", "#6b6b6b", "#8c2d04",
    ),
    states=(
        "#1f4e79", "#7fb2e5", "#d9c24a", "#9e7bb5", "#c9302c", "#f08a5d", "#f9cfa5", "#5e3c99", "#8f8f8f", "#d4d4d4",
        "#3b3b3b", "#e8e1d0", "#8c6239", "#4fa39a",
    ),
)  # fmt: skip
DARK = Theme(
    background="#15181d",
    ink="#e8e8e8",
    grid="#353b44",
    series=(
        "#7fb2e5", "#ff9d5c", "#b79bf0", "#6fcf73", "#ff86c0", "#e3c64c", "#4fd6e8", "#b0b0b0", "#d97a55",
    ),
    states=(
        "#4384c4", "#a6cdf2", "#d9c24a", "#b493cf", "#d9433f", "#f08a5d", "#f9cfa5", "#8465c9", "#8f8f8f", "#d4d4d4",
        "#666666", "#e8e1d0", "#b58a5c", "#6fc4ba",
    ),
)  # fmt: skip
THEMES = {"print": PRINT, "dark": DARK}


def caption(figure, text: str) -> None:
    """Put what a figure rests on under all that it shows, in the file itself; of a long text the first lines."""
    width, height = figure.get_size_inches()
    shown = figure.get_tightbbox()  # in inches, with the legends and labels that stand beyond the figure
    wide = max(MOST_NARROW, int(LETTERS * shown.width))
    lines = textwrap.wrap(text, wide, max_lines=MOST_LINES, placeholder=MORE, break_on_hyphens=False)
    at = shown.x0 / width, (shown.y0 - GAP) / height
    figure.text(*at, "\n".join(lines), ha="left", va="top", fontsize=7, linespacing=1.35, parse_math=False)


def spread(panel, **of_axis: Sequence[float]) -> None:
    """Keep values that are nearly the same from filling an axis; of_axis: x= or y=, all that it shows."""
    for name, values in of_axis.items():
        low, high = min(values), max(values)
        if high - low < LEAST_SPAN * high:
            middle, half = (high + low) / 2, (high + low) / 2 * LEAST_SPAN / (2 - LEAST_SPAN)
            getattr(panel, f"set_{name}lim")(middle - half, middle + half)


def save(figure, path: Path, about: str) -> None:
    """Write a figure with what it rests on under it, the workload, the design and the prices, and close it."""
    if not about:
        raise ValueError(f"{path.name} must say what was run")
    caption(figure, about)
    to_file(figure, path, about)


def to_file(figure, path: Path, about: str = "") -> None:
    """Write a figure as it is, whole or not at all, in the format of its suffix, and close it.

    about: what it rests on, for programs: the file's own description.
    """
    drawn = BytesIO()
    suffix = path.suffix.removeprefix(".")
    try:
        with mpl.rc_context(IN_FILES):
            metadata = {"Description": about} if about else {}
            if suffix == "svg":
                metadata["Date"] = None
            figure.savefig(drawn, format=suffix, metadata=metadata)
    finally:
        plt.close(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, drawn.getvalue())
