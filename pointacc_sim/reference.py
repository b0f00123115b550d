"""The maps and values of a layer the plain way, to hold the machine's against: the front-end's map, sums by NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from pointacc_sim.arithmetic import finished
from pointacc_sim.image import Image
from pointacc_sim.spec import Spec

F16_STEP = 2.0**-11  # half a step of FP16, relative: of features, of weights and of outputs


def check(image: Image, features: np.ndarray, outputs: np.ndarray, spec: Spec) -> dict[str, Any]:
    """Return whether maps are equal pair for pair, outputs equal to the bit, and how far they are from float64.

    features: f32[n_in, in] of FP16 values, outputs as `arithmetic.multiply` gives them.
    """
    maps_equal = all(_same(image, offset) for offset in range(len(image.layer.map.sizes)))
    exact = plain(image, features, spec)
    reals = image.layer.forward(features, np.float64)
    norm = np.linalg.norm(reals)
    error = float(np.linalg.norm(outputs - reals) / norm) if norm else float(np.abs(outputs).max(initial=0.0))
    bits_equal = bool(np.array_equal(outputs, exact))
    # Weights and outputs are rounded to FP16, sums to FP32: errors of many terms add up as their root.
    return {
        "passed": maps_equal and bits_equal and error < 4 * F16_STEP,
        "maps_equal": maps_equal,
        "bits_equal": bits_equal,
        "relative_error_of_float64": error,
    }


def plain(image: Image, features: np.ndarray, spec: Spec) -> np.ndarray:
    """Return the outputs by NumPy, a channel at a time, on the front-end's map."""
    layer = image.layer
    sums = np.zeros((layer.positions, layer.out_channels), np.float32)
    for offset, of_offset in enumerate(image.weights):
        ins, outs = layer.map.pairs(offset)
        for first in range(0, layer.in_channels, spec.n_rows):
            column = np.zeros((len(ins), layer.out_channels), np.float32)
            for channel in range(first, min(layer.in_channels, first + spec.n_rows)):
                column += features[ins, channel, None] * of_offset[channel]
            sums[outs] += column
    return finished(sums, layer.bias, layer.relu)[0]


def _same(image: Image, offset: int) -> bool:
    """Tell whether an offset's entries are those of the front-end, whatever their order."""
    own, other = image.maps.pairs(offset), image.layer.map.pairs(offset)
    return len(own[0]) == len(other[0]) and all(
        np.array_equal(a[np.lexsort(own)], b[np.lexsort(other)]) for a, b in zip(own, other)
    )
