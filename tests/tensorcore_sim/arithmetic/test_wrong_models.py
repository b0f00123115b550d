"""Would the tests notice a wrong model? Each plausible one must differ from the fused add where paper says it does.

The wrong models are the twin with one rule changed. Each agrees with the right one on much random data, so a case of
its own is built for each, with the right answer worked out beside it.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from tests.naive_tensorcore import CASES, decode, dot_add, encode, fused_add
from tests.tensorcore_cases import n_bytes, operands, run

A100 = next(case for case in CASES if case[:4] == ("a100", "f16", "f32", "mma.m16n8k8"))
REST = ("f16", "f32", 24, -132, 24)


def final_to_nearest(a, b, c):
    return fused_add(a, b, c, *REST, final="nearest")


def products_normalised(a, b, c):
    return fused_add(a, b, c, *REST, normalise=True)


def floored(a, b, c):
    return fused_add(a, b, c, *REST, align="down")


def c_added_late(a, b, c):
    products = fused_add(a, b, 0, *REST)
    return encode(decode(products, "f32")[0] + decode(c, "f32")[0], "f32", "zero", 24)


def two_halves(a, b, c):
    half = len(a) // 2
    return fused_add(a[half:], b[half:], fused_add(a[:half], b[:half], c, *REST), *REST)


def exact_then_rounded_once(a, b, c):
    total = sum((decode(x, "f16")[0] * decode(y, "f16")[0] for x, y in zip(a, b, strict=True)), Fraction(0))
    return encode(total + decode(c, "f32")[0], "f32", "zero", 24)


def sequential_fma(a, b, c):
    for x, y in zip(a, b, strict=True):
        c = encode(decode(x, "f16")[0] * decode(y, "f16")[0] + decode(c, "f32")[0], "f32", "nearest", 24)
    return c


def one_bit_fewer(a, b, c):
    return fused_add(a, b, c, "f16", "f32", 23, -132, 24)


def one_bit_more(a, b, c):
    return fused_add(a, b, c, "f16", "f32", 25, -132, 24)


# F = 24. Each: the wrong model, products, C, the right answer and why it is right.
CONTROLS = [
    # 1 + 3 * 2**-24 is cut to 1 + 2**-23; nearest-even is 1 + 2**-22
    (final_to_nearest, [(1, 1), (3 * 2**-12, 2**-12)], 0, 1 + 2**-23),
    # 1.5 * 1.5 counts with exponent 0, so 2**-24 is on the grid
    (products_normalised, [(1.5, 1.5), (-1.5, 1.5)], 2**-24, 2**-24),
    # -1.5 steps are cut to -1, not floored to -2
    (floored, [(1, 1), (-1, 1)], -1.5 * 2**-24, -(2**-24)),
    # C's 1 sets the grid, on which 2**-26 is nothing; added to it afterwards, the sum would be cut to -(1 - 2**-24)
    (c_added_late, [(2**-13, 2**-13)], -1, -1),
    # 2**-26 stands beside 1 - 1 in one add and is cut; in a second half it would survive
    (two_halves, [(1, 1), (-1, 1), (0, 0), (0, 0), (2**-13, 2**-13)], 0, 0),
    (exact_then_rounded_once, [(1, 1), (-1, 1), (2**-13, 2**-13)], 0, 0),
    (sequential_fma, [(1, 1), (-1, 1), (2**-13, 2**-13)], 0, 0),
    # 2**-24 is the last bit kept ...
    (one_bit_fewer, [(1, 1), (-1, 1)], 2**-24, 2**-24),
    # ... and 2**-25 the first one lost
    (one_bit_more, [(1, 1), (-1, 1)], 2**-25, 0),
]


@pytest.mark.parametrize(
    ("wrong", "products", "c", "right"), CONTROLS, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_wrong_model_differs_where_it_should(wrong, products, c, right):
    products = products + [(0, 0)] * (8 - len(products))
    a, b = np.array(products, np.float16).T.copy().view(np.uint16)
    c_bits = np.array([c], np.float32).view(np.uint32)
    right_bits = int(np.float32(right).view(np.uint32))
    assert run(A100, a[None], b[None], c_bits).tolist() == [right_bits]
    assert wrong(a.tolist(), b.tolist(), int(c_bits[0])) != right_bits


@pytest.mark.parametrize("wrong", [control[0] for control in CONTROLS], ids=lambda wrong: wrong.__name__)
def test_a_wrong_model_differs_somewhere_on_random_data_too(wrong):
    rng = np.random.default_rng(5)
    a, b, c = operands(rng.bytes(200 * n_bytes(A100)), A100, "near", "near")
    ours = run(A100, a, b, c).tolist()
    theirs = [wrong(*row) for row in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)]
    assert ours != theirs


def test_the_minimum_exponent_matters():
    case = next(case for case in CASES if case[:4] == ("a100", "bf16", "f32", "mma.m16n8k16"))
    # as in test_fused_add_by_hand: 33/32 and 25/32 of 2**-152, each as a power of two times 2**-76
    a = np.array([33 * 2.0**-81] * 7 + [25 * 2.0**-81] + [0] * 8)
    a, b = ((np.array(x, np.float32).view(np.uint32) >> 16).astype(np.uint16) for x in (a, [2.0**-76] * 16))
    assert run(case, a[None], b[None], np.zeros(1, np.uint32)).tolist() == [0]
    assert dot_add(a.tolist(), b.tolist(), 0, (*case[:6], -300, 24)) == 1
