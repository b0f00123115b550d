"""Codes of quantised weights, unpacked and multiplied by their scales: GPTQ, AWQ, compressed-tensors, 8 bits.

Sources of the layouts: AutoGPTQ and GPTQModel (a 32-bit word holds codes that follow each other along the inputs;
version 1 stores zero points less one); AutoAWQ (along the outputs, in the order 0 2 4 6 1 3 5 7); compressed-tensors
(pack-quantized, naive-quantized).
"""

from __future__ import annotations

import math

import numpy as np

from workloads.errors import BadInput
from workloads.readers.stored import Stored, numbers

WORD_BITS = 32
AWQ_PLACES = (0, 4, 1, 5, 2, 6, 3, 7)  # where in a word each of eight neighbours stands
BLOCK = 128  # rows or columns that share a scale, where the last block may be shorter


def gptq_or_awq(words, zeros, scales, groups) -> Stored | None:
    """Return what qweight i32, qzeros i32, scales and g_idx (or None) stand for, None where the lengths fit neither.

    GPTQ: [in / n, out], [groups, out / n], [groups, out], [in]; AWQ: [in, out / 8], [groups, out / 8], [groups, out].
    """
    if any(array is None or array.ndim != 2 for array in (words, zeros, scales)):
        return None
    (n_packed, n_columns), (n_groups, n_out), n_zeros = words.shape, scales.shape, zeros.shape[1]
    if not (_are_words(words) and _are_words(zeros)) or len(zeros) != n_groups or 0 in (n_groups, n_out):
        return None
    if n_columns == n_out and WORD_BITS * n_zeros in (2 * n_out, 4 * n_out, 8 * n_out):
        bits = WORD_BITS * n_zeros // n_out
        is_fitting = _groups_fit(n_packed * WORD_BITS // bits, n_groups, groups)
        return _gptq(words, zeros, scales, groups, bits) if is_fitting else None
    is_fitting = n_columns == n_zeros and 8 * n_columns == n_out and _groups_fit(n_packed, n_groups, None)
    return _awq(words, zeros, scales) if is_fitting else None


def _are_words(array: np.ndarray) -> bool:
    return array.dtype.kind in "iu" and 8 * array.dtype.itemsize == WORD_BITS


def _groups_fit(n_in: int, n_groups: int, groups: np.ndarray | None) -> bool:
    return n_in % n_groups == 0 if groups is None else groups.shape == (n_in,) and groups.dtype.kind in "iu"


def _gptq(words, zeros, scales, groups, bits: int) -> Stored:
    n_in, middle = len(words) * WORD_BITS // bits, 1 << bits - 1
    zero_points = unpacked(zeros, bits)
    is_second = bool((zero_points == middle).all())  # version 2 keeps zero points as they are
    is_told = is_second or bool((zero_points == middle - 1).all())

    def read() -> np.ndarray:
        group = _group_of(n_in, len(scales), groups)
        codes = unpacked(words.T, bits).T.astype(np.int16)
        points = zero_points.astype(np.int16) + (not is_second)
        return ((codes - points[group]) * _f32(scales)[group]).T

    note = f"{bits}-bit GPTQ dequantised"
    note += "" if is_told else " (zero points taken to be stored less one, as its version 1 does)"
    return Stored(shape=(scales.shape[1], n_in), read=read, note=note, is_oriented=True)


def _awq(words, zeros, scales) -> Stored:
    def read() -> np.ndarray:
        group = _group_of(len(words), len(scales), None)
        codes, points = (unpacked(array, 4, AWQ_PLACES).astype(np.int16) for array in (words, zeros))
        return ((codes - points[group]) * _f32(scales)[group]).T

    return Stored(shape=(scales.shape[1], len(words)), read=read, note="4-bit AWQ dequantised", is_oriented=True)


def _group_of(n_in: int, n_groups: int, groups: np.ndarray | None) -> np.ndarray:
    """Return i64[in]: the group of each input."""
    if groups is None:
        return np.arange(n_in) // (n_in // n_groups)
    if n_in and (groups.min() < 0 or groups.max() >= n_groups):
        raise BadInput(f"g_idx must be below {n_groups}, the number of groups, and at least 0")
    return groups.astype(np.int64)


def unpacked(words: np.ndarray, bits: int, places: tuple[int, ...] | None = None) -> np.ndarray:
    """Return u8[rows, columns * 32 / bits]: the codes in 32-bit words, lowest first or by their places in a word."""
    shifts = np.arange(0, WORD_BITS, bits, dtype=np.uint32)
    shifts = shifts if places is None else shifts[list(places)]
    codes = np.ascontiguousarray(words).view(np.uint32)[:, :, None] >> shifts & np.uint32((1 << bits) - 1)
    return codes.astype(np.uint8).reshape(len(words), -1)


def compressed_tensors(words, scales, shape, zeros, groups) -> Stored | None:
    """Return what weight_packed i32[out, in / n], weight_scale [out, groups] and weight_shape [2] stand for, or None.

    zeros: weight_zero_point i32[out / n, groups] or None; groups: weight_g_idx [in] or None.
    """
    lengths = shape_in(shape)
    if lengths is None or scales is None or words.ndim != 2 or not _are_words(words):
        return None
    n_out, n_in = lengths
    fitting = [bits for bits in (4, 8) if words.shape == (n_out, -(-n_in * bits // WORD_BITS))]
    sizes = blocks(lengths, scales.shape)
    if len(fitting) != 1 or sizes is None or (groups is not None and not _groups_fit(n_in, 1, groups)):
        return None
    bits, n_groups = fitting[0], -(-n_in // sizes[1])
    packed_zeros = -(-n_out * bits // WORD_BITS), n_groups
    if zeros is not None and (zeros.shape != packed_zeros or not _are_words(zeros) or sizes[0] != 1):
        return None
    if groups is not None and scales.shape != (n_out, n_groups):
        return None

    def read() -> np.ndarray:
        values = unpacked(words, bits)[:, :n_in].astype(np.float32)
        factors, width = _f32(scales).reshape(-1, n_groups), sizes
        points = np.full_like(factors, 1 << bits - 1) if zeros is None else unpacked(zeros.T, bits).T[:n_out]
        if groups is not None:
            group = _group_of(n_in, n_groups, groups)
            factors, points, width = factors[:, group], points[:, group], (1, 1)
        return (values - spread(points.astype(np.float32), lengths, width)) * spread(factors, lengths, width)

    note = f"{bits}-bit compressed-tensors dequantised"
    return Stored(shape=lengths, read=read, note=note, is_oriented=True)


def eight_bits(weight, scale, zero, unit: float) -> Stored | None:
    """Return 8-bit numbers [out, in, ...] times scale * unit, for all, a row, a group of a row or a block, or None."""
    lengths = len(weight), math.prod(weight.shape[1:])
    sizes = blocks(lengths, scale.shape)
    if sizes is None or (zero is not None and zero.size != scale.size):
        return None

    def read() -> np.ndarray:
        values = _f32(weight).reshape(lengths)
        if zero is not None:
            values = values - spread(_f32(zero), lengths, sizes)
        return (values * spread(_f32(scale) * np.float32(unit), lengths, sizes)).reshape(weight.shape)

    note = f"8-bit {'integers' if weight.dtype.kind in 'iu' else 'floats'} times their scales"
    return Stored(shape=weight.shape, read=read, note=note, is_oriented=True)


def blocks(shape: tuple[int, int], of_scales: tuple[int, ...]) -> tuple[int, int] | None:
    """Return how many rows and columns share a scale, None where the lengths do not fit."""
    n_rows, n_columns, *rest = (*of_scales, 1, 1)
    if math.prod(rest) != 1 or 0 in of_scales:
        return None
    sizes = [_block(length, n) for length, n in zip(shape, (n_rows, n_columns), strict=True)]
    return None if 0 in sizes else (sizes[0], sizes[1])


def _block(length: int, n: int) -> int:
    """Return how many of a length share one of n scales, 0 where that is no number."""
    if n == length:
        return 1
    if -(-length // BLOCK) == n:
        return BLOCK
    return 0 if length % n else length // n


def spread(scales: np.ndarray, shape: tuple[int, int], sizes: tuple[int, int]) -> np.ndarray:
    """Return [out, in] or what broadcasts to it: each scale where it holds."""
    n_rows, n_columns = (-(-length // size) for length, size in zip(shape, sizes, strict=True))
    scales = scales.reshape(n_rows, n_columns)
    rows = scales if n_rows == 1 else scales[np.arange(shape[0]) // sizes[0]]
    return rows if n_columns == 1 else rows[:, np.arange(shape[1]) // sizes[1]]


def shape_in(array: np.ndarray | None) -> tuple[int, int] | None:
    """Return the two lengths that an array of a shape holds, None where it does not."""
    if array is None or array.size != 2 or array.dtype.kind not in "iu" or array.min() < 1:
        return None
    n_rows, n_columns = array.ravel().tolist()
    return n_rows, n_columns


def _f32(array: np.ndarray) -> np.ndarray:
    return numbers(array).astype(np.float32, copy=False)
