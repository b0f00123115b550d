"""What EIE computes: 16-bit fixed point, in the order of the broadcasts, bit for bit.

An activation has Fa bits behind the point, a codebook entry Fw, an accumulator Fo. A product has 32 bits; adding half a
step and shifting right by Fa + Fw - Fo brings it to the accumulator's format. The accumulator saturates at 16 bits
after every addition. The timing of the machine cannot change a value: every accumulator sees its additions in the order
of the broadcasts.

Where a Spec does not say them, the bits are chosen as large as nothing saturates: Fw for the codebook, Fa for what
enters, Fo for all that the accumulators hold on the way. With activation_fraction_bits said, Fa and Fo are these.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cyclekit.jit import kernel
from eie_sim.image import MAX_RUN, Image
from eie_sim.reuse import reuse
from eie_sim.spec import CODE_BITS, MAX_FRACTION_BITS, RUN_BITS, VALUE_BITS

VALUE_MAX = (1 << (VALUE_BITS - 1)) - 1
VALUE_MIN = -VALUE_MAX - 1
CODE_MASK = (1 << CODE_BITS) - 1
SHORT_ROWS = 1 << (32 - CODE_BITS)  # of a layer whose row and code fit 32 bits
MIN_FRACTION_BITS = -VALUE_BITS  # of what is chosen: values up to 2**31


class Format(NamedTuple):
    """Bits behind the point of activations, codebook and outputs."""

    activations: int
    weights: int
    outputs: int

    @property
    def shift(self) -> int:
        """By how much a product is shifted right to become an addend."""
        return self.activations + self.weights - self.outputs


class Product(NamedTuple):
    """outputs: i16[out], after ReLU where the layer has one; n_saturations: additions that saturated."""

    outputs: np.ndarray
    n_saturations: int
    format: Format


def chosen_bits(values: np.ndarray, least: int = MIN_FRACTION_BITS) -> int:
    """Return the most fraction bits, from `least` to MAX_FRACTION_BITS, with which the reals fit 16 bits."""
    largest = float(np.abs(values).max(initial=0))
    fitting = (bits for bits in range(MAX_FRACTION_BITS, least, -1) if round(largest * 2.0**bits) <= VALUE_MAX)
    return next(fitting, least)


def quantise(values: np.ndarray, fraction_bits: int) -> np.ndarray:
    """Return reals, f32 or f64, as 16-bit fixed point, i16: to nearest (ties to even), saturated at the ends."""
    with np.errstate(over="ignore"):  # scaling by a power of two is exact, or infinite and then cut
        scaled = values * values.dtype.type(2.0**fraction_bits)
    np.rint(scaled, out=scaled)
    return np.minimum(np.maximum(scaled, VALUE_MIN), VALUE_MAX).astype(np.int16)


def to_float(values: np.ndarray, fraction_bits: int) -> np.ndarray:
    """Return what 16-bit fixed-point values stand for, f64."""
    return values.astype(np.float64) * 2.0**-fraction_bits


def multiply(image: Image, column: np.ndarray, activations: np.ndarray, bits: Format, *, fixed: bool) -> Product:
    """Return W a (+ b) of the layer for activations i16[in], adding the columns i32[K] in the order given.

    fixed: the outputs have the bits given; else as many as there can be without an addition that saturates.
    """
    operands, sums = _operands(image, column, activations, bits), np.zeros(image.layer.n_out, np.int64)
    if not fixed:
        peak = _accumulate(*operands, 0, sums)
        shift = max(0, peak.bit_length() - (VALUE_BITS - 1), bits.activations + bits.weights - MAX_FRACTION_BITS)
        bits = bits._replace(outputs=bits.activations + bits.weights - min(shift, MAX_FRACTION_BITS))
    while True:
        n_saturations = 0
        sums[:] = 0
        if _accumulate(*operands, bits.shift, sums) > VALUE_MAX:
            sums[:] = 0
            n_saturations = _saturate(*operands, bits.shift, sums)
        if fixed or not n_saturations or bits.shift == MAX_FRACTION_BITS:
            break
        bits = bits._replace(outputs=bits.outputs - 1)  # the addends' rounding added up to more than the sums
    if image.layer.relu:
        np.maximum(sums, 0, out=sums)
    return Product(sums.astype(np.int16), n_saturations, bits)


def _operands(image: Image, column: np.ndarray, activations: np.ndarray, bits: Format) -> tuple[np.ndarray, ...]:
    """Return the columns in their order, the value of each and the codebook, i32, and the weights by column."""
    inputs = np.append(activations, quantise(np.ones(1), bits.activations))  # the bias column's 1 (R7)
    value, codebook = inputs[column].astype(np.int32), quantise(image.codebook, bits.weights).astype(np.int32)
    return column, value, codebook, *reuse(image, "columns", None, lambda: by_column(image))


def by_column(image: Image) -> tuple[np.ndarray, np.ndarray]:
    """Return where each column begins, i64[C+1], and its weights, row << 4 | code: u32[nnz], beyond 2**28 rows u64."""
    start = np.zeros(image.n_columns + 1, np.int64)
    n = image.n_entries - image.n_paddings
    weights = np.empty(n + 1, np.uint32 if image.layer.n_out <= SHORT_ROWS else np.uint64)  # the last place is spare
    _list_columns(image.entries, image.pe_start, image.pointers, start, weights)
    return start, weights[:n]


def additions(
    image: Image, column: np.ndarray, activations: np.ndarray, bits: Format
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the accumulators i64[out] before and after each of the columns i32[K], added in that order.

    In a column every accumulator is added to at most once, so these are what each of its additions finds and leaves.
    """
    _, value, codebook, *layout = _operands(image, column, activations, bits)
    accumulators = np.zeros(image.layer.n_out, np.int64)
    for k in range(len(column)):
        before, own = accumulators.copy(), slice(k, k + 1)
        _saturate(column[own], value[own], codebook, *layout, bits.shift, accumulators)
        yield before, accumulators


@kernel
def _list_columns(entries, pe_start, pointers, start, weights):
    n_pes, n = len(pe_start) - 1, 0
    for column in range(len(pointers) - 1):
        start[column] = n
        for pe in range(n_pes):
            row = pe - n_pes
            for e in range(pe_start[pe] + pointers[column, pe], pe_start[pe] + pointers[column + 1, pe]):
                row += ((entries[e] & MAX_RUN) + 1) * n_pes
                code = entries[e] >> RUN_BITS
                weights[n] = row << CODE_BITS | code
                n += code != 0
    start[len(pointers) - 1] = n


@kernel
def _accumulate(column, value, codebook, start, weights, shift, sums):
    """Add up as if accumulators had no end; return the largest magnitude that one reaches on the way."""
    half = (1 << shift) >> 1
    low = high = 0
    addend = np.zeros(len(codebook), np.int64)
    for k in range(len(column)):
        for code in range(len(codebook)):
            addend[code] = (codebook[code] * value[k] + half) >> shift
        for weight in weights[start[column[k]] : start[column[k] + 1]]:
            row, code = weight >> np.uint32(CODE_BITS), weight & np.uint32(CODE_MASK)
            total = sums[row] + addend[code]
            sums[row] = total
            low, high = min(low, total), max(high, total)
    return max(-low, high)


@kernel
def _saturate(column, value, codebook, start, weights, shift, accumulators):
    """Add up in 16 bits; return how many additions saturated."""
    half = (1 << shift) >> 1
    n_saturations = 0
    for k in range(len(column)):
        for weight in weights[start[column[k]] : start[column[k] + 1]]:
            row, code = weight >> np.uint32(CODE_BITS), weight & np.uint32(CODE_MASK)
            total = accumulators[row] + ((codebook[code] * value[k] + half) >> shift)
            accumulators[row] = min(max(total, VALUE_MIN), VALUE_MAX)
            n_saturations += accumulators[row] != total
    return n_saturations
