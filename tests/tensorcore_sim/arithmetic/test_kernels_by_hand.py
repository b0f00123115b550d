"""Do the innermost steps give the bits that IEEE 754 and 32-bit saturation do, at their edges?"""

import numpy as np
import pytest

from tensorcore_sim.arithmetic.instructions import FusedAdd
from tensorcore_sim.arithmetic.kernels import _add, _to_nearest, integer_gemm
from tensorcore_sim.arithmetic.reference import bound, check

FORMATS = {True: (np.float16, np.uint16), False: (np.float32, np.uint32)}  # by whether it is f16


def bits(value: float, to_f16: bool) -> int:
    number, pattern = FORMATS[to_f16]
    return int(number(value).view(pattern))


@pytest.mark.parametrize("to_f16", [True, False])
@pytest.mark.parametrize("value", [1024, -1024, 2047, 1023, 2048, 65504, 0])
def test_whole_numbers_are_their_own_pattern(value, to_f16):
    """1024 to 2047 are the 11 bits of an f16's significand: nothing is shifted."""
    assert _to_nearest(np.int64(value), 0, to_f16) == bits(value, to_f16)


@pytest.mark.parametrize("to_f16", [True, False])
@pytest.mark.parametrize(
    ("x", "y", "total"),
    [(1, np.inf, np.inf), (-np.inf, 1, -np.inf), (np.inf, np.inf, np.inf), (-np.inf, -np.inf, -np.inf), (1, 2, 3)],
)
def test_an_infinity_takes_what_is_finite_along(x, y, total, to_f16):
    x, y, total = (bits(value, to_f16) for value in (x, y, total))
    assert _add(x, y, to_f16) == _add(y, x, to_f16) == total


@pytest.mark.parametrize(("to_f16", "nan"), [(True, 0x7FFF), (False, 0x7FFFFFFF)])
def test_opposite_infinities_give_the_nan_of_all_ones(to_f16, nan):
    plus, minus = bits(np.inf, to_f16), bits(-np.inf, to_f16)
    assert _add(plus, minus, to_f16) == _add(minus, plus, to_f16) == nan


@pytest.mark.parametrize("to_f16", [True, False])
def test_a_sum_is_ieee_s_but_for_a_zero_s_sign(to_f16):
    number, pattern = FORMATS[to_f16]
    rng = np.random.default_rng(3)
    width = 8 * np.dtype(pattern).itemsize
    raw = rng.integers(0, 2**width, (4000, 2), dtype=np.uint64)
    # A third of them near each other's opposite, so that they cancel; a third about half of the other's last place
    raw[::3, 1] = raw[::3, 0] ^ np.uint64(1 << (width - 1)) ^ (raw[::3, 1] % 8)
    with np.errstate(all="ignore"):
        half = np.abs(raw[1::3, 0].astype(pattern).view(number)) * number(2.0 ** -(24 if width == 32 else 11))
        raw[1::3, 1] = (half.view(pattern) + raw[1::3, 1] % 3 - 1) % 2**width
        x, y = (raw[:, side].astype(pattern).view(number) for side in (0, 1))
        expected = x + y
    expected[expected == 0] = 0
    finite = ~np.isnan(expected)
    for left, right, total in zip(x[finite], y[finite], expected[finite], strict=True):
        assert _add(int(left.view(pattern)), int(right.view(pattern)), to_f16) == int(total.view(pattern))


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
    assert found[0, 0] == pytest.approx(
        1.01 * 2 * (5 * 2.0**-10 + 2.0**-23) * 3 + least + 8 * 2.0**-52 * 3, rel=1e-14, abs=0
    )
    assert found[0, 1] == least
