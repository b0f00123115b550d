"""How much of each layer to keep, and how fast to get there: densities by name, sensitivity, schedules."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from numbers import Integral, Real

import numpy as np

from workloads.errors import BadInput, did_you_mean, fits
from workloads.pruning.patterns import Pattern
from workloads.pruning.patterns import pattern as as_pattern
from workloads.pruning.prune import prune
from workloads.pruning.ranks import checked_density
from workloads.records import Layer


def per_layer(names: Iterable[str], by_glob: Mapping[str, float]) -> dict[str, float]:
    """Return {name: density} for every layer: that of the last glob which fits its name.

    {"*": 0.1} is uniform; {"*": 0.1, "fc*": 0.2, "fc8": 1} makes exceptions. For one choice over all layers together
    see `patterns.global_masks`. Raises BadInput for a glob that fits no name and a name without a density.
    """
    densities, names = {}, list(names)
    for glob, density in by_glob.items():
        fitting = [name for name in names if fits(name, glob)]
        if not fitting:
            raise BadInput(f"no layer fits {glob!r}{did_you_mean(glob, names)}")
        densities |= dict.fromkeys(fitting, checked_density(density))
    for name in names:
        if name not in densities:
            raise BadInput(f"layer {name!r} has no density: add it, or '*' in front for all others")
    return {name: densities[name] for name in names}


def sensitivity(
    evaluate: Callable[[tuple[Layer, ...]], float],
    layers: Sequence[Layer],
    densities: Sequence[float],
    pattern: str | Pattern = "element",
    *,
    scores: Sequence[np.ndarray] | None = None,
    kernels: Sequence[int] | None = None,
    blocks: Sequence[int] | None = None,
    within: str = "layer",
) -> list[dict]:
    """Return a row, {"layer", "density", "kept", "value", "reason"}, for every layer pruned alone to every density.

    evaluate: from all layers to a figure, such as the accuracy; scores, kernels, blocks: one per layer. Each layer goes
    through `prune`, with the arguments that it takes; "kept" is the share of weights that it left other than zero.
    Where a layer cannot be pruned so or measured, kept and value are None and "reason" says why (elsewhere None).
    Raises BadInput, also where no layer can be. Source: Han et al. 2015, figure 6.
    """
    layers = tuple(layers)
    scores = [None] * len(layers) if scores is None else scores
    kernels, blocks = ([1] * len(layers) if of is None else of for of in (kernels, blocks))
    if not len(scores) == len(kernels) == len(blocks) == len(layers):
        n_each = f"{len(scores)}, {len(kernels)} and {len(blocks)}"
        raise BadInput(f"scores, kernels and blocks must be {len(layers)}, one per layer, got {n_each}")
    kind, densities = as_pattern(pattern), [checked_density(density) for density in densities]
    rows = []
    for i, layer in enumerate(layers):
        for density in densities:
            row = {"layer": layer.name, "density": density, "kept": None, "value": None, "reason": None}
            rows.append(row)
            try:
                sizes = {"kernel": kernels[i], "blocks": blocks[i]}
                pruned = prune(layer, density, kind, scores=scores[i], **sizes, within=within)
                row["value"] = evaluate((*layers[:i], pruned, *layers[i + 1 :]))
            except BadInput as error:
                row["reason"] = str(error)
                continue
            row["kept"] = float(np.count_nonzero(pruned.weights) / pruned.weights.size)
    if rows and all(row["reason"] for row in rows):
        raise BadInput(rows[0]["reason"])
    return rows


def constant(density: float, n_steps: int) -> Iterator[float]:
    """Yield the density n_steps times. Raises BadInput."""
    return repeat(checked_density(density), _checked_steps(n_steps))


def polynomial(end: float, n_steps: int, *, start: float = 1.0, power: float = 3.0) -> Iterator[float]:
    """Yield the densities after steps 1 to n_steps on the way from start down to end: fast first, slow at last.

    end + (start - end) * (1 - step / n_steps)**power. Raises BadInput. Source: Zhu and Gupta 2017, equation 1.
    """
    start, end, n_steps = checked_density(start), checked_density(end), _checked_steps(n_steps)
    if end > start:
        raise BadInput(f"end must be at most start, {start:g}, got {end:g}")
    if isinstance(power, bool) or not isinstance(power, Real) or not 0 < power < float("inf"):
        raise BadInput(f"power must be a finite number above 0, got {power!r}")
    return (end + (start - end) * (1 - step / n_steps) ** power for step in range(1, n_steps + 1))


def _checked_steps(n_steps: int) -> int:
    if isinstance(n_steps, bool) or not isinstance(n_steps, Integral) or n_steps < 1:
        raise BadInput(f"n_steps must be an integer of at least 1, got {n_steps!r}")
    return n_steps
