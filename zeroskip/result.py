"""What every verb returns: rows of plain values, with a title, as text, as HTML, as a frame, and as a picture."""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from workloads.errors import BadInput

MOST_ROWS = 12  # that a Result shows of itself
MOST_BARS = 40  # that a picture beside its rows has
NUMBERS = (int, float)


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """rows: a mapping of names to plain values each, units in the names. detail: the record that they are of.

    label, height: the columns that `plot` draws against each other. parts: those that it stacks, where there are any.
    notes: what a reader must know.
    """

    title: str
    rows: Sequence[Mapping[str, Any]]
    detail: Any = field(repr=False)
    label: str = "workload"
    height: str = "time_us"
    parts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        shown = [self.title, *(f"  {_line(row)}" for row in self.rows[:MOST_ROWS])]
        if len(self.rows) > MOST_ROWS:
            shown.append(f"  and {len(self.rows) - MOST_ROWS} more: .frame() has them all")
        return "\n".join(shown)

    def _repr_html_(self) -> str:
        shown = (name for row in self.rows for name, value in row.items() if _is_shown(name, value))
        names = list(dict.fromkeys(shown))
        head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(_cell(row.get(name)))}</td>" for name in names) + "</tr>"
            for row in self.rows[:MOST_ROWS]
        )
        notes = "".join(f"<li>{html.escape(note)}</li>" for note in self.notes)
        more = f"<p>and {len(self.rows) - MOST_ROWS} more</p>" if len(self.rows) > MOST_ROWS else ""
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"<p><b>{html.escape(self.title)}</b></p>{table}{more}{self._picture()}<ul>{notes}</ul>"

    def _picture(self) -> str:
        """Return what `plot` draws as an image in HTML, or nothing where there is nothing to draw or too much."""
        from zeroskip.plot import svg  # late: matplotlib is slow to import

        drawn = svg(self) if len(self.rows) <= MOST_BARS else None
        if drawn is None:
            return ""
        return f'<img alt="{html.escape(self.height)}" src="data:image/svg+xml;base64,{b64encode(drawn).decode()}">'

    def frame(self) -> Any:
        """Return all rows as a pandas.DataFrame. Raises BadInput where pandas is not installed."""
        try:
            import pandas as pd
        except ImportError:
            raise BadInput("a frame takes pandas: pip install pandas; .rows are the same as plain mappings") from None
        return pd.DataFrame([dict(row) for row in self.rows])

    def plot(self) -> Any:
        """Return a matplotlib Figure: `height` of each row, or its `parts` stacked. Raises BadInput for neither."""
        from zeroskip.plot import bars  # late: matplotlib is slow to import

        return bars(self)


def _line(row: Mapping[str, Any]) -> str:
    """Return a row in a line: its words first, then its numbers with their names."""
    words = [value for value in row.values() if isinstance(value, str) and value]
    numbers = [f"{name} {_cell(value)}" for name, value in row.items() if type(value) in NUMBERS]
    return ", ".join([*words, *numbers[:8]])


def _is_shown(name: str, value: Any) -> bool:
    """Return whether a cell stands in the table: the shares of states are what the picture is of."""
    return value is not None and not isinstance(value, Mapping | list | tuple) and not name.startswith("state.")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, NUMBERS):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
