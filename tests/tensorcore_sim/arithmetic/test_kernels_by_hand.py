"""Do the innermost steps give the bits that IEEE 754 and 32-bit saturation do, at their edges?"""

import numpy as np
import pytest

from tensorcore_sim.arithmetic.instructions import FusedAdd
from tensorcore_sim.arithmetic.kernels import _add_f16, _to_f16, integer_gemm
from tensorcore_sim.arithmetic.reference import bound, check


def half(value: float) -> int:
    return int(np.float16(value).view(np.uint16))


@pytest.mark.parametrize("value", [1024, -1024, 2047, 1023, 2048, 65504])
def test_whole_numbers_are_their_own_f16(value):
    """1024 to 2047 are the 11 bits of a significand: nothing is shifted."""
    assert _to_f16(np.int64(value), 0) == half(value)


@pytest.mark.parametrize(
    ("x", "y", "total"),
    [(1, np.inf, np.inf), (-np.inf, 1, -np.inf), (np.inf, np.inf, np.inf), (-np.inf, -np.inf, -np.inf), (1, 2, 3)],
)
def test_an_infinity_takes_what_is_finite_along(x, y, total):
    assert _add_f16(half(x), half(y)) == _add_f16(half(y), half(x)) == half(total)


def test_opposite_infinities_give_the_nan_of_all_ones():
    assert _add_f16(half(np.inf), half(-np.inf)) == _add_f16(half(-np.inf), half(np.inf)) == 0x7FFF


@pytest.mark.parametrize(("sign", "end"), [(1, 2**31 - 1), (-1, -(2**31))])
def test_each_instruction_saturates_before_the_next_one_adds(sign, end):
    """From the end of 32 bits 100 further out stays there, and 60 back is 60 off it."""
    a = np.array([[100 * sign, -60 * sign]], np.int8)
    b, columns, result = np.ones((1, 2), np.int8), np.empty((0, 0), np.int64), np.empty((1, 1), np.int32)
    integer_gemm(a, b, columns, np.array([[end]], np.int32), 1, True, result)
    assert result.tolist() == [[end - 60 * sign]]


def test_the_least_of_32_bits_is_a_sum_like_any_other():
    """2**18 products of -128 and 64 are -2**31."""
    a, b = np.full((1, 2**18), 0x80, np.uint8), np.full((2**18, 1), 0x40, np.uint8)
    assert check(a, b, np.array([[-(2**31)]], np.int32), "int8", None)["passed"]
    assert not check(a, b, np.array([[-(2**31) + 1]], np.int32), "int8", None)["passed"]


def test_the_largest_of_the_errors_is_told_of_integers_too():
    """Products 1, 2 and 3, of which the last is told as 7."""
    a, b = np.array([[1], [2], [3]], np.uint8), np.array([[1]], np.uint8)
    told = check(a, b, np.array([[1], [2], [7]], np.int32), "int8", None)
    assert told == {"passed": False, "largest_error": 4.0, "largest_error_over_bound": 0.0}


def test_the_bound_is_the_sum_of_what_is_cut_off():
    """Two adds of 4 products and C, of which each cuts 5 terms at 2**-10 of the largest and its result at 2**-23.

    Beside the least exponent, -126, nothing is smaller; float64 adds 6 + 2 roundings of 2**-52. Sizes are 3 and 0.
    """
    on = {"cards": (), "units": (), "in_dtypes": (), "source": "made up"}
    rule = FusedAdd(**on, n_products=4, fraction_bits=10, min_exponent={"f32": -126})
    least = 2 * 5 * 2.0**-136
    found = bound(np.array([[3.0, 0.0]]), 6, rule)
    assert found[0, 0] == pytest.approx(1.01 * 2 * (5 * 2.0**-10 + 2.0**-23) * 3 + least + 8 * 2.0**-52 * 3, rel=1e-14)
    assert found[0, 1] == least
