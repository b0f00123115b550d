"""The tensor core's figures: the published values beside the simulated ones, and where sparsity's speed-up goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from cyclekit.figures.curves import lines, roofline
from cyclekit.figures.published import errors_by_row, times_on_diagonal
from cyclekit.figures.stacks import stacked_losses
from cyclekit.run import Run
from cyclekit.validation import Validation
from tensorcore_sim.actions import SmState

PAPERS = ("Sun et al.", "Luo et al.")
SEARCHED = "vllmbench"  # too many rows for a line each
CLOUDS = "TorchSparse"
FITTED = "Where a constant was fitted on a row, its agreement is no evidence. No prices."
INSTRUCTIONS = (
    "Simulated: one instruction in a loop on an SM of presets a100-sxm-80gb and h800-pcie, warps and chains as named. "
    f"{FITTED}"
)
GEMMS = (
    f"Simulated: each product by its sizes alone on the preset of the card that was measured. Energies of Sparseloop "
    f"are by its own prices. {FITTED}"
)
OF_CLOUDS = (
    f"Simulated: sparse convolutions of layers and networks on clouds, presets rtx-2080-ti and rtx-3090. {FITTED}"
)


def draw_validation(validation: Validation, folder: Path) -> list[Path]:
    """Draw the errors of instructions, GEMMs and sparse convolutions, LLMCompass' ladder and vllmbench's times."""
    drawn = [folder / f"tensorcore_{name}.png" for name in ("instructions", "gemms", "ladder", "vllmbench", "clouds")]
    instructions = [row for row in validation.comparisons if row.source in PAPERS]
    gemms = [row for row in validation.comparisons if row.source not in (*PAPERS, SEARCHED, CLOUDS)]
    searched = [row for row in validation.select(source=SEARCHED) if row.unit == "us"]
    errors_by_row(
        instructions, drawn[0], title="Instructions: Sun et al. (A100), Luo et al. (H800)", band=5, about=INSTRUCTIONS
    )
    errors_by_row(gemms, drawn[1], title="Whole GEMMs, and Sparseloop's counts", band=15, about=GEMMS)
    clouds = validation.select(source=CLOUDS)
    errors_by_row(clouds, drawn[4], title="TorchSparse: groups, moves and cards", band=15, about=OF_CLOUDS)
    title = f"{len(searched) // 2} GEMMs of vllmbench, dense and 2:4"
    times_on_diagonal(searched, drawn[3], title=title, band=10, about=GEMMS)
    ladder = validation.select(source="LLMCompass")
    sizes = [[int(part) for part in row.layer.split(" x ")] for row in ladder]
    ns, operations = [n for _, n, _ in sizes], [2 * m * n * k for m, n, k in sizes]
    rates = {
        name: [work / getattr(row, name) / 1e6 for work, row in zip(operations, ladder, strict=True)]
        for name in ("simulated", "published")
    }
    lines(
        {"simulated": (ns, rates["simulated"])},
        drawn[2],
        title="A100, dense f16, M x 12288 x 12288",
        x_label="M",
        y_label="TFLOPS",
        about=GEMMS,
        measured={"LLMCompass, measured": (ns, rates["published"])},
    )
    return drawn


def draw_speed_ups(sizes: Sequence[int], speed_ups: Mapping[str, Sequence[float]], path: Path, *, about: str) -> Path:
    """Draw the 2:4 speed-up of square GEMMs against their size, a line a card."""
    lines(
        {name: (sizes, of_card) for name, of_card in speed_ups.items()},
        path,
        title="2:4 over dense, square GEMMs",
        x_label="m = n = k",
        y_label="speed-up [times]",
        about=about,
        limit=("ideal", 2.0),
    )
    return path


def draw_roofline(
    roofs: Mapping[str, tuple[float, float]],
    points: Mapping[str, Sequence[tuple[float, float, str]]],
    path: Path,
    title: str,
    *,
    about: str,
) -> Path:
    """Draw dense and sparse runs under their roofs."""
    x_label = "operations of the dense product for each byte that must cross HBM [FLOP/B]"
    roofline(roofs, points, path, title=title, x_label=x_label, about=about)
    return path


def draw_losses(runs: Mapping[str, Run], path: Path, *, title: str, about: str) -> Path:
    """Draw what keeps sparse runs from the ideal share of their dense times."""
    bars = {}
    for label, run in runs.items():
        dense_us = run.measures["time_dense_us"]
        bars[label] = {
            state.name.lower(): 100 * run.measures[f"lost_to_{state.name.lower()}_us"] / dense_us for state in SmState
        }
    ideal = 100 / next(iter(runs.values())).measures["ideal_speed_up"]
    stacked_losses(bars, ("ideal", ideal), SmState, path, title=title, about=about, x_label="m = n = k")
    return path
