"""The number formats of the tensor core as bit patterns: field widths, and arrays into and out of them."""

from __future__ import annotations

from dataclasses import dataclass

import ml_dtypes
import numpy as np

from workloads.errors import BadInput, did_you_mean
from workloads.records import plain_array

# Source of every float format: IEEE 754-2019 (f16, f32); PTX ISA, "Alternate floating point data formats" (bf16,
# tf32); Micikevicius et al., FP8 Formats for Deep Learning, arXiv 2209.05433 (e4m3, e5m2); OCP Microscaling Formats
# v1.0 (e2m1).


@dataclass(frozen=True, kw_only=True)
class Format:
    """One number format.

    bits: the unsigned dtype that holds a pattern; value: the NumPy or ml_dtypes dtype of the same width.
    fraction_bits, exponent_bits: of a float, else 0; unused_bits: low bits of the pattern that the hardware ignores.
    has_infinity: False for e4m3, whose one NaN a sign is the pattern of all ones, and for e2m1, which has neither.
    """

    name: str
    bits: np.dtype
    value: np.dtype
    fraction_bits: int = 0
    exponent_bits: int = 0
    unused_bits: int = 0
    has_infinity: bool = True

    @property
    def is_float(self) -> bool:
        return self.exponent_bits > 0


def _format(name: str, bits: type, value: type, fraction_bits: int = 0, exponent_bits: int = 0, **more) -> Format:
    return Format(
        name=name,
        bits=np.dtype(bits),
        value=np.dtype(value),
        fraction_bits=fraction_bits,
        exponent_bits=exponent_bits,
        **more,
    )


FORMATS = {
    known.name: known
    for known in (
        _format("f32", np.uint32, np.float32, 23, 8),
        _format("f16", np.uint16, np.float16, 10, 5),
        _format("bf16", np.uint16, ml_dtypes.bfloat16, 7, 8),
        _format("tf32", np.uint32, np.float32, 10, 8, unused_bits=13),  # an f32 whose low 13 bits are ignored
        _format("e4m3", np.uint8, ml_dtypes.float8_e4m3fn, 3, 4, has_infinity=False),
        _format("e5m2", np.uint8, ml_dtypes.float8_e5m2, 2, 5),
        _format("e2m1", np.uint8, ml_dtypes.float4_e2m1fn, 1, 2, has_infinity=False),  # in the low four bits
        _format("int8", np.uint8, np.int8),
        _format("int4", np.uint8, ml_dtypes.int4),  # the value in the low four bits
        _format("s32", np.uint32, np.int32),
    )
}


def format_named(field: str, name: str, known: tuple[str, ...]) -> Format:
    """Return the format of that name; raises BadInput naming the field when it is none of those known."""
    if name not in known:
        raise BadInput(f"unknown {field} {name!r}{did_you_mean(str(name), known)}")
    return FORMATS[name]


def to_bits(name: str, array, kind: Format) -> np.ndarray:
    """Return the bit patterns of an array, u8, u16 or u32 by the format, from patterns or from values.

    Raises BadInput naming the array when its dtype is neither the format's pattern nor its value; nothing is rounded.
    """
    array = plain_array(name, array)
    if array.dtype == kind.bits:
        return np.ascontiguousarray(array)
    if array.dtype == kind.value:
        return np.ascontiguousarray(array).view(kind.bits)
    raise BadInput(
        f"{name} must be {kind.bits} bit patterns or {kind.value} values for {kind.name}, got dtype {array.dtype}"
    )


def numbers(bits: np.ndarray, kind: Format) -> np.ndarray:
    """Return patterns as numbers: of a float in its own dtype, of int8 and int4 (its low four bits) as i8."""
    if kind.is_float:
        return bits.view(kind.value)
    unused = 4 * (kind.name == "int4")
    return (bits << np.uint8(unused)).view(np.int8) >> np.int8(unused)


def like(bits: np.ndarray, model, kind: Format) -> np.ndarray:
    """Return patterns as what `model` is: patterns, or values of the format."""
    return bits if np.asarray(model).dtype == kind.bits else bits.view(kind.value)
