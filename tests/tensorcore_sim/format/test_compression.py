"""Does compression keep every non-zero, in its pattern, and give the matrix back?"""

from itertools import product

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorcore_sim import compress, decompress
from tensorcore_sim.format.image import from_metadata

BITS = {"f16": 16, "bf16": 16, "tf32": 32, "e4m3": 8, "e5m2": 8, "int8": 8, "int4": 4, "e2m1": 4}
PAIRED = ("int4", "e2m1")
DTYPE = {4: np.uint8, 8: np.uint8, 16: np.uint16, 32: np.uint32}
LEGAL = {0b0100, 0b1000, 0b1001, 0b1100, 0b1101, 0b1110}  # PTX ISA, mma.sp with ordered metadata


def masks(in_dtype):
    """Return every mask that a group may have."""
    columns = {"tf32": 2, "int4": 8, "e2m1": 8}.get(in_dtype, 4)
    every = product((0, 1), repeat=columns)
    if in_dtype in PAIRED:
        return [mask for mask in every if sum(any(mask[i : i + 2]) for i in (0, 2, 4, 6)) <= 2]
    return [mask for mask in every if sum(mask) <= columns // 2]


@pytest.mark.parametrize("in_dtype", BITS)
def test_every_mask_comes_back_with_legal_metadata(in_dtype):
    allowed = masks(in_dtype)
    assert len(allowed) == {"tf32": 3, "int4": 67, "e2m1": 67}.get(in_dtype, 11)
    rows = np.array(allowed, DTYPE[BITS[in_dtype]])
    matrix = np.concatenate([rows * 3, rows[::-1] * 5], axis=1)
    image = compress(matrix, in_dtype)
    assert set(image.nibbles.ravel().tolist()) <= ({0b0100, 0b1110} if in_dtype == "tf32" else LEGAL)
    assert image.values.shape == (len(allowed), matrix.shape[1] // 2)
    assert image.shape == matrix.shape
    assert (np.diff(image.columns(), axis=1) > 0).all()
    assert np.array_equal(decompress(image), matrix)


@given(data=st.data(), in_dtype=st.sampled_from(tuple(BITS)))
def test_any_patterns_come_back_through_packed_metadata(data, in_dtype):
    bits = BITS[in_dtype]
    rows, groups = data.draw(st.integers(1, 3)), 8
    chosen = data.draw(st.lists(st.sampled_from(masks(in_dtype)), min_size=rows * groups, max_size=rows * groups))
    mask = np.array(chosen).reshape(rows, -1)
    raw = data.draw(st.binary(min_size=mask.size * max(bits, 8) // 8, max_size=mask.size * max(bits, 8) // 8))
    matrix = np.frombuffer(raw, DTYPE[bits]).reshape(mask.shape) & DTYPE[bits](2**bits - 1)
    if in_dtype not in ("int8", "int4"):
        matrix = matrix & DTYPE[bits](2 ** (bits - 1) - 1) | (matrix & DTYPE[bits](1)) << DTYPE[bits](bits - 1)
        matrix[matrix == 2 ** (bits - 1)] = 0  # a negative zero would come back as +0
    matrix = matrix * mask.astype(matrix.dtype)
    image = compress(matrix, in_dtype)
    assert np.array_equal(decompress(image), matrix)
    again = from_metadata(image.values, image.metadata(), in_dtype)
    assert np.array_equal(decompress(again), matrix)


@pytest.mark.parametrize(
    ("mask", "nibble"),
    # PyTorch's present converter, as evaluated over all masks; the last cell of a mask is the highest column
    [
        ("0000", 0b1110),
        ("0001", 0b1110),
        ("0010", 0b1110),
        ("0011", 0b1110),
        ("0100", 0b1001),
        ("0101", 0b1101),
        ("0110", 0b1001),
        ("1000", 0b1000),
        ("1001", 0b1100),
        ("1010", 0b1000),
        ("1100", 0b0100),
    ],
)
def test_the_filling_is_pytorchs(mask, nibble):
    cells = np.array([[int(cell) for cell in mask]], np.uint16)
    assert compress(cells, "f16").nibbles.tolist() == [[nibble]]
    pairs = np.repeat(cells.astype(np.uint8), 2, axis=1)
    assert compress(pairs, "int4").nibbles.tolist() == [[nibble]]


def test_one_row_by_hand():
    # [0 5 | 0 7]: places 1 and 3 = 1101; [1 2 | 0 0]: 0100; [0 0 | 0 9]: 1110, keeping a zero; empty: 1110
    row = np.array([[0, 5, 0, 7, 1, 2, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0] * 2], np.int8)
    image = compress(row, "int8")
    assert image.values.view(np.int8).tolist() == [[5, 7, 1, 2, 0, 9, 0, 0] * 2]
    assert image.metadata().tolist() == [[0xEE4DEE4D]]  # the lowest columns in the lowest bits


def test_tf32_keeps_one_of_two():
    row = np.array([[0, 2.5, 1.5, 0, 0, 0, 0, -3.0] * 2], np.float32)  # upper, lower, none, upper
    image = compress(row, "tf32")
    assert image.values.view(np.float32).tolist() == [[2.5, 1.5, 0, -3.0] * 2]
    assert image.metadata().tolist() == [[0xEE4EEE4E]]


def test_int4_keeps_pairs_even_half_empty_ones():
    row = np.array([[0, 0, -8, 0, 0, 0, 3, -1]], np.int8).astype(ml_dtypes.int4)
    image = compress(row, "int4")
    assert image.nibbles.tolist() == [[0b1101]]
    assert image.values.tolist() == [[8, 0, 3, 15]]
    assert decompress(image).tolist() == row.tolist()
    # In the byte of an ml_dtypes.int4 the sign fills the upper half: an int8 of the same value.
    assert decompress(image).view(np.uint8).tolist() == [[0, 0, 0xF8, 0, 0, 0, 3, 0xFF]]


@pytest.mark.parametrize(
    ("in_dtype", "value"),
    [
        ("f16", np.float16),
        ("bf16", ml_dtypes.bfloat16),
        ("tf32", np.float32),
        ("e4m3", ml_dtypes.float8_e4m3fn),
        ("e5m2", ml_dtypes.float8_e5m2),
        ("int8", np.int8),
    ],
)
def test_values_come_back_as_values_and_a_negative_zero_is_a_zero(in_dtype, value):
    row = np.array([[0, -2, 0, 0, 1, 0, 0, 0]]).astype(value)
    assert decompress(compress(row, in_dtype)).dtype == value
    assert decompress(compress(row, in_dtype)).tolist() == row.tolist()
    if in_dtype != "int8":
        negative = (np.array([[-1.0, 1.0, 1.0, 1.0]]) * np.array([[0, 1, 0, 0]])).astype(value)
        assert decompress(compress(negative, in_dtype)).tolist() == [[0, 1, 0, 0]]
