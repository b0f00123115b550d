"""The figures of a comparison: time and energy of an input over the batch, a line a design."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cyclekit.comparison.conditions import ENERGY, TIME, Comparison
from cyclekit.figures.curves import lines
from cyclekit.views import scale_of_all


def draw(
    comparisons: Sequence[Comparison],
    designs: Sequence[Mapping[str, Any]],
    provenances: Mapping[str, Sequence[str]],
    folder: Path,
) -> list[Path]:
    """Draw each workload's figures as PNG and SVG; return the files.

    designs: what each is, by "design", "machine", "preset", "changes" and "prices"; provenances: by workload.
    """
    names = [Path(comparison.workload).name for comparison in comparisons]
    if len(set(names)) < len(names):  # files of one name in several folders
        names = [comparison.workload for comparison in comparisons]
    stems: list[str] = []
    for name in names:
        stem = re.sub(r"[^\w.-]+", "-", name).strip("-")
        stems.append(f"{stem}-{len(stems) + 1}" if stem in stems else stem)
    paths = []
    for comparison, work, stem in zip(comparisons, names, stems, strict=True):
        for quantity, label in ((TIME, "time"), (ENERGY, "energy")):
            values_of = comparison.ladders[0].values(quantity)
            every = [value for values in values_of.values() for value in values]
            unit, size = scale_of_all("us" if quantity == TIME else "pJ", every)
            series = {
                name: ([*comparison.ladders[0].points], [value / size for value in values])
                for name, values in values_of.items()
                if None not in values and all(values)
            }
            if not series:
                continue
            about = _about(comparison, work, label, designs, [*series], provenances[comparison.workload])
            for suffix in ("png", "svg"):
                paths.append(folder / f"compare-{stem}-{label}.{suffix}")
                lines(
                    series,
                    paths[-1],
                    title=f"{work}: {label} of an input",
                    x_label="batch [inputs]",
                    y_label=f"{label} of an input [{unit}]",
                    about=about,
                    log_y=True,
                )
    return paths


def _about(
    comparison: Comparison,
    work: str,
    label: str,
    designs: Sequence[Mapping[str, Any]],
    shown: Sequence[str],
    provenances: Sequence[str],
) -> str:
    """Return what a figure rests on: the layers, each design with its prices, and the designs that are not in it."""
    n_layers = len(comparison.layers)
    of_layers = f"{n_layers} layers of {work}, one after the other" if n_layers > 1 else work
    said = [f"{label.capitalize()} of an input, the mean of a batch: {of_layers}."]
    for design in designs:
        if design["design"] in shown:
            parts = [f"preset {design['preset']}", *(f"{name} = {value}" for name, value in design["changes"].items())]
            parts += [f"prices {design['prices']}"] if label == "energy" else []
            said.append(f"{design['design']}: {', '.join(parts)}.")
    if missing := [name for name in comparison.total if name not in shown]:
        said.append(f"Not shown, as of some batch it is not known: {', '.join(missing)}.")
    return " ".join([*said, *(f"Workload: {provenance}." for provenance in provenances)])
