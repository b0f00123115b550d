"""The weights as they lie in memory before cycle 0: the kept values and, for each group, which ones they are.

Of every four cells two are kept: 2 of 4 elements of a 16- or 8-bit type, 1 of 2 of tf32 (an element is two cells), 4 of
8 in adjacent pairs of a 4-bit type (Mishra et al., arXiv 2104.08378; PTX ISA, "Sparse matrix storage"). A group with
fewer non-zeros keeps zeros beside them; which ones is FILLING's choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tensorcore_sim.format.formats import FORMATS, format_named, to_bits
from tensorcore_sim.format.metadata import GROUP_COLUMNS, PAIRED, pack, unpack
from workloads.errors import BadInput

PATTERNS = {dtype: {2: "1:2", 4: "2:4", 8: "4:8 in pairs"}[columns] for dtype, columns in GROUP_COLUMNS.items()}

# Which two cells are kept, by which are non-zero (cell 0 first). With fewer than two the choice is PyTorch's (its
# present converter, SparseSemiStructuredTensor), so that metadata can be compared with it bit for bit.
FILLING = {
    (0, 0, 0, 0): 0b1110,
    (0, 0, 0, 1): 0b1110,
    (0, 0, 1, 0): 0b1110,
    (0, 1, 0, 0): 0b1001,
    (1, 0, 0, 0): 0b1000,
    (0, 0, 1, 1): 0b1110,
    (0, 1, 0, 1): 0b1101,
    (0, 1, 1, 0): 0b1001,
    (1, 0, 0, 1): 0b1100,
    (1, 0, 1, 0): 0b1000,
    (1, 1, 0, 0): 0b0100,
}
_TOO_MANY = 0xFF
_FILLING = np.full(16, _TOO_MANY, np.uint8)
for _cells, _nibble in FILLING.items():
    _FILLING[sum(cell << place for place, cell in enumerate(_cells))] = _nibble


@dataclass(frozen=True, eq=False, kw_only=True)
class Compressed:
    """A matrix of m rows and k columns in its pattern.

    values: bit patterns [m, k / 2], the kept values in order of their columns; nibbles: u8[m, groups], which they are.
    in_dtype: the format; dtype: what the matrix came as, patterns or values.
    """

    values: np.ndarray
    nibbles: np.ndarray
    in_dtype: str
    dtype: np.dtype

    @property
    def shape(self) -> tuple[int, int]:
        return self.nibbles.shape[0], self.nibbles.shape[1] * GROUP_COLUMNS[self.in_dtype]

    def columns(self) -> np.ndarray:
        """Return the column that each kept value comes from, i32[m, k / 2]."""
        return _columns(self.nibbles, self.in_dtype)

    def metadata(self) -> np.ndarray:
        """Return the packed metadata, u32[m, groups / 8]; raises BadInput when a row does not fill its words."""
        return pack(self.nibbles)


def compress(matrix, in_dtype: str) -> Compressed:
    """Compress a matrix [m, k], bit patterns or values of in_dtype (f16, bf16, tf32, e4m3, e5m2, int8, int4, e2m1).

    A negative zero is a zero: it may be dropped, and comes back as +0. Raises BadInput where k does not hold whole
    groups, and for a group with more non-zeros than its pattern allows, with the group's place.
    """
    bits = to_bits("matrix", matrix, format_named("in_dtype", in_dtype, tuple(GROUP_COLUMNS)))
    group = GROUP_COLUMNS[in_dtype]
    if bits.ndim != 2 or not bits.size or bits.shape[1] % group:
        raise BadInput(
            f"matrix must be [m, k] with k a multiple of {group} for {in_dtype}, got shape {list(bits.shape)}"
        )
    if in_dtype in PAIRED:
        bits = bits & np.uint8(15)  # ml_dtypes carries the sign into the upper half
    mask = _cells(_is_non_zero(bits, in_dtype), in_dtype) @ np.array([1, 2, 4, 8])
    nibbles = _FILLING[mask]
    if (nibbles == _TOO_MANY).any():
        row, place = (int(index) for index in np.argwhere(nibbles == _TOO_MANY)[0])
        n_non_zeros = np.count_nonzero(_is_non_zero(bits[row, place * group : (place + 1) * group], in_dtype))
        raise BadInput(
            f"matrix must be {PATTERNS[in_dtype]} for {in_dtype}: the group at row {row}, columns {place * group} to "
            f"{(place + 1) * group - 1} has {n_non_zeros} non-zeros"
            + (", in more than 2 pairs" if in_dtype in PAIRED else "")
        )
    values = np.take_along_axis(bits, _columns(nibbles, in_dtype), axis=1)
    return Compressed(values=values, nibbles=nibbles, in_dtype=in_dtype, dtype=np.asarray(matrix).dtype)


def decompress(image: Compressed) -> np.ndarray:
    """Return the matrix, [m, k], zeros in place, as what it was compressed from: patterns or values."""
    dense = np.zeros(image.shape, image.values.dtype)
    np.put_along_axis(dense, image.columns(), image.values, axis=1)
    if image.in_dtype == "int4" and image.dtype != dense.dtype:
        dense = (dense ^ 8) - 8 & 0xFF  # the sign back into the upper half, as ml_dtypes has it
    return dense.view(image.dtype)


def from_metadata(values: np.ndarray, words: np.ndarray, in_dtype: str) -> Compressed:
    """Return the image of kept values [m, k / 2] (patterns or values) and packed metadata, u32[m, groups / 8].

    Raises BadInput for an illegal nibble, and for shapes that do not belong together.
    """
    kind = format_named("in_dtype", in_dtype, tuple(GROUP_COLUMNS))
    nibbles = unpack(words, in_dtype)
    bits = to_bits("values", values, kind)
    n_values = nibbles.shape[1] * GROUP_COLUMNS[in_dtype] // 2
    if bits.shape != (len(nibbles), n_values):
        raise BadInput(f"values must be {[len(nibbles), n_values]} for this metadata, got shape {list(bits.shape)}")
    return Compressed(values=bits, nibbles=nibbles, in_dtype=in_dtype, dtype=np.asarray(values).dtype)


def _is_non_zero(bits: np.ndarray, in_dtype: str) -> np.ndarray:
    place = 3 if in_dtype in PAIRED else 8 * bits.itemsize - 1
    sign = bits.dtype.type(1 << place if FORMATS[in_dtype].is_float else 0)
    return (bits & ~sign) != 0


def _cells(non_zero: np.ndarray, in_dtype: str) -> np.ndarray:
    """Return bool[m, groups, 4]: which cells hold a non-zero."""
    rows = len(non_zero)
    if in_dtype == "tf32":
        return np.repeat(non_zero, 2, axis=1).reshape(rows, -1, 4)
    if in_dtype in PAIRED:
        return non_zero.reshape(rows, -1, 4, 2).any(axis=3)
    return non_zero.reshape(rows, -1, 4)


def _columns(nibbles: np.ndarray, in_dtype: str) -> np.ndarray:
    rows, groups = nibbles.shape
    places = np.stack([nibbles & 3, nibbles >> 2], axis=2).astype(np.int32)
    if in_dtype == "tf32":
        places = places[:, :, :1] >> 1
    elif in_dtype in PAIRED:
        places = (2 * places[:, :, :, None] + np.arange(2, dtype=np.int32)).reshape(rows, groups, 4)
    starts = np.arange(groups, dtype=np.int32) * GROUP_COLUMNS[in_dtype]
    return (places + starts[:, None]).reshape(rows, -1)
