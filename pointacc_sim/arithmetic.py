"""What the array computes, to the bit: FP16 features and weights, products exact in FP32, sums in FP32 in its order.

A column adds its rows' products from the top down; the sum of a tile of input channels is then added to the output's
accumulator, offset after offset. Bias and ReLU are in FP32; what leaves is rounded to FP16.
"""

from __future__ import annotations

import numpy as np

from cyclekit.jit import kernel
from pointacc_sim.image import Image, to_f16
from pointacc_sim.spec import Spec


def multiply(image: Image, features: np.ndarray, spec: Spec) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return what leaves the layer, f32[n_out, out] of FP16 values, and notes; features: f32[n_in, in] of FP16 values.

    Rows are those of the layer's clouds; inside, the machine has them in the order of their keys.
    """
    maps, layer = image.maps, image.layer
    sums = np.zeros((layer.positions, layer.out_channels), np.float32)
    _accumulate(features[maps.order_in], image.weights, maps.starts, maps.ins, maps.outs, spec.n_rows, sums)
    outputs = np.empty_like(sums)
    outputs[maps.order_out] = sums
    return finished(outputs, layer.bias, layer.relu)


def finished(sums: np.ndarray, bias: np.ndarray | None, relu: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return sums f32[n, out] behind bias, ReLU and rounding, and notes."""
    if bias is not None:
        sums = sums + bias
    return to_f16("outputs", np.maximum(sums, np.float32(0)) if relu else sums)


@kernel
def _accumulate(features, weights, starts, ins, outs, n_rows, sums):
    n_channels, n_out = weights.shape[1], weights.shape[2]
    column = np.empty(n_out, np.float32)
    for offset in range(len(starts) - 1):
        of_offset = weights[offset]
        for entry in range(starts[offset], starts[offset + 1]):
            row, total = features[ins[entry]], sums[outs[entry]]
            for first in range(0, n_channels, n_rows):
                column[:] = np.float32(0)
                for channel in range(first, min(n_channels, first + n_rows)):
                    value, of_channel = row[channel], of_offset[channel]
                    for j in range(n_out):
                        column[j] += value * of_channel[j]
                for j in range(n_out):
                    total[j] += column[j]
