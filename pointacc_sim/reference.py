"""The maps and values of a layer the plain way, to hold the machine's against: the front-end's map, sums by NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from pointacc_sim.arithmetic import finished
from pointacc_sim.image import Image
from pointacc_sim.spec import Spec
from workloads.points.convolution import SparseConvolution, convolve

F16_STEP, F32_STEP = 2.0**-11, 2.0**-24  # half a step, relative
F16_LEAST = 2.0**-25  # half the least step of FP16, absolute


def check(image: Image, features: np.ndarray, outputs: np.ndarray, spec: Spec) -> dict[str, Any]:
    """Return whether maps are equal pair for pair, outputs equal to the bit, and each within its bound of float64.

    features: f32[n_in, in] of FP16 values, outputs as `arithmetic.multiply` gives them.
    """
    maps_equal = all(_same(image, offset) for offset in range(len(image.layer.map.sizes)))
    bits_equal = bool(np.array_equal(outputs, plain(image, features, spec)))
    reals = image.layer.forward(features, np.float64)
    norm, error = np.linalg.norm(reals), np.abs(outputs - reals)
    within = bool((error <= bound(image.layer, features, reals)).all())
    return {
        "passed": maps_equal and bits_equal and within,
        "maps_equal": maps_equal,
        "bits_equal": bits_equal,
        "within_float64_bound": within,
        "relative_error_of_float64": float(np.linalg.norm(error) / norm) if norm else float(error.max()),
    }


def bound(layer: SparseConvolution, features: np.ndarray, reals: np.ndarray) -> np.ndarray:
    """Return by how much each output may differ from float64's, f64[n_out, out].

    Weights are rounded to FP16, each of the n additions to FP32, the output to FP16: of the sum of |x| |w| a step of
    FP16 and n of FP32, of the output a step of FP16, and what lies below FP16's least step.
    """
    size = np.abs(features).astype(np.float64)
    magnitude = convolve(size, np.abs(layer.weights).astype(np.float64), layer.map)
    if layer.bias is not None:
        magnitude += np.abs(layer.bias)
    inputs = convolve(size, np.ones_like(layer.weights, np.float64), layer.map)
    n = layer.n_in + len(layer.map.sizes) + 1
    steps = F16_STEP + n * F32_STEP
    return 1.01 * (steps * magnitude + F16_STEP * np.abs(reals) + F16_LEAST * (1 + inputs))  # of second order: 1%


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
