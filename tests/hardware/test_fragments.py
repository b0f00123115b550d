"""Does every thread get the elements that the PTX ISA says, and no element twice?"""

import numpy as np
import pytest

from benchmarks.hardware.fragments import (
    UNREAD,
    a_places,
    b_places,
    c_places,
    from_registers,
    metadata_registers,
    n_groups,
    to_registers,
)
from benchmarks.hardware.instructions import VECTORS, Measured
from tensorcore_sim.format.formats import FORMATS
from tensorcore_sim.format.metadata import LEGAL, LEGAL_TF32, contributors, thread_words

CASES = pytest.mark.parametrize("row", VECTORS, ids=lambda row: row.key)
SPARSE = pytest.mark.parametrize("row", [row for row in VECTORS if row.shape.sparse], ids=lambda row: row.key)


def matrices(row: Measured):
    """Return the shape, the places and the dtype of A (kept), B and C."""
    shape, kind = row.shape, FORMATS[row.in_dtype].bits
    return {
        "a": ((shape.m, shape.n_products), a_places(row), kind),
        "b": ((shape.k, shape.n), b_places(row), kind),
        "c": ((shape.m, shape.n), c_places(row), FORMATS[row.out_dtype].bits),
    }


@CASES
@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_every_element_lies_in_exactly_one_place(row, name):
    (n_rows, n_columns), places, _ = matrices(row)[name]
    found = np.broadcast_arrays(*places)[0] * n_columns + np.broadcast_arrays(*places)[1]
    assert sorted(found.ravel()) == list(range(n_rows * n_columns))


@CASES
@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_a_matrix_comes_back_from_its_registers(row, name):
    shape, places, dtype = matrices(row)[name]
    rng = np.random.default_rng(0)
    matrix = rng.integers(0, 1 << (8 * dtype.itemsize), (2, *shape), dtype=np.uint64).astype(dtype)
    registers = to_registers(matrix, places)
    assert registers.shape == (2, row.n_threads, row.n_registers["abc".index(name)])
    assert np.array_equal(from_registers(registers, places, dtype, shape), matrix)


# The PTX ISA's own words, "Matrix Fragments for mma ...": the row and column of element i, for g = groupID and
# t = threadID_in_group. For a sparse A the column is firstcol of the chunk that the element is one of the kept of.
PTX_A = [
    ("mma.m16n8k8", "f16", lambda g, t, i: (g if i < 2 else g + 8, 2 * t + i % 2)),
    ("mma.m16n8k16", "f16", lambda g, t, i: (g if i < 2 or 4 <= i < 6 else g + 8, 2 * t + i % 2 + 8 * (i >= 4))),
    ("mma.m16n8k8", "tf32", lambda g, t, i: (g if i in (0, 2) else g + 8, t + 4 * (i >= 2))),
    ("mma.m16n8k32", "e4m3", lambda g, t, i: (g if i < 4 or 8 <= i < 12 else g + 8, 4 * t + i % 4 + 16 * (i >= 8))),
]
PTX_SPARSE_A = [
    ("mma.sp.m16n8k16", "f16", 4, lambda g, t, i: (g if i < 2 else g + 8, 4 * t)),
    ("mma.sp.m16n8k32", "f16", 4, lambda g, t, i: (g if i < 2 or 4 <= i < 6 else g + 8, 4 * t + 16 * (i >= 4))),
    ("mma.sp.m16n8k8", "tf32", 2, lambda g, t, i: (g if i == 0 else g + 8, 2 * t)),
    ("mma.sp.m16n8k16", "tf32", 2, lambda g, t, i: (g if i in (0, 2) else g + 8, 2 * t + 8 * (i >= 2))),
    ("mma.sp.m16n8k64", "e4m3", 8, lambda g, t, i: (g if i < 4 or 8 <= i < 12 else g + 8, 8 * t + 32 * (i >= 8))),
]
PTX_B = [
    ("mma.m16n8k8", "f16", lambda g, t, i: (2 * t + i, g)),
    ("mma.m16n8k16", "f16", lambda g, t, i: (2 * t + i % 2 + 8 * (i >= 2), g)),
    ("mma.m16n8k8", "tf32", lambda g, t, i: (t + 4 * i, g)),
    ("mma.m16n8k32", "e4m3", lambda g, t, i: (4 * t + i % 4 + 16 * (i >= 4), g)),
    ("mma.sp.m16n8k16", "f16", lambda g, t, i: (2 * t + i % 2 + 8 * (i >= 2), g)),
    ("mma.sp.m16n8k32", "f16", lambda g, t, i: (2 * t + i % 2 + 8 * (i // 2), g)),
    ("mma.sp.m16n8k16", "tf32", lambda g, t, i: (t + 4 * i, g)),
    ("mma.sp.m16n8k64", "e4m3", lambda g, t, i: (4 * t + i % 4 + 16 * (i // 4), g)),
]
PTX_C = [
    ("mma.m16n8k16", "f32", lambda g, t, i: (g if i < 2 else g + 8, 2 * t + i % 2)),
    ("mma.m16n8k16", "f16", lambda g, t, i: (g if i < 2 else g + 8, 2 * t + i % 2)),
    ("wgmma.m64n16k16", "f32", lambda g, t, i: (g if i % 4 < 2 else g + 8, 8 * (i // 4) + 2 * t + i % 2)),
    ("wgmma.m64n16k16", "f16", lambda g, t, i: (g if i % 4 < 2 else g + 8, 8 * (i // 4) + 2 * t + i % 2)),
]


def elements(places, n_threads):
    """Return {(thread, i): (row, column)}, i counting a thread's elements from the lowest bits of register 0."""
    rows, columns = (array.reshape(n_threads, -1) for array in np.broadcast_arrays(*places))
    return {
        (thread, i): (int(rows[thread, i]), int(columns[thread, i]))
        for thread in range(n_threads)
        for i in range(rows.shape[1])
    }


def measured(instruction, in_dtype="f16", out_dtype="f32"):
    return Measured(instruction=instruction, in_dtype=in_dtype, out_dtype=out_dtype)


@pytest.mark.parametrize(("instruction", "in_dtype", "ptx"), PTX_A)
def test_a_lies_as_the_ptx_isa_says(instruction, in_dtype, ptx):
    for (lane, i), place in elements(a_places(measured(instruction, in_dtype)), 32).items():
        assert place == ptx(lane // 4, lane % 4, i)


@pytest.mark.parametrize(("instruction", "in_dtype", "chunk", "ptx"), PTX_SPARSE_A)
def test_a_sparse_a_holds_the_kept_values_of_the_chunks_that_the_ptx_isa_says(instruction, in_dtype, chunk, ptx):
    for (lane, i), (row, kept) in elements(a_places(measured(instruction, in_dtype)), 32).items():
        assert (row, kept // (chunk // 2) * chunk) == ptx(lane // 4, lane % 4, i)
        assert kept % (chunk // 2) == i % (chunk // 2)


@pytest.mark.parametrize(("instruction", "in_dtype", "ptx"), PTX_B)
def test_b_lies_as_the_ptx_isa_says(instruction, in_dtype, ptx):
    for (lane, i), place in elements(b_places(measured(instruction, in_dtype)), 32).items():
        assert place == ptx(lane // 4, lane % 4, i)


@pytest.mark.parametrize(("instruction", "out_dtype", "ptx"), PTX_C)
def test_c_lies_as_the_ptx_isa_says(instruction, out_dtype, ptx):
    row = measured(instruction, "f16", out_dtype)
    for (thread, i), (found_row, column) in elements(c_places(row), row.n_threads).items():
        expected_row, expected_column = ptx(thread % 32 // 4, thread % 4, i)
        assert (found_row, column) == (16 * (thread // 32) + expected_row, expected_column)


@pytest.mark.parametrize("row", [row for row in VECTORS if row.is_wgmma], ids=lambda row: row.key)
def test_b_of_wgmma_lies_in_core_matrices(row):
    # PTX ISA, "Shared Memory Matrix Layout" without swizzle, K-major: 8 x 16 bytes; 128 along k, the rest along n
    kind = FORMATS[row.in_dtype].bits
    k, n = row.shape.k, row.shape.n
    b = np.arange(k * n).reshape(1, k, n).astype(kind)
    image = to_registers(b, b_places(row)).astype("<u4").tobytes()
    for column in range(n):
        for place in range(k):
            byte = place * kind.itemsize
            at = column % 8 * 16 + byte % 16 + byte // 16 * 128 + column // 8 * (k * kind.itemsize * 8)
            assert image[at : at + kind.itemsize] == b[0, place, column].astype(kind.newbyteorder("<")).tobytes()


def random_nibbles(row):
    legal = np.array(LEGAL_TF32 if row.in_dtype == "tf32" else LEGAL, np.uint8)
    return np.random.default_rng(1).choice(legal, (3, row.shape.m, n_groups(row)))


@SPARSE
def test_the_contributors_hold_thread_words_and_the_others_something_else(row):
    nibbles = random_nibbles(row)
    found = metadata_registers(nibbles, row)
    supplying = contributors(row.instruction, row.in_dtype, row.selector)
    for tile in range(3):
        words = thread_words(nibbles[tile], row.instruction, row.in_dtype)
        for thread in range(row.n_threads):
            if thread % 4 in supplying:
                assert found[tile, thread, 0] == words[thread // 4, supplying.index(thread % 4)]
            else:
                assert found[tile, thread, 0] == UNREAD


def test_a_dense_instruction_has_no_metadata():
    assert (metadata_registers(np.zeros((2, 16, 0), np.uint8), measured("mma.m16n8k16")) == UNREAD).all()
