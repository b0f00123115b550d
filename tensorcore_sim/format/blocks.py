"""Block-scaled formats: values of 4 or 8 bits under a scale for every few of them along k (NVFP4, MXFP4, MXFP8).

MX: a block's scale is the power of two that brings its largest magnitude to the exponent of the format's largest value;
what is then beyond that becomes it (OCP Microscaling Formats v1.0, 6.3). NVFP4: a block's scale is an e4m3 that makes
its largest magnitude 6, and a scale in f32 for the whole matrix makes the largest of those 448 (NVIDIA, Transformer
Engine and Model Optimizer). A block is `size` values that are multiplied: of a sparse matrix, whose instruction has the
k of two and the scales of one, twice as many columns (PTX ISA, mma.sp with block_scale).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import ml_dtypes
import numpy as np

from tensorcore_sim.format.formats import FORMATS
from tensorcore_sim.format.metadata import GROUP_COLUMNS
from tensorcore_sim.format.operand import round_float, to_reals
from workloads.errors import BadInput, did_you_mean


class Block(NamedTuple):
    """A block: the formats of its values and of its scale, and how many values are under one."""

    values: str
    scale: str
    size: int


BLOCKS = {"nvfp4": Block("e2m1", "e4m3", 16), "mxfp4": Block("e2m1", "e8m0", 32), "mxfp8": Block("e4m3", "e8m0", 32)}
SCALE_BITS = 8  # of e4m3 and of e8m0
LARGEST = {"e2m1": 6.0, "e4m3": 448.0}
LARGEST_EXPONENT = {"e2m1": 2, "e4m3": 8}
_E8M0_BIAS, _E8M0_LARGEST = 127, 254  # all ones is a NaN


@dataclass(frozen=True, eq=False, kw_only=True)
class Scaled:
    """A matrix [m, k] in a block-scaled format: patterns u8[m, k], scales u8[m, blocks], and one scale of them all.

    An e2m1 lies in the low four bits. columns: of a block. A value is pattern x its block's scale x matrix_scale.
    """

    in_dtype: str
    patterns: np.ndarray
    scales: np.ndarray
    columns: int
    matrix_scale: float

    def reals(self) -> np.ndarray:
        """Return the values, f64[m, k]."""
        units = _units(self.scales, BLOCKS[self.in_dtype], self.columns, self.matrix_scale)
        return to_reals(self.patterns, BLOCKS[self.in_dtype].values) * units


def scale(matrix: np.ndarray, in_dtype: str, *, sparse: bool = False) -> Scaled:
    """Return finite reals [m, k] in a block-scaled format, rounded to nearest even. sparse: for a sparse instruction.

    Raises BadInput for a format that is none, a k that does not fill its blocks and a value that is not finite.
    """
    block = _block(in_dtype)
    columns = block.size * (1 + sparse)
    matrix = np.asarray(matrix, np.float64)
    if matrix.ndim != 2 or not matrix.size or matrix.shape[1] % columns or not np.isfinite(matrix).all():
        kind = f"{in_dtype} sparse" if sparse else in_dtype
        raise BadInput(
            f"matrix must be finite, [m, k] with k a multiple of {columns} for {kind}, got shape {list(matrix.shape)}"
        )
    blocks = matrix.reshape(len(matrix), -1, columns)
    largest = np.abs(blocks).max(axis=2)
    kind, matrix_scale = FORMATS[block.values], 1.0
    if block.scale == "e8m0":
        exponents = np.frexp(largest)[1] - 1 - LARGEST_EXPONENT[block.values]
        exponents = np.where(largest > 0, exponents, 0) + _E8M0_BIAS
        scales = np.clip(exponents, 0, _E8M0_LARGEST).astype(np.uint8)
    else:
        most = LARGEST[block.values] * LARGEST[block.scale]
        matrix_scale = float(np.float32(largest.max() / most)) or 1.0
        wanted = np.minimum(largest / LARGEST[block.values] / matrix_scale, LARGEST[block.scale])
        scales = round_float(wanted, FORMATS[block.scale]).astype(ml_dtypes.float8_e4m3fn).view(np.uint8)
    units = _units(scales, block, columns, matrix_scale)
    reals = np.divide(matrix, units, out=np.zeros_like(matrix), where=units > 0)
    rounded = np.clip(round_float(reals, kind), -LARGEST[block.values], LARGEST[block.values])
    patterns = rounded.astype(kind.value).view(np.uint8)
    return Scaled(in_dtype=in_dtype, patterns=patterns, scales=scales, columns=columns, matrix_scale=matrix_scale)


def n_bytes(m: int, k: int, in_dtype: str, *, sparse: bool = False) -> dict[str, float]:
    """Return the bytes of an m x k matrix in memory: {"values", "metadata", "scales"}; blocks are filled at the end.

    A sparse one (4:8 in pairs of e2m1, 2:4 of e4m3) has half of its values, and four bits for a group.
    """
    block = _block(in_dtype)
    kind, group = FORMATS[block.values], GROUP_COLUMNS[block.values]
    bits = 1 + kind.exponent_bits + kind.fraction_bits
    return {
        "values": m * k * bits / (8 * (1 + sparse)),
        "metadata": sparse * m * k / (2 * group),
        "scales": float(m * -(-k // (block.size * (1 + sparse)))),
    }


def values_of(in_dtype: str) -> str:
    """Return the format of an operand's values: of a block-scaled format that of its patterns, else itself."""
    return BLOCKS[in_dtype].values if in_dtype in BLOCKS else in_dtype


def _block(in_dtype: str) -> Block:
    if in_dtype not in BLOCKS:
        raise BadInput(f"unknown in_dtype {in_dtype!r}{did_you_mean(str(in_dtype), BLOCKS)}")
    return BLOCKS[in_dtype]


def _units(scales: np.ndarray, block: Block, columns: int, matrix_scale: float) -> np.ndarray:
    """Return what a pattern of 1 is worth at each place, f64[m, k]."""
    if block.scale == "e8m0":
        of_blocks = np.ldexp(1.0, scales.astype(np.int32) - _E8M0_BIAS)
    else:
        of_blocks = to_reals(scales, block.scale)
    return np.repeat(of_blocks * matrix_scale, columns, axis=1)
