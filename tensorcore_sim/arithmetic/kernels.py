"""The fused dot-add of a tensor core, bit for bit, as compiled loops over decoded operands.

One fused add of one output element (MMA-Sim, arXiv 2511.10909; MATLAB-tensor-core, arXiv 2512.07004):

A1 significands are multiplied exactly. The exponent of a product is the sum of its operands' exponents, a subnormal's
   being its format's smallest; the product, in [0, 4), is not normalised.
A2 E is the largest exponent over all products and C, but at least min_exponent. A zero, product or C, has no exponent.
A3 every term is cut off toward zero, in magnitude, F fraction bits below E. There is no sticky bit.
A4 the terms are added exactly.
A5 one rounding: to f32 toward zero (Ada's and wgmma's fp8: to 14 significant bits, subnormals to 2**-139), to f16 to
   nearest, ties to even. From 2**128 (f32) or 65520 (f16) up it is infinity. What is or rounds to zero is +0.
A6 a NaN, infinity times zero or infinities of both signs give the NaN 0x7FFFFFFF or 0x7FFF; else an infinity stays.

A longer k is a chain of such adds, each taking the result before it as its C. Integers are exact, modulo 2**32.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cyclekit.jit import kernel

FINITE, INFINITE, NAN = 0, 1, 2
GUARD = 27  # bits: two significands further apart than that cannot cancel to fewer than 24
NO_EXPONENT = -(1 << 20)  # of a zero: far below every other, and two of them still fit 32 bits


class Operand(NamedTuple):
    """Decoded rows: signed significands i32[n, k], exponents i32[n, k], kinds u8[n, k], special bool[n].

    A value is significand * 2**(exponent - fraction_bits); the significand of an infinity is its sign; special rows
    hold an infinity or a NaN.
    """

    significands: np.ndarray
    exponents: np.ndarray
    kinds: np.ndarray
    special: np.ndarray


class Widths(NamedTuple):
    """What a kernel needs to know of the fused add and the formats; see FusedAdd."""

    n_products: int
    fraction_bits: int
    min_exponent: int
    in_fraction_bits: int
    to_f16: bool
    significand_bits: int
    halves: bool


@kernel
def _top_bit(magnitude):
    """Return the place of a positive number's leading one, by halving."""
    place = 0
    for step in (32, 16, 8, 4, 2, 1):
        if magnitude >> step:
            magnitude >>= step
            place += step
    return place


@kernel
def _to_f32(total, unit, significand_bits):
    """Round total * 2**unit toward zero to an f32 of that many significant bits (A5)."""
    magnitude = abs(total)
    exponent = max(unit + _top_bit(magnitude), -126)
    if exponent > 127:
        return (total < 0) << 31 | 0x7F800000
    drop = exponent - (significand_bits - 1) - unit
    significand = magnitude >> min(drop, 63) if drop >= 0 else magnitude << -drop
    if significand == 0:
        return 0
    significand <<= 24 - significand_bits
    return (total < 0) << 31 | (((exponent + 126) << 23) + significand)  # a leading one adds the exponent's last step


@kernel
def _to_nearest(total, unit, to_f16):
    """Round total * 2**unit to the nearest f16 or f32, ties to even (A5)."""
    fraction_bits, top = (10, 15) if to_f16 else (23, 127)
    sign = (total < 0) << (15 if to_f16 else 31)
    magnitude = abs(total)
    exponent = max(unit + _top_bit(magnitude), 1 - top)
    if exponent > top:
        return sign | (0x7C00 if to_f16 else 0x7F800000)
    drop = exponent - fraction_bits - unit
    if drop <= 0:
        significand = magnitude << -drop
    elif drop > 62:
        significand = 0  # less than half a step: magnitudes have fewer than 54 bits
    else:
        significand = magnitude >> drop
        rest, half = magnitude & ((1 << drop) - 1), 1 << (drop - 1)
        significand += rest > half or (rest == half and significand & 1 == 1)
    if significand == 0:
        return 0
    # A carry runs on into the exponent, up to infinity.
    return sign | (((exponent + top - 1) << fraction_bits) + significand)


@kernel
def _split(bits, to_f16):
    """Take an f32 or f16 apart: signed significand, exponent, kind."""
    fraction_bits, exponent_bits = (10, 5) if to_f16 else (23, 8)
    top = (1 << exponent_bits) - 1
    fraction = bits & ((1 << fraction_bits) - 1)
    field = bits >> fraction_bits & top
    negative = bits >> (fraction_bits + exponent_bits) & 1
    if field == top:
        return (-1 if negative else 1), 0, (INFINITE if fraction == 0 else NAN)
    magnitude = fraction | (1 << fraction_bits if field else 0)
    exponent = NO_EXPONENT if magnitude == 0 else max(field, 1) - (1 << (exponent_bits - 1)) + 1
    return (-magnitude if negative else magnitude), exponent, FINITE


@kernel
def _specials(a, i, b, j, first, last, significand, kind):
    """Return what A6 makes of the terms: FINITE, NAN, or INFINITE with its sign."""
    plus = kind == INFINITE and significand > 0
    minus = kind == INFINITE and significand < 0
    if kind == NAN:
        return NAN, 1
    for k in range(first, last):
        a_kind, b_kind = a.kinds[i, k], b.kinds[j, k]
        if a_kind == FINITE and b_kind == FINITE:
            continue
        product = a.significands[i, k] * b.significands[j, k]
        if a_kind == NAN or b_kind == NAN or product == 0:
            return NAN, 1
        plus |= product > 0
        minus |= product < 0
    if plus and minus:
        return NAN, 1
    return (INFINITE, 1 if plus else -1) if plus or minus else (FINITE, 1)


@kernel
def _fused_add(a, i, b, j, first, last, c_bits, widths):
    """Return the bits of one fused add over products first..last-1 of rows i and j (A1 to A6)."""
    c_significand, c_exponent, c_kind = _split(c_bits, widths.to_f16)
    if c_kind != FINITE or a.special[i] or b.special[j]:
        kind, sign = _specials(a, i, b, j, first, last, c_significand, c_kind)
        if kind == NAN:
            return 0x7FFF if widths.to_f16 else 0x7FFFFFFF
        if kind == INFINITE:
            infinity = 0x7C00 if widths.to_f16 else 0x7F800000
            return infinity if sign > 0 else infinity | (0x8000 if widths.to_f16 else 0x80000000)
    # Slices, so that the loops are over their whole length, which the compiler can see through.
    a_significands, a_exponents = a.significands[i, first:last], a.exponents[i, first:last]
    b_significands, b_exponents = b.significands[j, first:last], b.exponents[j, first:last]
    largest = max(c_exponent, widths.min_exponent)
    for k in range(len(a_exponents)):
        largest = max(largest, a_exponents[k] + b_exponents[k])
    # From a significand's own fraction bits to F of them: up for products (F is larger), either way for C.
    up = widths.fraction_bits - 2 * widths.in_fraction_bits
    total = 0
    for k in range(len(a_significands)):
        product = np.int64(a_significands[k]) * np.int64(b_significands[k])
        drop = min(largest - a_exponents[k] - b_exponents[k], 63)
        term = (abs(product) << up) >> drop
        total += term if product >= 0 else -term
    drop = largest - c_exponent + (10 if widths.to_f16 else 23) - widths.fraction_bits
    magnitude = np.int64(abs(c_significand))
    term = magnitude >> min(drop, 63) if drop >= 0 else magnitude << -drop
    total += term if c_significand >= 0 else -term
    unit = largest - widths.fraction_bits
    if widths.to_f16:
        return _to_nearest(total, unit, True)
    return _to_f32(total, unit, widths.significand_bits)


@kernel
def _add(x_bits, y_bits, to_f16):
    """Return the sum of two f16 or f32, to nearest even: IEEE 754's but for the NaN's pattern and that a zero is +0."""
    x, x_exponent, x_kind = _split(x_bits, to_f16)
    y, y_exponent, y_kind = _split(y_bits, to_f16)
    if x_kind == NAN or y_kind == NAN or (x_kind == INFINITE and y_kind == INFINITE and x != y):
        return 0x7FFF if to_f16 else 0x7FFFFFFF
    if x_kind == INFINITE or y_kind == INFINITE:
        return x_bits if x_kind == INFINITE else y_bits
    # On a grid GUARD bits below the larger one's last: what the smaller loses there is one sticky bit.
    largest = max(x_exponent, y_exponent)
    total = _aligned(x, largest - x_exponent) + _aligned(y, largest - y_exponent)
    return _to_nearest(total, largest - (10 if to_f16 else 23) - GUARD, to_f16)


@kernel
def _aligned(significand, drop):
    """Return a significand on a grid GUARD bits finer, moved down by drop places; a 1 last if it lost any."""
    magnitude, places = np.int64(abs(significand)) << GUARD, min(drop, 63)
    whole = magnitude >> places
    whole |= whole << places != magnitude
    return whole if significand >= 0 else -whole


@kernel
def _instruction(a, i, b, j, first, last, c_bits, widths):
    """Return the bits of one instruction's output element: its fused adds chained, C first or (halves) last."""
    bits = np.int64(0) if widths.halves else c_bits
    for start in range(first, last, widths.n_products):
        bits = _fused_add(a, i, b, j, start, min(start + widths.n_products, last), bits, widths)
    return _add(bits, c_bits, widths.to_f16) if widths.halves else bits


@kernel
def rows(a, b, c_bits, widths, result):
    for i in range(len(c_bits)):
        result[i] = _instruction(a, i, b, i, 0, a.significands.shape[1], np.int64(c_bits[i]), widths)


@kernel
def gemm(a, b, columns, c_bits, n_products, widths, result):
    """Fill the result; with columns i32[m, k], row i of a meets those columns of b's rows."""
    n_rows, n_terms = a.significands.shape
    n_columns = len(b.significands)
    chosen = b
    if columns.size:
        chosen = Operand(
            np.empty((n_columns, n_terms), np.int32),
            np.empty((n_columns, n_terms), np.int32),
            np.empty((n_columns, n_terms), np.uint8),
            b.special,
        )
    for i in range(n_rows):
        if columns.size:
            for j in range(n_columns):
                for k in range(n_terms):
                    chosen.significands[j, k] = b.significands[j, columns[i, k]]
                    chosen.exponents[j, k] = b.exponents[j, columns[i, k]]
                    chosen.kinds[j, k] = b.kinds[j, columns[i, k]]
        for j in range(n_columns):
            bits = np.int64(c_bits[i, j])
            for start in range(0, n_terms, n_products):
                bits = _instruction(a, i, chosen, j, start, start + n_products, bits, widths)
            result[i, j] = bits


@kernel
def _wrap(total, saturate):
    if saturate:
        total = min(max(total, -(1 << 31)), (1 << 31) - 1)
    return total & 0xFFFFFFFF


@kernel
def integer_rows(a, b, c, saturate, result):
    for i in range(len(c)):
        total = np.int64(c[i])
        for k in range(a.shape[1]):
            total += np.int64(a[i, k]) * np.int64(b[i, k])
        result[i] = _wrap(total, saturate)


@kernel
def integer_gemm(a, b, columns, c, n_products, saturate, result):
    for i in range(len(a)):
        for j in range(len(b)):
            total = np.int64(c[i, j])
            for start in range(0, a.shape[1], n_products):
                for k in range(start, start + n_products):
                    column = columns[i, k] if columns.size else k
                    total += np.int64(a[i, k]) * np.int64(b[j, column])
                if saturate:
                    total = min(max(total, -(1 << 31)), (1 << 31) - 1)
            result[i, j] = _wrap(total, saturate)
