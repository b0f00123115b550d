"""Magnitude pruning: which weights stay, chosen by rank."""

from dataclasses import replace
from numbers import Real

import numpy as np

from workloads.errors import BadInput
from workloads.records import Layer, Workload, checked_array


def magnitude_mask(weights: np.ndarray, density: float) -> np.ndarray:
    """Return bool[...]: True for exactly round(density * size) weights of the largest magnitude.

    weights: f32[...]; density: the share kept, above 0 and at most 1. Of equals the earlier in C order is kept.
    Raises BadInput. Source: Han et al. 2015, with a rank in place of their threshold, which ties would make inexact.
    """
    if isinstance(density, bool) or not isinstance(density, Real) or not 0 < density <= 1:
        raise BadInput(f"density must be a number above 0 and at most 1, got {density!r}")
    magnitudes = np.abs(checked_array("weights", weights, (np.ndim(weights),)))
    flat = magnitudes.ravel()
    n_kept = round(density * flat.size)
    mask = np.zeros(flat.size, bool)
    if n_kept:
        smallest_kept = np.partition(flat, -n_kept)[-n_kept]
        np.greater(flat, smallest_kept, out=mask)
        ties = np.flatnonzero(flat == smallest_kept)
        mask[ties[: n_kept - np.count_nonzero(mask)]] = True
    return mask.reshape(magnitudes.shape)


def prune(layer: Layer, density: float) -> Layer:
    """Return the layer with only its round(density * size) weights of largest magnitude; the bias stays whole.

    A Workload stays a Workload, codes included. Raises BadInput for a density outside (0, 1].
    """
    mask = magnitude_mask(layer.weights, density)
    changes = {"weights": np.where(mask, layer.weights, np.float32(0))}
    if isinstance(layer, Workload) and layer.codes is not None:
        changes["codes"] = np.where(mask, layer.codes, np.uint8(0))
    return replace(layer, **changes)
