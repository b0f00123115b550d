"""Pruning a layer: the weights that stay are those of a pattern's groups with the highest score."""

from dataclasses import replace

import numpy as np

from workloads.errors import BadInput
from workloads.pruning.patterns import Pattern, mask
from workloads.pruning.scores import magnitude
from workloads.records import Layer, Workload


def prune(
    layer: Layer,
    density: float | None = None,
    pattern: str | Pattern = "element",
    *,
    scores: np.ndarray | None = None,
    kernel: int = 1,
    blocks: int = 1,
    within: str = "layer",
) -> Layer:
    """Return the layer with only the weights that `mask` keeps; the bias stays whole, even of an output with none.

    scores: f32[out, in] of a criterion in scores.py, magnitude when left out; the other arguments as for `mask`.
    A Workload stays a Workload, codes included. Raises BadInput.
    """
    scores = magnitude(layer.weights) if scores is None else scores
    if np.shape(scores) != layer.weights.shape:
        raise BadInput(f"scores must have the shape of the weights, {layer.weights.shape}, got {np.shape(scores)}")
    return masked(layer, mask(scores, pattern, density, kernel=kernel, blocks=blocks, within=within))


def masked(layer: Layer, kept: np.ndarray) -> Layer:
    """Return the layer with exact zeros, in weights and codes, where kept, bool[out, in], is False. Raises BadInput."""
    kept = np.asarray(kept)
    if kept.shape != layer.weights.shape or kept.dtype != bool:
        raise BadInput(f"kept must be bool{list(layer.weights.shape)}, got {kept.dtype}{list(kept.shape)}")
    changes = {"weights": np.where(kept, layer.weights, np.float32(0))}
    if isinstance(layer, Workload) and layer.codes is not None:
        changes["codes"] = np.where(kept, layer.codes, np.uint8(0))
    return replace(layer, **changes)


def compacted(workload: Workload) -> Workload:
    """Return the workload without the rows and columns that hold no weight: less to store, multiply and broadcast.

    What such a row would give is its bias alone, a constant that the next layer's bias can take up. Columns move, so
    that an N:M pattern is lost. A workload without weights keeps its first row and column.
    """
    rows, columns = workload.mask.any(axis=1), workload.mask.any(axis=0)
    if not rows.any():
        rows[0] = columns[0] = True
    return replace(
        workload,
        weights=workload.weights[rows][:, columns],
        bias=None if workload.bias is None else workload.bias[rows],
        codes=None if workload.codes is None else np.ascontiguousarray(workload.codes[rows][:, columns]),
        activations=workload.activations[:, columns],
        groups=1,
        kernel=1,
    )
