"""What EIE computes: 16-bit fixed point, in the order of the broadcasts, bit for bit.

An activation has activation_fraction_bits (Fa) behind the point, a codebook entry weight_fraction_bits (Fw). A product
has 32 bits; adding half a step and shifting right by Fw brings it to the accumulator's format, which is the
activations', so that outputs can be the next layer's inputs. The accumulator saturates at 16 bits after every addition.
The timing of the machine cannot change a value: every accumulator sees its additions in the order of the broadcasts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cyclekit.jit import kernel
from eie_sim.image import MAX_RUN, Image
from eie_sim.spec import RUN_BITS, VALUE_BITS, Spec

VALUE_MAX = (1 << (VALUE_BITS - 1)) - 1
VALUE_MIN = -VALUE_MAX - 1


class Product(NamedTuple):
    """outputs: i16[out], after ReLU where the layer has one; n_saturations: additions that saturated."""

    outputs: np.ndarray
    n_saturations: int


def quantise(values: np.ndarray, fraction_bits: int) -> np.ndarray:
    """Return reals, f32 or f64, as 16-bit fixed point, i16: to nearest (ties to even), saturated at the ends."""
    with np.errstate(over="ignore"):  # scaling by a power of two is exact, or infinite and then cut
        scaled = values * values.dtype.type(2**fraction_bits)
    np.rint(scaled, out=scaled)
    return np.minimum(np.maximum(scaled, VALUE_MIN), VALUE_MAX).astype(np.int16)


def to_float(values: np.ndarray, fraction_bits: int) -> np.ndarray:
    """Return what 16-bit fixed-point values stand for, f64."""
    return values.astype(np.float64) * 2.0**-fraction_bits


def multiply(image: Image, column: np.ndarray, activations: np.ndarray, spec: Spec) -> Product:
    """Return W a (+ b) of the layer for activations i16[in], adding the columns i32[K] in the order given."""
    inputs = np.append(activations, quantise(np.ones(1), spec.activation_fraction_bits))  # the bias column's 1 (R7)
    accumulators = np.zeros(image.layer.n_out, np.int32)
    n_saturations = _accumulate(
        column,
        inputs[column].astype(np.int32),
        quantise(image.codebook, spec.weight_fraction_bits).astype(np.int32),
        spec.weight_fraction_bits,
        image.entries,
        image.pe_start,
        image.pointers,
        accumulators,
    )
    if image.layer.relu:
        np.maximum(accumulators, 0, out=accumulators)
    return Product(accumulators.astype(np.int16), n_saturations)


@kernel
def _accumulate(column, value, codebook, shift, entries, pe_start, pointers, accumulators):
    half = (1 << shift) >> 1
    n_pes = len(pe_start) - 1
    n_saturations = 0
    addend = np.zeros(len(codebook), np.int32)
    for k in range(len(column)):
        for code in range(len(codebook)):
            addend[code] = (codebook[code] * value[k] + half) >> shift
        for pe in range(n_pes):
            row = -1
            for e in range(pe_start[pe] + pointers[column[k], pe], pe_start[pe] + pointers[column[k] + 1, pe]):
                row += (entries[e] & MAX_RUN) + 1
                code = entries[e] >> RUN_BITS
                if code == 0:  # a padding performs no write
                    continue
                total = accumulators[row * n_pes + pe] + addend[code]
                if total > VALUE_MAX:
                    total = VALUE_MAX
                    n_saturations += 1
                elif total < VALUE_MIN:
                    total = VALUE_MIN
                    n_saturations += 1
                accumulators[row * n_pes + pe] = total
    return n_saturations
