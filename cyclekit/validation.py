"""A machine held against published figures: a row for every point with its error, contradictions in footnotes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import log2
from statistics import fmean
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One published number and the simulated one."""

    source: str  # "Table IV", "Fig 8"
    quantity: str
    unit: str  # "%" for shares, whose errors are in points; "bits" of a width, in doublings; else errors are in percent
    layer: str
    setting: str  # what the figure's horizontal axis says; empty in a table
    kind: str  # "as published" or "calibrated": what the workload was made from
    published: float
    simulated: float
    mark: str = "A"  # confidence: A the source itself, B careful secondary, C one secondary, R recalled

    @property
    def error(self) -> float:
        """The simulated value's distance: points for shares, doublings for widths, else percent."""
        distance = self.simulated - self.published
        if self.unit == "bits":
            return log2(self.simulated / self.published)
        return distance if self.unit == "%" else 100 * distance / self.published

    @property
    def error_unit(self) -> str:
        """What the error is in."""
        return {"%": "points", "bits": "doublings"}.get(self.unit, "%")


@dataclass(frozen=True, kw_only=True)
class Validation:
    """All comparisons of a machine, and what a reader must know about the published side."""

    machine: str
    comparisons: tuple[Comparison, ...]
    footnotes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        rows = [asdict(row) | {"error": row.error} for row in self.comparisons]
        return {"machine": self.machine, "comparisons": rows, "footnotes": list(self.footnotes)}

    def select(self, **wanted: str) -> list[Comparison]:
        """Return the comparisons whose fields have the wanted values."""
        return [row for row in self.comparisons if all(getattr(row, name) == value for name, value in wanted.items())]

    def groups(self) -> list[tuple[str, str]]:
        """Return the (source, quantity) pairs in order."""
        return list(dict.fromkeys((row.source, row.quantity) for row in self.comparisons))


def mean_error(rows: Iterable[Comparison]) -> float:
    """Return the mean size of the errors."""
    return fmean(abs(row.error) for row in rows)


def worst(rows: Iterable[Comparison]) -> Comparison:
    """Return the comparison with the largest error."""
    return max(rows, key=lambda row: abs(row.error))
