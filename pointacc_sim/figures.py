"""PointAcc's figures: errors of the validation, map sizes, groups, cycles by unit, DRAM bytes by flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path

from cyclekit.figures.published import errors_by_row
from cyclekit.figures.stacks import stacked_parts, states_by_design
from cyclekit.validation import Validation
from workloads.points.groups import grouping


def draw_validation(validation: Validation, folder: Path) -> list[Path]:
    """Draw the errors of all comparisons; return the file."""
    path = folder / "pointacc_validation.png"
    about = (
        "Simulated: the networks and clouds named (streams: of lidar-0.1), presets server and edge. Recalled: rows "
        "that no text at hand confirms, which are no evidence. No prices."
    )
    errors_by_row(
        validation.comparisons, path, title="PointAcc: what is published or recalled of it", band=5, about=about
    )
    return [path]


def draw_sizes(sizes: Sequence[int], path: Path, *, title: str, about: str) -> Path:
    """Draw the entries of each pair of offsets that mirror each other, of i64[offsets], and of the centre."""
    half = len(sizes) // 2
    bars = {str(place) if place < half else "c": {"entries": float(sizes[place])} for place in range(half + 1)}
    stacked_parts({"entries of the map": bars}, path, title=title, about=about, x_label="offset, c: the centre")
    return path


def draw_groups(sizes: Sequence[int], epsilons: Sequence[float], path: Path, *, title: str, about: str) -> Path:
    """Draw launches and rows, those that pad among them, of TorchSparse's groups against epsilon."""
    of = {f"{epsilon:g}": grouping(sizes, epsilon, float("inf")) for epsilon in epsilons}
    panels = {
        "launches": {name: {"launches": float(one.launches)} for name, one in of.items()},
        "rows": {
            name: {"rows": float(one.rows), "padding": float(one.padded_rows - one.rows)} for name, one in of.items()
        },
    }
    stacked_parts(panels, path, title=title, about=about, x_label="epsilon")
    return path


def draw_states(
    spent: Mapping[str, Mapping[str, float]],
    names: type[IntEnum],
    times_us: Mapping[str, float],
    path: Path,
    title: str,
    about: str,
) -> Path:
    """Draw where a unit's cycles went by design."""
    states_by_design(spent, names, path, title=title, about=about, times_us=times_us)
    return path


def draw_bytes(moved: Mapping[str, Mapping[str, float]], path: Path, *, title: str, about: str) -> Path:
    """Draw the megabytes that DRAM moves by design and part."""
    stacked_parts({"moved to and from DRAM [MB]": moved}, path, title=title, about=about)
    return path
