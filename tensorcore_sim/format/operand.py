"""Real numbers as operands: rounded to nearest, ties to even, in a format, scaled where the format needs it."""

from __future__ import annotations

import ml_dtypes
import numpy as np

from tensorcore_sim.format.formats import FORMATS, Format, numbers
from workloads.errors import BadInput

# Formats without the range of reals are scaled, the whole array alike, so that its largest magnitude becomes this one.
FULL_SCALE = {"e4m3": 448.0, "e5m2": 57344.0, "int8": 127.0, "int4": 7.0}
BLOCK = 1 << 20  # elements scaled at once: f64 takes eight times the memory of what comes out
LARGEST = {
    "f16": float(np.finfo(np.float16).max),
    "bf16": float(ml_dtypes.finfo(ml_dtypes.bfloat16).max),
    "tf32": (2 - 2.0**-10) * 2.0**127,
}


def to_format(array: np.ndarray, in_dtype: str) -> tuple[np.ndarray, float]:
    """Return finite reals f32[...] as bit patterns of a format, and the scale that brings its values back to reals.

    Patterns have the format's unsigned dtype (formats.FORMATS), int4 in the low four bits. The scale is 1 for f16, bf16
    and tf32; for e4m3, e5m2, int8 and int4 the largest magnitude becomes 448, 57344, 127 and 7 (a symmetric scale for
    the whole array; 1 where all is zero). Raises BadInput for a value that f16, bf16 or tf32 cannot hold.
    """
    array = np.asarray(array, np.float32)
    kind = FORMATS[in_dtype]
    if in_dtype in LARGEST:
        with np.errstate(over="ignore"):
            bits = _round_tf32(array) if in_dtype == "tf32" else array.astype(kind.value).view(kind.bits)
        _check_range(array, bits.view(kind.value), in_dtype)
        return bits, 1.0
    largest = float(np.abs(array).max(initial=0))
    scale = largest / FULL_SCALE[in_dtype] if largest else 1.0
    bits, reals = np.empty(array.size, np.uint8), array.ravel()
    for start in range(0, array.size, BLOCK):
        block = slice(start, start + BLOCK)
        scaled = reals[block].astype(np.float64) / scale
        bits[block] = (
            (round_float(scaled, kind) if kind.is_float else np.rint(scaled)).astype(kind.value).view(np.uint8)
        )
    return (bits & np.uint8(15) if in_dtype == "int4" else bits).reshape(array.shape), scale


def to_reals(bits: np.ndarray, in_dtype: str) -> np.ndarray:
    """Return the values f64[...] of bit patterns, without their scale."""
    return numbers(bits, FORMATS[in_dtype]).astype(np.float64)


def round_float(reals: np.ndarray, kind: Format) -> np.ndarray:
    """Return f64 rounded to a format's fraction bits, ties to even; ml_dtypes would round twice, by way of f32."""
    _, exponents = np.frexp(reals)  # one more than the place of the leading one
    lowest = 2 - (1 << (kind.exponent_bits - 1))
    steps = np.ldexp(1.0, np.maximum(exponents - 1, lowest) - kind.fraction_bits)
    return np.rint(reals / steps) * steps


def _round_tf32(array: np.ndarray) -> np.ndarray:
    """Return f32 rounded to the upper 19 bits, as patterns u32; a carry runs on into the exponent."""
    bits = array.view(np.uint32)
    half = np.uint32(0xFFF) + (bits >> np.uint32(13) & np.uint32(1))
    return bits + half & np.uint32(0xFFFFE000)


def _check_range(array: np.ndarray, rounded: np.ndarray, in_dtype: str) -> None:
    lost = ~np.isfinite(rounded.astype(np.float32))
    if lost.any():
        where = tuple(int(i) for i in np.argwhere(lost)[0])
        raise BadInput(
            f"values must be at most {LARGEST[in_dtype]:g} in size for {in_dtype}, got {array[where]:g} at {where}"
        )
