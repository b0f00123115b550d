"""Energy, area and leakage of an SRAM of any size and width at 45 nm, between the points of CACTI's table."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np

from workloads.errors import BadInput
from workloads.files import read_table

SOURCE = "CACTI 7 at 45 nm (data/sram_cacti7_45nm.csv)"


class Sram(NamedTuple):
    """One bank: energy of an access, area, leakage power."""

    read_pj: float
    write_pj: float
    area_um2: float
    leakage_mw: float


@lru_cache(maxsize=4096)  # sweeps ask for the same banks again and again
def sram(size_bytes: float, width_bits: float, name: str = "SRAM") -> Sram:
    """Return the bank of that size and width of an access, straight lines in logarithms between the table's points.

    What is smaller or narrower than the smallest bank of the table is priced as that one, so too high. Raises BadInput
    beyond the largest, which calls the bank by its name.
    """
    sizes, widths, table = _table()
    for unit, value, most in (("bytes", size_bytes, sizes[-1]), ("bits of width", width_bits, widths[-1])):
        if value > most:
            raise BadInput(f"the {name} must have at most {most:.0f} {unit} to have a price, got {value:.0f}")
    row, down = _place(sizes, size_bytes)
    column, right = _place(widths, width_bits)
    corners = np.log(table[row : row + 2, column : column + 2])
    across = corners[:, 0] * (1 - right) + corners[:, 1] * right
    return Sram(*np.exp(across[0] * (1 - down) + across[1] * down).tolist())


def _place(points: np.ndarray, value: float) -> tuple[int, float]:
    """Return the point below a value, and what share of the logarithmic way to the next lies between."""
    value = max(value, points[0])
    below = min(int(np.searchsorted(points, value, "right")) - 1, len(points) - 2)
    return below, float(np.log(value / points[below]) / np.log(points[below + 1] / points[below]))


@cache
def _table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return sizes f64[S], widths f64[W] and f64[S, W, 4] of the table."""
    rows = read_table("eie_sim", "sram_cacti7_45nm")
    points = {
        (int(row["size_bytes"]), int(row["width_bits"])): [
            float(row[name]) for name in ("read_pJ", "write_pJ", "area_um2", "leakage_mW")
        ]
        for row in rows
    }
    sizes, widths = (sorted({point[axis] for point in points}) for axis in (0, 1))
    table = np.array([[points[size, width] for width in widths] for size in sizes])
    return np.array(sizes, float), np.array(widths, float), table
