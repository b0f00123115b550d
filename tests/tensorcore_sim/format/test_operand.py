"""Is a real rounded to the nearest value of a format, ties to even, with the scale that the format needs?"""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorcore_sim.format.operand import to_format, to_reals
from tests.naive_tensorcore import FIELDS, decode, encode
from workloads import BadInput

LIMIT = {"f16": 65504.0, "bf16": 2.0**127, "tf32": 2.0**127}
FULL = {"e4m3": 448, "e5m2": 57344, "int8": 127, "int4": 7}


@pytest.mark.parametrize("in_dtype", LIMIT)
@given(data=st.data())
def test_formats_of_16_bits_and_more_round_each_real_alone(in_dtype, data):
    real = data.draw(st.floats(-LIMIT[in_dtype], LIMIT[in_dtype], width=32))
    bits, scale = to_format(np.array([real], np.float32), in_dtype)
    expected = nearest(Fraction(real), in_dtype) << 13 * (in_dtype == "tf32")
    assert scale == 1
    assert int(bits[0]) & (1 << 8 * bits.itemsize - 1) - 1 == expected & (1 << 8 * bits.itemsize - 1) - 1
    assert np.signbit(np.float32(real)) == int(bits[0]) >> 8 * bits.itemsize - 1  # also of a negative zero


def nearest(real: Fraction, kind: str) -> int:
    """Return the pattern nearest to a real in the format's range, tf32's without its unused bits."""
    return encode(real, kind, "nearest", FIELDS[kind][1] + 1)


@pytest.mark.parametrize("in_dtype", ["e4m3", "e5m2"])
@given(data=st.data())
def test_fp8_is_the_nearest_of_all_its_values(in_dtype, data):
    reals = np.array(data.draw(st.lists(st.floats(-1e9, 1e9, width=32), min_size=1, max_size=5)), np.float32)
    bits, scale = to_format(reals, in_dtype)
    assert scale == (np.abs(reals).max().astype(float) / FULL[in_dtype] or 1)
    for real, code in zip(reals, bits.tolist(), strict=True):
        assert code & 127 == nearest_of_all(abs(float(real) / scale), in_dtype)
        assert (code >> 7) == np.signbit(real)


def nearest_of_all(target: float, in_dtype: str) -> int:
    """Return the pattern of the finite value without a sign that is nearest, the even one of two."""
    finite = [(value[0], code) for code in range(128) if not isinstance(value := decode(code, in_dtype), str)]
    return min((abs(value - Fraction(target)), code % 2, code) for value, code in finite)[2]


@pytest.mark.parametrize(("in_dtype", "tie"), [("e4m3", 1.0625), ("e4m3", 1.1875), ("e5m2", 1.125), ("e5m2", 1.375)])
def test_a_hair_beside_a_tie_is_no_tie(in_dtype, tie):
    # The f32 nearest to a tie lies closer to it than an f32 could tell from 1: rounded by way of f32 it would be one.
    found = set()
    for largest in range(3, 40):
        real = np.float32(tie * largest / FULL[in_dtype])
        bits, scale = to_format(np.float32([real, largest]), in_dtype)
        found.add(int(bits[0]))
        assert bits[0] == nearest_of_all(float(real) / scale, in_dtype)
    assert len(found) == 2  # some lie below, some above


@pytest.mark.parametrize(("in_dtype", "largest"), [("int8", 127), ("int4", 7)])
@given(data=st.data())
def test_integers_are_the_nearest_steps(in_dtype, largest, data):
    reals = np.array(data.draw(st.lists(st.floats(-1e9, 1e9, width=32), min_size=1, max_size=5)), np.float32)
    bits, scale = to_format(reals, in_dtype)
    top = float(np.abs(reals).max())
    assert scale == (top / largest if top else 1)
    values = to_reals(bits, in_dtype).tolist()
    assert values == [round(Fraction(float(real) / scale)) for real in reals]
    assert max(map(abs, values)) == (largest if top else 0)


def test_by_hand():
    # f16 has 10 fraction bits: 1 + 2**-11 and 1 + 3 * 2**-11 are ties, to even they go down and up
    assert to_format(np.float32([1 + 2**-11, 1 + 3 * 2**-11]), "f16")[0].tolist() == [0x3C00, 0x3C02]
    # tf32: the same in the upper bits of an f32
    assert to_format(np.float32([1 + 2**-11, 1 + 3 * 2**-11]), "tf32")[0].tolist() == [0x3F800000, 0x3F804000]
    # int4: 3.5 is the largest, a step is 0.5, and 1.25 and 0.75 are ties
    bits, scale = to_format(np.float32([[3.5, -3.5], [1.25, 0.75], [-0.5, 0]]), "int4")
    assert (bits.tolist(), scale) == ([[7, 9], [2, 2], [15, 0]], 0.5)
    bits, scale = to_format(np.float32([0, -254, 3]), "int8")
    assert (bits.tolist(), scale) == ([0, 129, 2], 2)  # 1.5 is a tie
    bits, scale = to_format(np.float32([896, 1]), "e4m3")
    assert (bits.tolist(), scale) == ([0x7E, 0x30], 2)  # 448 and 0.5


@pytest.mark.parametrize("in_dtype", [*LIMIT, *FULL])
def test_nothing_but_zeros_has_scale_1(in_dtype):
    bits, scale = to_format(np.zeros((2, 3), np.float32), in_dtype)
    assert (bits.tolist(), scale) == ([[0] * 3] * 2, 1)


@pytest.mark.parametrize(
    ("in_dtype", "last", "first", "told"),
    [  # the last real that is rounded down to the largest finite value, and the tie that would go up to infinity
        ("f16", 65519.996, 65520, r"values must be at most 65504 in size for f16, got 65520 at \(1, 0\)"),
        (
            "bf16",
            np.uint32(0x7F7F7FFF).view(np.float32),
            np.uint32(0x7F7F8000).view(np.float32),
            r"at most 3\.38953e\+38 in size for bf16, got 3.39",
        ),
        (
            "tf32",
            np.uint32(0x7F7FEFFF).view(np.float32),
            np.uint32(0x7F7FF000).view(np.float32),
            r"at most 3\.40116e\+38 in size for tf32, got 3.40",
        ),
    ],
)
def test_a_real_beyond_the_format_is_an_error(in_dtype, last, first, told):
    bits, _ = to_format(np.float32([[0], [last]]), in_dtype)
    assert np.isfinite(to_reals(bits, in_dtype)).all()
    with pytest.raises(BadInput, match=told):
        to_format(np.float32([[0], [first]]), in_dtype)
