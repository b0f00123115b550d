"""Do block-scaled formats hold what their documents say, and lose no more than a rounding?"""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorcore_sim.format.blocks import BLOCKS, LARGEST, n_bytes, scale
from tensorcore_sim.format.formats import FORMATS
from tensorcore_sim.format.image import compress, decompress
from workloads.errors import BadInput


def block(in_dtype, *values):
    """Return one block that begins with the values, [1, size]."""
    return np.array([[*values, *[0] * (BLOCKS[in_dtype].size - len(values))]], float)


def first(scaled, n):
    """Return the scale of the first block, and its first n values."""
    return int(scaled.scales[0, 0]), scaled.reals()[0, :n].tolist()


@pytest.mark.parametrize(
    ("values", "expected", "exponent"),
    # The scale is 2**(exponent of the largest - 2), so that it lies in [4, 8) on e2m1's 0, .5, 1, 1.5, 2, 3, 4, 6
    [
        ((6, 4, -3, 2, 1.5, -1, 0.5), (6, 4, -3, 2, 1.5, -1, 0.5), 0),
        ((6, 5, 3.5, 2.5, 1.75, 0.75, 0.25), (6, 4, 4, 2, 2, 1, 0), 0),  # ties go to the even pattern
        ((7.9, 5.1), (6, 6), 0),  # beyond the largest: it becomes that
        ((8, 1), (8, 1), 1),
        ((0.375, 0.25), (0.375, 0.25), -4),  # 6 and 4 sixteenths
    ],
)
def test_mxfp4_by_hand(values, expected, exponent):
    assert first(scale(block("mxfp4", *values), "mxfp4"), len(values)) == (127 + exponent, list(expected))


@pytest.mark.parametrize(
    ("values", "expected", "exponent"),
    # e4m3's largest value is 448, of exponent 8; between 256 and 448 its steps are 32
    [((448, 272, 240, 1), (448, 256, 240, 1), 0), ((500, 1), (448, 1), 0), ((512, 33), (512, 32), 1)],
)
def test_mxfp8_by_hand(values, expected, exponent):
    assert first(scale(block("mxfp8", *values), "mxfp8"), len(values)) == (127 + exponent, list(expected))


def test_nvfp4_by_hand():
    # Two blocks whose largest are 2688 = 6 x 448 and 6 x 1.0625: the matrix's scale is 1, theirs 448 and 1.0 or 1.125,
    # between which 1.0625 is a tie that goes to the even 1.0; 6.375 is then beyond 6
    matrix = np.concatenate([block("nvfp4", 2688, -448), block("nvfp4", 6.375, 1.5, -0.5)], axis=1)
    scaled = scale(matrix, "nvfp4")
    assert scaled.matrix_scale == 1
    assert scaled.scales.view(ml_dtypes.float8_e4m3fn).astype(float).tolist() == [[448, 1]]
    assert scaled.reals()[0, [0, 1, 16, 17, 18]].tolist() == [2688, -448, 6, 1.5, -0.5]
    # A matrix half as large has half the scale and the same patterns
    half = scale(matrix / 2, "nvfp4")
    assert half.matrix_scale == 0.5
    assert np.array_equal(half.patterns, scaled.patterns)
    assert np.array_equal(half.scales, scaled.scales)


@pytest.mark.parametrize("in_dtype", BLOCKS)
def test_zeros_are_zeros(in_dtype):
    assert not scale(np.zeros((2, 64)), in_dtype).reals().any()


@given(st.sampled_from(tuple(BLOCKS)), st.booleans(), st.integers(0, 2**32 - 1), st.integers(-20, 20))
def test_a_value_is_off_by_half_a_step_of_its_block_at_most(in_dtype, sparse, seed, exponent):
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((3, 128)) * 2.0**exponent
    scaled = scale(matrix, in_dtype, sparse=sparse)
    size, values = BLOCKS[in_dtype].size * (1 + sparse), BLOCKS[in_dtype].values
    assert scaled.scales.shape == (3, 128 // size)
    error = np.abs(scaled.reals() - matrix).reshape(3, -1, size)
    largest = np.abs(matrix).reshape(3, -1, size).max(axis=2, keepdims=True)
    # MX cuts what is beyond the largest value: a quarter of 8 (e2m1), 64 of 512 (e4m3). NVFP4's scale is off by a
    # sixteenth at most, so that half of its widest step is (1 + 1/16) / 6; a scale near its smallest is off by more
    share = {"nvfp4": 17 / 96, "mxfp4": 1 / 4, "mxfp8": 1 / 8}[in_dtype]
    least = LARGEST[values] * scaled.matrix_scale * 2.0**-9 if in_dtype == "nvfp4" else 0
    assert (error <= share * largest + least).all()


def test_four_of_eight_in_pairs_of_fp4():
    # Pairs 0 and 3 of the first eight, 1 and 2 of the second; a negative zero (8) is a zero
    values = np.array([[1, 2, 8, 0, 0, 8, 15, 0, 0, 0, 3, 4, 5, 8, 0, 0]], np.uint8)
    image = compress(values, "e2m1")
    assert image.values.tolist() == [[1, 2, 15, 0, 3, 4, 5, 8]]
    assert image.nibbles.tolist() == [[0b1100, 0b1001]]
    assert decompress(image).tolist() == [[1, 2, 0, 0, 0, 0, 15, 0, 0, 0, 3, 4, 5, 8, 0, 0]]
    assert compress(values.view(FORMATS["e2m1"].value), "e2m1").values.tolist() == image.values.tolist()
    with pytest.raises(BadInput, match=r"must be 4:8 in pairs for e2m1: .* has 3 non-zeros, in more than 2 pairs"):
        compress(np.array([[1, 0, 0, 2, 0, 0, 3, 0]], np.uint8), "e2m1")


def test_a_sparse_matrix_s_scales_lie_over_twice_the_columns():
    # Sixteen values of a block are kept of 32 columns
    row = np.zeros((1, 64))
    row[0, :2], row[0, 30:32], row[0, 32:34] = 6, 3, 0.5
    scaled = scale(row, "nvfp4", sparse=True)
    assert scaled.scales.shape == (1, 2)
    assert scaled.reals()[0, [0, 30, 32]] == pytest.approx([6, 3, 0.5], rel=1 / 16)
    assert compress(scaled.patterns, "e2m1").values.shape == (1, 32)


@pytest.mark.parametrize(
    ("in_dtype", "sparse", "values", "metadata", "scales"),
    # of 4096 x 4096 in KiB: 4 or 8 bits a value, half kept; 4 bits for 8 columns of e2m1 or 4 of e4m3; a byte a block
    [
        ("nvfp4", False, 8192, 0, 1024),
        ("mxfp4", False, 8192, 0, 512),
        ("mxfp8", False, 16384, 0, 512),
        ("nvfp4", True, 4096, 1024, 512),
        ("mxfp4", True, 4096, 1024, 256),
        ("mxfp8", True, 8192, 2048, 256),
    ],
)
def test_bytes_by_hand(in_dtype, sparse, values, metadata, scales):
    expected = {"values": values * 1024, "metadata": metadata * 1024, "scales": scales * 1024}
    assert n_bytes(4096, 4096, in_dtype, sparse=sparse) == expected
    assert n_bytes(3, 33, "mxfp4")["scales"] == 6  # the last block of a row is a block


@pytest.mark.parametrize(
    ("matrix", "in_dtype", "sparse", "line"),
    [
        (np.ones((1, 24)), "nvfp4", False, r"k a multiple of 16 for nvfp4, got shape \[1, 24\]"),
        (np.ones((1, 16)), "nvfp4", True, "k a multiple of 32 for nvfp4 sparse"),
        (np.full((1, 32), np.nan), "mxfp4", False, "matrix must be finite"),
        (np.ones(32), "mxfp8", False, r"got shape \[32\]"),
        (np.ones((1, 32)), "mxfp6", False, "unknown in_dtype 'mxfp6', did you mean 'mxfp8'"),
    ],
)
def test_what_does_not_fit_is_named(matrix, in_dtype, sparse, line):
    with pytest.raises(BadInput, match=line):
        scale(matrix, in_dtype, sparse=sparse)
