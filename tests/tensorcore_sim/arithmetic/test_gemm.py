"""Is a whole GEMM the chain of its instructions, as near to float64 as derived, and exact where integers are?"""

import ml_dtypes
import numpy as np
import pytest

import tensorcore_sim
from tensorcore_sim.format.image import compress

# card, in_dtype, NumPy or ml_dtypes value, out_dtype, instruction, products per fused add, F, f32 fraction bits
FLOATS = [
    ("v100", "f16", np.float16, "f32", "mma.m8n8k4", 4, 23, 23),
    ("a100", "f16", np.float16, "f32", "mma.m16n8k16", 8, 24, 23),
    ("a100", "bf16", ml_dtypes.bfloat16, "f32", "mma.m16n8k16", 8, 24, 23),
    ("a100", "tf32", np.float32, "f32", "mma.m16n8k8", 4, 24, 23),
    ("l40s", "e4m3", ml_dtypes.float8_e4m3fn, "f32", "mma.m16n8k32", 16, 13, 13),
    ("h100", "f16", np.float16, "f32", "wgmma.m64n256k16", 16, 25, 23),
    ("h200", "e5m2", ml_dtypes.float8_e5m2, "f32", "wgmma.m64n256k32", 32, 13, 13),
]


def asked(case):
    card, in_dtype, _, out_dtype, instruction, *_ = case
    return {"card": card, "in_dtype": in_dtype, "out_dtype": out_dtype, "instruction": instruction}


def tf32(values):
    return (values.astype(np.float32).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)


@pytest.mark.parametrize("case", FLOATS, ids=lambda case: f"{case[0]} {case[1]}")
def test_it_lies_within_the_derived_bound_of_float64(case):
    """With S = sum |a b| + |c|, no term exceeds S, and nothing in the chain does by more than the bound itself.

    A fused add cuts each of its products and C by less than 2**-F of the largest term (none here is subnormal), and
    its result by less than 2**-fraction_bits of itself.
    """
    _, in_dtype, value, _, _, n_products, F, fraction_bits = case
    rng = np.random.default_rng(7)
    m, k, n = 40, 256, 24
    a, b = (
        rng.uniform(0.25, 1, shape).astype(value) * rng.choice([-1, 1], shape).astype(value)
        for shape in ((m, k), (k, n))
    )
    if in_dtype == "tf32":
        a, b = tf32(a), tf32(b)
    c = rng.standard_normal((m, n)).astype(np.float32)
    a64, b64, c64 = (x.astype(np.float64) for x in (a, b, c))
    result = tensorcore_sim.gemm(a, b, c, **asked(case)).astype(np.float64)
    size = abs(a64) @ abs(b64) + abs(c64)
    n_adds = k // n_products
    bound = n_adds * ((n_products + 1) * 2.0**-F + 2.0**-fraction_bits) * size * 1.01
    assert (abs(result - (a64 @ b64 + c64)) <= bound).all()
    assert abs(result - (a64 @ b64 + c64)).max() > 0  # it does round


@pytest.mark.parametrize("case", FLOATS, ids=lambda case: f"{case[0]} {case[1]}")
def test_integers_that_fit_come_out_exactly(case):
    # |a|, |b| <= 2, k = 100: sums below 512, and E is at most 8, so every whole number is on the grid even with F = 13
    rng = np.random.default_rng(8)
    a, b = rng.integers(-2, 3, (17, 100)), rng.integers(-2, 3, (100, 9))
    c = rng.integers(-50, 51, (17, 9))
    result = tensorcore_sim.gemm(a.astype(case[2]), b.astype(case[2]), c.astype(np.float32), **asked(case))
    assert np.array_equal(result.view(np.uint32), (a @ b + c).astype(np.float32).view(np.uint32))


@pytest.mark.parametrize(
    "case",
    [
        *FLOATS,
        ("h100", "e4m3", ml_dtypes.float8_e4m3fn, "f16", "mma.m16n8k32"),
        ("a100", "f16", np.float16, "f16", "mma.m16n8k8"),
    ],
    ids=lambda case: f"{case[0]} {case[1]} {case[4]}",
)
def test_it_is_the_chain_of_its_instructions(case):
    k = int(case[4].rsplit("k", 1)[1])
    rng = np.random.default_rng(9)
    a, b = (rng.standard_normal(shape).astype(case[2]) for shape in ((6, 3 * k), (3 * k, 5)))
    a[0, 1], a[2, k] = np.inf, np.nan  # e4m3 has no infinity: a NaN
    c = np.zeros((6, 5), np.float32 if case[3] == "f32" else np.float16)
    result = tensorcore_sim.gemm(a, b, c, **asked(case))
    for j in range(5):
        chain = c[:, j]
        for start in range(0, 3 * k, k):
            rows = np.repeat(b[None, start : start + k, j], 6, axis=0)
            chain = tensorcore_sim.fused_dot_add(a[:, start : start + k], rows, chain, **asked(case))
        assert chain.tobytes() == np.ascontiguousarray(result[:, j]).tobytes()


@pytest.mark.parametrize(
    ("card", "in_dtype", "value", "out", "instruction"),
    [
        ("a100", "f16", np.float16, "f32", "mma.sp.m16n8k32"),
        ("a100", "tf32", np.float32, "f32", "mma.sp.m16n8k16"),
        ("h100", "bf16", ml_dtypes.bfloat16, "f32", "wgmma.sp.m64n64k32"),
        ("h100", "e4m3", ml_dtypes.float8_e4m3fn, "f16", "wgmma.sp.m64n8k64"),
    ],
)
def test_a_sparse_one_adds_the_kept_products_in_order(card, in_dtype, value, out, instruction):
    k = int(instruction.rsplit("k", 1)[1])
    group, kept = (2, 1) if in_dtype == "tf32" else (4, 2)
    rng = np.random.default_rng(10)
    a = rng.standard_normal((6, 2 * k)).astype(np.float32)
    a[np.argsort(rng.random((6, 2 * k // group, group)), axis=2).reshape(6, -1) >= kept] = 0
    a, b = a.astype(value), rng.standard_normal((2 * k, 5)).astype(value)
    c = rng.standard_normal((6, 5)).astype(np.float32 if out == "f32" else np.float16)
    keywords = {"card": card, "in_dtype": in_dtype, "out_dtype": out, "instruction": instruction}
    result = tensorcore_sim.gemm(a, b, c, **keywords)
    columns = compress(a, in_dtype).columns()
    for j in range(5):
        chain = c[:, j]
        for half in (columns[:, : k // 2], columns[:, k // 2 :]):
            chain = tensorcore_sim.fused_dot_add(np.take_along_axis(a, half, axis=1), b[half, j], chain, **keywords)
        assert chain.tobytes() == np.ascontiguousarray(result[:, j]).tobytes()


@pytest.mark.parametrize(("instruction", "sparse"), [("mma.m16n8k32", False), ("mma.sp.m16n8k64", True)])
def test_int8_is_the_integer_product(instruction, sparse):
    rng = np.random.default_rng(11)
    a, b = (rng.integers(-128, 128, shape, dtype=np.int8) for shape in ((20, 100), (100, 7)))
    if sparse:
        a.reshape(20, 25, 4)[:, :, [0, 3]] = 0
    c = rng.integers(-(2**31), 2**31, (20, 7), dtype=np.int32)
    keywords = {"card": "a100", "in_dtype": "int8", "out_dtype": "s32", "instruction": instruction}
    exact = a.astype(np.int64) @ b.astype(np.int64) + c
    assert np.array_equal(tensorcore_sim.gemm(a, b, c, **keywords), exact.astype(np.int32))
    assert np.array_equal(
        tensorcore_sim.gemm(a.view(np.uint8), b.view(np.uint8), c.view(np.uint32), **keywords),
        exact.astype(np.int32).view(np.uint32),
    )


def test_int8_saturates_once_an_instruction():
    a, b = np.zeros((1, 64), np.int8), np.zeros((64, 1), np.int8)
    a[0, [0, 32]], b[[0, 32], 0] = [100, -100], 1  # up over the end in the first instruction, down in the second
    c = np.array([[2**31 - 1]], np.int32)
    keywords = {"card": "a100", "in_dtype": "int8", "out_dtype": "s32", "instruction": "mma.m16n8k32"}
    assert tensorcore_sim.gemm(a, b, c, **keywords).tolist() == [[2**31 - 1]]
    assert tensorcore_sim.gemm(a, b, c, **keywords, saturate=True).tolist() == [[2**31 - 101]]
