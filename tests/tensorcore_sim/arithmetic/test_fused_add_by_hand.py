"""Does each rule of the fused add hold where it can be worked out on paper?

A term is (a, b) for a product; unnamed products are zero. ulp = one step of the grid, 2**(E - F).
"""

import ml_dtypes
import numpy as np
import pytest

import tensorcore_sim

VALUE = {
    "f16": np.float16,
    "bf16": ml_dtypes.bfloat16,
    "tf32": np.float32,
    "e4m3": ml_dtypes.float8_e4m3fn,
    "e5m2": ml_dtypes.float8_e5m2,
}
OUT = {"f32": np.float32, "f16": np.float16}
INF = float("inf")


def add(card, in_dtype, out_dtype, instruction, products, c=0.0):
    """Return one output element, as a float of the output's width, for {place: (a, b)}."""
    k = int(instruction.rsplit("k", 1)[1])
    a, b = np.zeros((1, k), np.float64), np.zeros((1, k), np.float64)
    for place, (left, right) in products.items():
        a[0, place], b[0, place] = left, right
    value = VALUE[in_dtype]
    assert (a.astype(value).astype(np.float64) == a).all(), "the case must be exact in the format"
    return tensorcore_sim.fused_dot_add(
        a.astype(value),
        b.astype(value),
        np.array([c], OUT[out_dtype]),
        card=card,
        in_dtype=in_dtype,
        out_dtype=out_dtype,
        instruction=instruction,
    )[0]


A100 = ("a100", "f16", "f32", "mma.m16n8k8")


@pytest.mark.parametrize(("c", "expected"), [(1.5, 1), (-1.5, -1), (0.99, 0), (-0.99, 0), (1, 1)])
def test_terms_are_cut_toward_zero(c, expected):
    # E = 0, F = 24: 1 - 1 + c ulp leaves c's whole steps
    assert add(*A100, {0: (1, 1), 1: (-1, 1)}, c * 2**-24) == expected * 2**-24


@pytest.mark.parametrize(
    ("card", "instruction", "F"),
    [
        ("v100", "mma.m8n8k4", 23),
        ("t4", "mma.m16n8k8", 24),
        ("a100", "mma.m16n8k8", 24),
        ("rtx-3090", "mma.m16n8k8", 24),
        ("l40s", "mma.m16n8k8", 24),
        ("rtx-4090", "mma.m16n8k8", 24),
        ("h100", "mma.m16n8k8", 25),
        ("gh200", "wgmma.m64n8k16", 25),
        ("b200", "mma.m16n8k8", 25),
        ("b200", "tcgen05.m64n8k16", 25),
        ("rtx-5090", "mma.m16n8k8", 25),
    ],
)
def test_the_last_bit_kept_is_F_below_the_largest_exponent(card, instruction, F):
    cancelling = {0: (1, 1), 1: (-1, 1)}
    assert add(card, "f16", "f32", instruction, cancelling, 2.0**-F) == 2.0**-F
    assert add(card, "f16", "f32", instruction, cancelling, 2.0 ** -(F + 1)) == 0


def test_what_is_cut_leaves_no_sticky_bit():
    # To f16, 1 + 2**-11 is a tie and goes to the even 1; 2**-24 more, still on the grid, breaks it; 2**-26 does not
    assert add("a100", "f16", "f16", "mma.m16n8k8", {0: (1, 1), 1: (2**-11, 1), 2: (2**-12, 2**-12)}) == 1 + 2**-10
    assert add("a100", "f16", "f16", "mma.m16n8k8", {0: (1, 1), 1: (2**-11, 1), 2: (2**-13, 2**-13)}) == 1


def test_a_product_of_two_or_more_is_not_normalised():
    # 1.5 * 1.5 = 2.25 counts with exponent 0, so 2**-24 stays; with exponent 1 it would be lost. So 2 * 1.125 loses it.
    assert add(*A100, {0: (1.5, 1.5), 1: (-1.5, 1.5)}, 2**-24) == 2**-24
    assert add(*A100, {0: (2, 1.125), 1: (-2, 1.125)}, 2**-24) == 0


def test_a_subnormal_counts_with_the_smallest_exponent_of_its_format():
    # 2**-24 has exponent -14: times 4, E = -12 and the grid is 2**-36, though the products are 2**-22 (grid 2**-46)
    cancelling = {0: (2**-24, 4), 1: (-(2**-24), 4)}
    assert add(*A100, cancelling, 2.0**-36) == 2.0**-36
    assert add(*A100, cancelling, 2.0**-37) == 0
    normal = {0: (2**-12, 2**-10), 1: (-(2**-12), 2**-10)}
    assert add(*A100, normal, 2.0**-37) == 2.0**-37


def test_a_zero_has_no_exponent_however_large_its_partner():
    big = {0: (0, 2.0**100), 1: (2.0**-40, 1), 2: (2.0**-70, 1)}
    assert add("a100", "bf16", "f32", "mma.m16n8k8", {**big, 3: (-(2.0**-40), 1)}) == 0  # 30 bits below: cut
    assert add("a100", "bf16", "f32", "mma.m16n8k8", {0: big[0], 2: big[2]}) == 2.0**-70


def test_the_largest_exponent_is_at_least_minus_132():
    # With s = 2**-152: 7 * 33/32 s + 25/32 s = 8 s = 2**-149, the smallest f32. Clamped, the grid is 2**-156 = s/16:
    # 7 * 16/16 s + 12/16 s falls short of it.
    seven = dict.fromkeys(range(7), (33 * 2.0 ** (-81), 2.0 ** (-76)))
    terms = {**seven, 7: (25 * 2.0**-81, 2.0**-76)}
    assert add("a100", "bf16", "f32", "mma.m16n8k8", terms) == 0
    # H100's limit, -133 with F = 25, has the grid 2**-158 = s/64, on which all of them lie
    assert add("h100", "bf16", "f32", "mma.m16n8k8", terms) == np.float32(2.0**-149)


@pytest.mark.parametrize(
    ("card", "in_dtype", "below", "kept"),
    # below * 2**-g + 2**-g = 2**-149, the smallest f32; g = 132 + 24 or 133 + 25 is the last bit kept
    [
        ("a100", "bf16", (127, 1), 156),
        ("l40s", "tf32", (127, 1), 156),
        ("h100", "bf16", (73, 7), 158),
        ("h200", "tf32", (73, 7), 158),
    ],
)
def test_the_last_bit_kept_of_tiny_products(card, in_dtype, below, kept):
    one_lower = {127: (15, 17), 73: (93, 11)}[below[0]]  # below * 2 + 1, in two factors
    for factors, g, expected in ((below, kept, np.float32(2.0**-149)), (one_lower, kept + 1, 0)):
        left, right = 2.0**-78, 2.0 ** (78 - g)
        terms = {0: (factors[0] * left, factors[1] * right), 1: (left, right)}
        assert add(card, in_dtype, "f32", "mma.m16n8k8", terms) == expected


@pytest.mark.parametrize(
    ("card", "instruction", "kept"),
    # E is at least -19 (V100), -20 or -21 (Hopper): the last bit kept is 19 + 23, 20 + 24 or 21 + 25 below 1
    [
        ("v100", "mma.m8n8k4", 42),
        ("t4", "mma.m16n8k8", 44),
        ("a100", "mma.m16n8k8", 44),
        ("l40s", "mma.m16n8k16", 44),
        ("h100", "mma.m16n8k8", 46),
        ("b200", "tcgen05.m128n16k16", 46),
        ("rtx-5090", "mma.m16n8k16", 46),
    ],
)
def test_the_last_bit_kept_of_tiny_products_to_f16(card, instruction, kept):
    # 2**-25 is a tie between 0 and the smallest f16, which any bit kept beside it decides
    tie = (2.0**-11, 2.0**-14)
    for g, expected in ((kept, np.float16(2.0**-24)), (kept + 1, 0)):
        assert add(card, "f16", "f16", instruction, {0: tie, 1: (2.0**-23, 2.0 ** (23 - g))}) == expected


def test_f32_is_rounded_toward_zero_and_f16_to_nearest_even():
    # 1 + 3 * 2**-24 lies between 1 + 2**-23 and 1 + 2**-22, nearer to neither, and the upper one is even
    terms = {0: (1, 1), 1: (3 * 2**-12, 2**-12)}
    assert add(*A100, terms) == 1 + 2**-23
    assert add(*A100, {place: (-a, b) for place, (a, b) in terms.items()}) == -1 - 2**-23
    assert add("a100", "f16", "f16", "mma.m16n8k8", {0: (2048, 1), 1: (1, 1)}) == 2048
    assert add("a100", "f16", "f16", "mma.m16n8k8", {0: (2050, 1), 1: (1, 1)}) == 2052


@pytest.mark.parametrize(("card", "instruction"), [("l40s", "mma.m16n8k32"), ("h100", "wgmma.m64n8k32")])
def test_fp8_keeps_13_bits_below_the_largest_exponent_and_14_in_all(card, instruction):
    fp8 = (card, "e4m3", "f32", instruction)
    assert add(*fp8, {0: (1, 1)}, 1.5 * 2**-13) == 1 + 2**-13
    assert add(*fp8, {0: (1, 1)}, 2**-14) == 1
    assert add(*fp8, {0: (1, 1), 1: (1, 1), 2: (1, 1)}, 2**-13) == 3  # 3 + 2**-13 has 15 significant bits
    assert add(*fp8, {}, 2**-126 + 2.0**-140) == np.float32(2.0**-126)  # of a subnormal what is above 2**-139
    assert add(*fp8, {}, 2.0**-139 + 2.0**-140) == np.float32(2.0**-139)


def test_a_longer_k_is_a_chain_in_order():
    # The 2**-26 survives only where 1 - 1 is over before it enters
    terms = {0: (1, 1), 1: (-1, 1), 8: (2**-13, 2**-13)}
    assert add("a100", "f16", "f32", "mma.m16n8k16", terms) == 2**-26
    assert add("h100", "f16", "f32", "mma.m16n8k16", terms) == 0
    assert add("a100", "f16", "f32", "mma.m16n8k16", {0: terms[8], 8: terms[0], 9: terms[1]}) == 0


def test_ada_adds_fp8_sixteen_at_a_time():
    terms = {0: (16, 16), 1: (-16, 16), 16: (2**-6, 2**-2)}  # 2**-8, 16 below 2**8
    assert add("l40s", "e4m3", "f32", "mma.m16n8k32", terms) == 2**-8
    assert add("h100", "e4m3", "f32", "wgmma.m64n8k32", terms) == 0


def test_turing_adds_eight_products_at_once():
    # Of two chained adds of four the second would keep 2**-26
    terms = {0: (1, 1), 1: (-1, 1), 7: (2**-13, 2**-13)}
    assert add("t4", "f16", "f32", "mma.m16n8k8", terms) == 0
    assert add("t4", "f16", "f32", "mma.m16n8k8", terms | {7: (2**-12, 2**-12)}) == 2**-24


ON_THE_F16_UNIT = [("h100", "mma.m16n8k32"), ("gh200", "mma.m16n8k32"), ("b200", "mma.m16n8k32")]


@pytest.mark.parametrize(("card", "instruction"), ON_THE_F16_UNIT)
def test_an_mma_takes_fp8_to_f16_in_two_interleaved_halves_and_adds_c_last(card, instruction):
    fp8 = (card, "e4m3", "f16", instruction)
    # 2048 + 1 is rounded to 2048 after the first half (k mod 4 below 2), and again after the second
    assert add(*fp8, {0: (256, 8), 1: (1, 1), 2: (1, 1)}) == 2048
    assert add(*fp8, {0: (256, 8), 2: (1, 1), 3: (1, 1)}) == 2050
    assert add(*fp8, {2: (256, 8), 0: (1, 1), 4: (1, 1)}) == 2050
    # C comes after: 1 + 1 + 2048; added first, each 1 would be lost to it on its own
    assert add(*fp8, {0: (1, 1), 2: (1, 1)}, 2048) == 2050
    assert add(*fp8, {0: (1, 1)}, 2048) == 2048
    assert add(*fp8, {0: (256, 240), 1: (256, 32)}, -65504) == INF  # 69632 is past f16 before C can bring it back


@pytest.mark.parametrize(("card", "instruction"), [*ON_THE_F16_UNIT, ("h100", "mma.sp.m16n8k64")])
def test_an_mma_takes_fp8_to_f32_in_two_interleaved_halves_and_adds_c_last(card, instruction):
    def total(products, c=0.0):
        k = int(instruction.rsplit("k", 1)[1]) // (2 if ".sp" in instruction else 1)
        a, b = np.zeros((1, k)), np.zeros((1, k))
        for place, (left, right) in products.items():
            a[0, place], b[0, place] = left, right
        asked = {"card": card, "in_dtype": "e5m2", "out_dtype": "f32", "instruction": instruction}
        value = VALUE["e5m2"]
        return tensorcore_sim.fused_dot_add(a.astype(value), b.astype(value), np.array([c], np.float32), **asked)[0]

    # F = 25 in a half: 2**-25 is kept beside 1 - 1, 2**-26 is not; in the other half (k mod 4 at least 2) it is
    assert total({0: (1, 1), 1: (-1, 1), 4: (2**-12, 2**-13)}) == 2**-25
    assert total({0: (1, 1), 1: (-1, 1), 4: (2**-13, 2**-13)}) == 0
    assert total({0: (1, 1), 1: (-1, 1), 2: (2**-13, 2**-13)}) == 2**-26
    # Each half ends toward zero: 2 + 2**-22 + 2**-23 is cut to 2 + 2**-22, not rounded to 2 + 2**-21
    assert total({0: (2, 1), 1: (2**-11, 2**-11), 4: (2**-11, 2**-12)}) == 2 + 2**-22
    # C is no term of either: beside it 2**-24 would be kept, but 1 + 2**-24 is cut to 1 before it comes
    assert total({0: (1, 1), 1: (2**-12, 2**-12)}, -1.0) == 0
    # With C to nearest: 2**24 + 3 lies between 2**24 + 2 and 2**24 + 4 and goes to the even one; 2**24 + 1 to 2**24
    assert total({0: (3, 1)}, 2.0**24) == 2**24 + 4
    assert total({0: (1, 1)}, 2.0**24) == 2**24
    assert total({0: (-1, 1)}, -(2.0**24)) == -(2**24)


@pytest.mark.parametrize(("card", "instruction"), [("b200", "tcgen05.m128n64k32"), ("rtx-5090", "mma.m16n8k32")])
def test_blackwell_s_fp8_unit_adds_32_products_and_c_at_once_with_25_bits(card, instruction):
    fp8 = (card, "e5m2", "f32", instruction)
    # C beside 1 - 1: 2**-25 is kept, 2**-26 not, wherever the products stand
    for places in ((0, 1), (2, 17), (30, 31)):
        cancelling = {places[0]: (1, 1), places[1]: (-1, 1)}
        assert add(*fp8, cancelling, 2.0**-25) == 2**-25
        assert add(*fp8, cancelling, 2.0**-26) == 0
    assert add(*fp8, {0: (1, 1), 31: (2**-12, 2**-12)}, -1.0) == 2**-24  # not as an mma of b200's
    # 24 significant bits, toward zero: Ada's and wgmma's would keep 14
    assert add(*fp8, {0: (1, 1)}, 2.0**-23) == 1 + 2**-23
    assert add(*fp8, {0: (1, 1)}, 3 * 2.0**-25) == 1
    assert add(*fp8, {0: (3, 1)}, 2.0**24) == 2**24 + 2


@pytest.mark.parametrize(
    ("products", "c", "bits"),
    [
        ({0: (INF, 1)}, 0, 0x7F800000),
        ({0: (INF, -1), 1: (1, 1)}, 5, 0xFF800000),
        ({0: (INF, 0)}, 0, 0x7FFFFFFF),
        ({0: (INF, 1), 7: (INF, -1)}, 0, 0x7FFFFFFF),
        ({0: (INF, 1)}, -INF, 0x7FFFFFFF),
        ({0: (1, 1)}, -INF, 0xFF800000),
        ({}, float("nan"), 0x7FFFFFFF),
    ],
)
def test_infinities_and_nans(products, c, bits):
    assert int(add(*A100, products, c).view(np.uint32)) == bits


def test_overflow_only_from_the_next_power_of_two_on():
    largest = np.finfo(np.float32).max
    assert add("a100", "bf16", "f32", "mma.m16n8k8", {0: (2.0**64, 2.0**39)}, largest) == largest  # half a step above
    assert add("a100", "bf16", "f32", "mma.m16n8k8", {0: (2.0**64, 2.0**40)}, largest) == INF
    assert add("a100", "f16", "f16", "mma.m16n8k8", {0: (15.5, 1)}, 65504) == 65504  # to nearest: half a step is 16
    assert add("a100", "f16", "f16", "mma.m16n8k8", {0: (16, 1)}, 65504) == INF


@pytest.mark.parametrize(
    ("card", "in_dtype", "out_dtype", "instruction", "product"),
    [
        ("a100", "f16", "f16", "mma.m16n8k8", (-(2.0**-13), 2.0**-13)),  # half of the smallest f16's half
        ("h100", "bf16", "f32", "mma.m16n8k8", (-(2.0**-76), 2.0**-76)),  # an eighth of the smallest f32
        ("b200", "e5m2", "f16", "mma.m16n8k32", (-(2.0**-16), 2.0**-10)),
    ],
)
def test_a_negative_sum_that_rounds_to_zero_is_plus_zero(card, in_dtype, out_dtype, instruction, product):
    found = add(card, in_dtype, out_dtype, instruction, {2: product}, -0.0)
    assert found == 0
    assert not np.signbit(found)


def test_a_sum_of_zero_is_plus_zero():
    assert int(add(*A100, dict.fromkeys(range(8), (-0.0, 1)), -0.0).view(np.uint32)) == 0
    assert int(add(*A100, {0: (1, 1), 1: (-1, 1)}).view(np.uint32)) == 0
