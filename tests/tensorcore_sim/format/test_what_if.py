"""Does any N:M pattern lose nothing, and multiply as the dense matrix does?"""

from itertools import combinations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorcore_sim import gemm
from tensorcore_sim.format.what_if import columns_of_instructions, compress, index_bits
from workloads import BadInput

PATTERNS = [(1, 4), (2, 4), (3, 4), (2, 8), (4, 8), (1, 8), (2, 16), (8, 16), (1, 1), (3, 5)]
INT8 = {"card": "a100", "in_dtype": "int8", "out_dtype": "s32", "instruction": "mma.m16n8k16"}


def test_by_hand():
    # 2:5. Two non-zeros; one, at the end: the lowest zero joins it; one, in front: column 1; none: columns 0 and 1
    matrix = np.array([[0, 7, 0, 0, 8, 0, 0, 0, 0, 9], [5, 0, 0, 0, 0, 0, 0, 0, 0, 0]])
    values, columns = compress(matrix, 2, 5)
    assert values.tolist() == [[7, 8, 0, 9], [5, 0, 0, 0]]
    assert columns.tolist() == [[1, 4, 5, 9], [0, 1, 5, 6]]
    assert columns.dtype == np.int32


@pytest.mark.parametrize(("n", "m"), [(1, 4), (2, 4), (3, 5), (4, 8), (1, 1)])
def test_every_mask_that_fits_keeps_its_non_zeros_and_the_lowest_zeros(n, m):
    for n_kept in range(n + 1):
        for places in combinations(range(m), n_kept):
            row = np.zeros((1, m), np.int8)
            row[0, list(places)] = 1 + np.arange(n_kept)
            values, columns = compress(row, n, m)
            zeros = [place for place in range(m) if place not in places][: n - n_kept]
            assert columns[0].tolist() == sorted([*places, *zeros])
            assert values[0].tolist() == row[0, columns[0]].tolist()


@pytest.mark.parametrize(("m", "bits"), [(1, 0), (2, 1), (4, 2), (5, 3), (8, 3), (16, 4), (17, 5)])
def test_the_bits_of_an_index(m, bits):
    assert index_bits(m) == bits
    assert 2**bits >= m > 2 ** (bits - 1) or m == 1


@pytest.mark.parametrize(
    ("n", "m", "n_products", "expected"),
    # 16 products are 16 groups of 1:4, 8 of 2:8, 2 of 8:16; of 3:4, 16 groups are 48 products, 3 instructions
    [(1, 4, 16, 64), (2, 8, 16, 64), (8, 16, 16, 32), (3, 4, 16, 64), (2, 4, 8, 16), (16, 32, 8, 32)],
)
def test_instructions_and_groups_end_together(n, m, n_products, expected):
    assert columns_of_instructions(n, m, n_products) == expected
    assert expected % m == expected // m * n % n_products == 0


def test_no_instruction_covers_what_is_no_pattern():
    with pytest.raises(BadInput, match="pattern must be N:M with 1 <= N <= M, got 3:2"):
        columns_of_instructions(3, 2, 16)


@given(data=st.data())
def test_a_gemm_is_the_dense_integer_product_for_every_mask_that_fits(data):
    n, m = data.draw(st.sampled_from(PATTERNS))
    rows, k = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 40))
    seed = data.draw(st.integers(0, 2**32 - 1))
    kept = [data.draw(st.sets(st.integers(0, m - 1), max_size=n)) for _ in range(rows * -(-k // m))]
    mask = np.array([[place in group for place in range(m)] for group in kept]).reshape(rows, -1)[:, :k]
    rng = np.random.default_rng(seed)
    a = rng.integers(-128, 128, (rows, k)).astype(np.int8) * mask
    b, c = rng.integers(-128, 128, (k, 3)).astype(np.int8), rng.integers(-(2**31), 2**31, (rows, 3)).astype(np.int32)
    exact = a.astype(np.int64) @ b.astype(np.int64) + c
    expected = ((exact + 2**31) % 2**32 - 2**31).astype(np.int32)
    assert np.array_equal(gemm(a, b, c, **INT8, pattern=(n, m)), expected)


@pytest.mark.parametrize(
    ("card", "in_dtype", "value", "sparse", "dense", "pattern"),
    [
        ("a100", "f16", np.float16, "mma.sp.m16n8k32", "mma.m16n8k16", (2, 4)),
        ("h100", "bf16", ml_dtypes.bfloat16, "wgmma.sp.m64n8k32", "wgmma.m64n8k16", (2, 4)),
        ("h100", "e4m3", ml_dtypes.float8_e4m3fn, "wgmma.sp.m64n8k64", "wgmma.m64n8k32", (2, 4)),
        ("a100", "tf32", np.float32, "mma.sp.m16n8k16", "mma.m16n8k8", (1, 2)),
    ],
)
def test_the_card_s_own_pattern_gives_the_card_s_own_bits(card, in_dtype, value, sparse, dense, pattern):
    rng = np.random.default_rng(13)
    a, b = rng.standard_normal((9, 64)).astype(np.float32), rng.standard_normal((64, 5)).astype(value)
    groups = a.reshape(9, -1, pattern[1])
    groups[np.argsort(rng.random(groups.shape), axis=2) >= pattern[0]] = -0.0  # a negative zero is a zero
    a, c = a.astype(value), rng.standard_normal((9, 5)).astype(np.float32)
    common = {"card": card, "in_dtype": in_dtype, "out_dtype": "f32"}
    what_if = gemm(a, b, c, **common, instruction=dense, pattern=pattern)
    assert what_if.tobytes() == gemm(a, b, c, **common, instruction=sparse).tobytes()


def test_int4_is_the_dense_product_whatever_its_upper_halves_hold():
    rng = np.random.default_rng(14)
    a, b = rng.integers(0, 256, (5, 64), dtype=np.uint8), rng.integers(0, 256, (64, 3), dtype=np.uint8)
    a[:, 2::4] &= 0xF0  # zeros: of a pattern only the low half counts
    a[:, 3::4] &= 0xF0
    asked = {"card": "a100", "in_dtype": "int4", "out_dtype": "s32", "instruction": "mma.m16n8k32"}
    c = np.zeros((5, 3), np.uint32)
    assert np.array_equal(gemm(a, b, c, **asked, pattern=(4, 8)), gemm(a, b, c, **asked))


@pytest.mark.parametrize(
    ("matrix", "n", "m", "told"),
    [
        ([[1, 0, 0, 1]], 1, 4, "matrix must be 1:4: the group at row 0, columns 0 to 3 has 2 non-zeros"),
        ([[0] * 8, [1, 1, 0, 0, 1, 1, 1, 0]], 2, 4, "2:4: the group at row 1, columns 4 to 7 has 3 non-zeros"),
        ([[1, 0, 0, 1]], 1, 3, r"k a multiple of 3 for 1:3, got shape \[1, 4\]"),
        ([1, 0, 0, 1], 1, 4, r"matrix must be \[rows, k\]"),
        ([[]], 1, 4, r"got shape \[1, 0\]"),
        ([[1, 0]], 3, 2, "pattern must be N:M with 1 <= N <= M, got 3:2"),
        ([[1, 0]], 0, 2, "got 0:2"),
        ([[1, 0]], 0.5, 2, r"got 0\.5:2"),
        ([[1, 0]], 1.0, 2, r"got 1\.0:2"),
        ([[1, 0]], 1, 2.0, r"got 1:2\.0"),
    ],
)
def test_what_does_not_fit(matrix, n, m, told):
    with pytest.raises(BadInput, match=told):
        compress(np.array(matrix, np.int8), n, m)


def test_a_sparse_instruction_has_its_own_pattern():
    zeros = np.zeros((2, 64), np.int8), np.zeros((64, 2), np.int8), np.zeros((2, 2), np.int32)
    with pytest.raises(BadInput, match=r"instruction must be a dense one with pattern .2, 4., got 'mma.sp.m16n8k32'"):
        gemm(*zeros, **INT8 | {"instruction": "mma.sp.m16n8k32"}, pattern=(2, 4))
    with pytest.raises(BadInput, match="pattern must be N:M"):
        gemm(*zeros, **INT8, pattern=(0, 4))
