"""Is int4 the exact integer product, in s32, whatever stands in the upper half of a pattern?"""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorcore_sim import fused_dot_add, gemm

DENSE = ("mma.m8n8k32", "mma.m16n8k32", "mma.m16n8k64")
SPARSE = ("mma.sp.m16n8k64", "mma.sp.m16n8k128")


def asked(instruction, card="a100"):
    return {"card": card, "in_dtype": "int4", "out_dtype": "s32", "instruction": instruction}


def wrapped(exact):
    """Return int64 as s32 wraps it."""
    return ((exact + 2**31) % 2**32 - 2**31).astype(np.int32)


@pytest.mark.parametrize("instruction", DENSE + SPARSE)
@pytest.mark.parametrize("card", ["a100", "l40s"])
@given(data=st.data())
def test_an_output_element_is_the_int64_sum_wrapped_or_clamped(card, instruction, data):
    k = int(instruction.rsplit("k", 1)[1]) // (2 if ".sp" in instruction else 1)
    bits = np.frombuffer(data.draw(st.binary(min_size=4 * k, max_size=4 * k)), np.uint8).reshape(2, 2, k)
    c = np.array(data.draw(st.lists(st.sampled_from((0, 2**31 - 1, -(2**31), 77)), min_size=2, max_size=2)), np.int32)
    low = (bits & 15).astype(np.int64)
    a, b = np.where(low > 7, low - 16, low)
    exact = (a * b).sum(axis=1) + c
    assert np.array_equal(fused_dot_add(bits[0], bits[1], c, **asked(instruction, card)), wrapped(exact))
    clamped = np.clip(exact, -(2**31), 2**31 - 1)
    assert np.array_equal(fused_dot_add(bits[0], bits[1], c, **asked(instruction, card), saturate=True), clamped)


@pytest.mark.parametrize("instruction", DENSE + SPARSE)
def test_a_gemm_is_the_integer_product(instruction):
    rng = np.random.default_rng(12)
    a, b = (rng.integers(-8, 8, shape) for shape in ((20, 200), (200, 7)))
    if instruction in SPARSE:  # two of every four pairs
        pairs = rng.permuted(np.tile([True, True, False, False], (20, 25, 1)), axis=2)
        a *= np.repeat(pairs.reshape(20, 100), 2, axis=1)
    c = rng.integers(-(2**31), 2**31, (20, 7), dtype=np.int32)
    expected = wrapped(a @ b + c)
    as_values = a.astype(np.int8).astype(ml_dtypes.int4), b.astype(np.int8).astype(ml_dtypes.int4)
    assert np.array_equal(gemm(*as_values, c, **asked(instruction)), expected)
    as_patterns = (a & 15).astype(np.uint8), (b & 15).astype(np.uint8)
    result = gemm(*as_patterns, c.view(np.uint32), **asked(instruction))
    assert np.array_equal(result, expected.view(np.uint32))


def test_the_ends_of_the_range():
    # -8 * -8 = 64 and -8 * 7 = -56, 32 products each
    a = np.full((2, 32), 8, np.uint8)
    b = np.stack([np.full(32, 0xF8, np.uint8), np.full(32, 7, np.uint8)])
    assert fused_dot_add(a, b, np.int32([0, 0]), **asked("mma.m16n8k32")).tolist() == [2048, -1792]


def test_it_saturates_once_an_instruction():
    a, b = np.zeros((1, 128), np.uint8), np.zeros((128, 1), np.uint8)
    a[0, [0, 64]], b[[0, 64], 0] = [7, 9], 7  # up by 49 in the first k64, down by 49 in the second
    c = np.array([[2**31 - 1]], np.int32)
    assert gemm(a, b, c, **asked("mma.m16n8k64")).tolist() == [[2**31 - 1]]
    assert gemm(a, b, c, **asked("mma.m16n8k64"), saturate=True).tolist() == [[2**31 - 50]]
    assert gemm(a, b, c, **asked("mma.sp.m16n8k128"), saturate=True).tolist() == [[2**31 - 1]]  # both in one
