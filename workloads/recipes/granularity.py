"""Granularity compared: which patterns at a density, where they fit, and how free each leaves the mask."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from workloads.errors import BadInput
from workloads.pruning.patterns import pattern
from workloads.pruning.ranks import checked_density
from workloads.recipes.subjects import Compressible, subject

LADDER = ("element", "vector 1x4", "vector 4x1", "block 4x4", "kernel", "filter", "channel")
N_REASONS = 3  # matrices of which a complaint says why they do not fit
N_M = (4, 8, 16)  # groups tried for an N:M of the density


def ladder(network: Compressible, density: float, patterns: str | None = None) -> list[str]:
    """Return the patterns asked for, "element,2:4", or by default LADDER and the N:M of the density, if there is one.

    Without convolutions a kernel is one element, and is left out by default.

    Raises BadInput for an unknown pattern, one named twice, and an N:M of another density.
    """
    density = checked_density(density)
    if patterns is None:
        fitting = [m for m in N_M if Fraction(density).limit_denominator(1000) * m % 1 == 0]
        flat = max(subject(network).kernels.values()) == 1
        names = [name for name in LADDER if not (flat and name == "kernel")]
        return [*names, *(f"{round(density * m)}:{m}" for m in fitting[:1] if density < 1)]
    names = [pattern(name.strip()).name for name in patterns.split(",")]
    for name in names:
        kind = pattern(name)
        if kind.m and not math.isclose(kind.n / kind.m, density):
            raise BadInput(f"density must be {kind.n / kind.m:g} for pattern {name!r}, got {density:g}")
    if len(set(names)) < len(names):
        raise BadInput(f"patterns must differ from each other, got {', '.join(names)}")
    return names


def targets(network: Compressible, patterns: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names of the matrices that every pattern fits, and of the others. Raises BadInput for none."""
    seen, fitting, reasons = subject(network), [], []
    for name, matrix in seen.matrices.items():
        try:
            for one in patterns:
                pattern(one).box(matrix.shape, seen.kernels[name], seen.groups[name])
        except BadInput as error:
            reasons.append(f"{name!r}: {error}")
            continue
        fitting.append(name)
    if not fitting:
        more = f"; and {len(reasons) - N_REASONS} more" if len(reasons) > N_REASONS else ""
        raise BadInput(
            f"patterns must all fit one of the matrices; {'; '.join(reasons[:N_REASONS])}{more}: name others"
        )
    return fitting, [name for name in seen.matrices if name not in fitting]


def flexibility(network: Compressible, name: str, density: float, names: Sequence[str]) -> float:
    """Return log2 of the number of masks that a pattern allows at a density, by weight of the named matrices."""
    seen, kind = subject(network), pattern(name)
    bits = n_weights = 0.0
    for matrix_name in names:
        shape = seen.matrices[matrix_name].shape
        height, width = kind.box(shape, seen.kernels[matrix_name], seen.groups[matrix_name])
        size = shape[0] * shape[1]
        n_groups = size // (height * width)
        if kind.m:
            full, short = divmod(shape[1], kind.m)
            of_row = full * _log2_choices(kind.m, kind.n) + _log2_choices(short, min(kind.n, short))
            bits += shape[0] * of_row
        else:
            bits += _log2_choices(n_groups, round(density * n_groups))
        n_weights += size
    return bits / n_weights


def _log2_choices(n: int, k: int) -> float:
    """Return log2 of how many ways there are to choose k of n."""
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(2)
