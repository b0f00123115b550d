"""Is every card's fused dot-add, bit for bit, that of the twin in exact fractions?"""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tensorcore_sim
from tests.naive_tensorcore import CASES, dot_add
from tests.tensorcore_cases import MODES, n_bytes, operands, run


def twin(case, a, b, c):
    return [dot_add(x, y, z, case) for x, y, z in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)]


def case_id(case):
    return " ".join(case[:4])


@pytest.mark.parametrize("case", CASES, ids=case_id)
@settings(max_examples=15)
@given(data=st.data())
def test_it_equals_the_twin_on_any_patterns(case, data):
    mode, c_mode = data.draw(st.sampled_from(MODES)), data.draw(st.sampled_from(MODES[:5]))
    size = n_bytes(case)
    a, b, c = operands(data.draw(st.binary(min_size=size, max_size=size)), case, mode, c_mode)
    assert run(case, a, b, c).tolist() == twin(case, a, b, c)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("c_mode", ["near", "wide", "small"])
def test_it_equals_the_twin_on_many_patterns(mode, c_mode):
    rng = np.random.default_rng([MODES.index(mode), len(c_mode)])
    for case in CASES:
        a, b, c = operands(rng.bytes(5 * n_bytes(case)), case, mode, c_mode)
        assert run(case, a, b, c).tolist() == twin(case, a, b, c), case


@pytest.mark.parametrize(
    ("in_dtype", "value", "bits", "instruction", "card"),
    [
        ("f16", np.float16, np.uint16, "mma.m16n8k8", "a100"),
        ("bf16", ml_dtypes.bfloat16, np.uint16, "mma.m16n8k8", "a100"),
        ("tf32", np.float32, np.uint32, "mma.m16n8k8", "a100"),
        ("e4m3", ml_dtypes.float8_e4m3fn, np.uint8, "mma.m16n8k32", "l40s"),
        ("e5m2", ml_dtypes.float8_e5m2, np.uint8, "mma.m16n8k32", "l40s"),
    ],
)
def test_values_and_patterns_are_the_same_and_the_result_is_as_c(in_dtype, value, bits, instruction, card):
    k = int(instruction.rsplit("k", 1)[1])
    a, b = np.full((1, k), 1.5).astype(value), np.full((1, k), 0.5).astype(value)
    asked = {"card": card, "in_dtype": in_dtype, "out_dtype": "f32", "instruction": instruction}
    values = tensorcore_sim.fused_dot_add(a, b, np.array([0.25], np.float32), **asked)
    patterns = tensorcore_sim.fused_dot_add(a.view(bits), b.view(bits), np.array([0x3E800000], np.uint32), **asked)
    assert values.dtype == np.float32
    assert values[0] == 0.75 * k + 0.25
    assert patterns.dtype == np.uint32
    assert patterns.view(np.float32)[0] == values[0]


def test_tf32_ignores_the_low_thirteen_bits_even_a_nans():
    asked = {"card": "a100", "in_dtype": "tf32", "out_dtype": "f32", "instruction": "mma.m16n8k4"}
    a = np.array([[0x3F801FFF, 0, 0, 0], [0x7F800001, 0, 0, 0]], np.uint32)  # 1 and a little; a NaN of low bits only
    b = np.full((2, 4), 0x3F800000, np.uint32)
    result = tensorcore_sim.fused_dot_add(a, b, np.zeros(2, np.uint32), **asked)
    assert result.tolist() == [0x3F800000, 0x7F800000]


@pytest.mark.parametrize(("saturate", "expected"), [(False, 2**31 - 1 + 7 - 2**32), (True, 2**31 - 1)])
def test_int8_is_exact_and_wraps_or_saturates(saturate, expected):
    asked = {"card": "h100", "in_dtype": "int8", "out_dtype": "s32", "instruction": "mma.m16n8k16"}
    a, b = np.zeros((2, 16), np.int8), np.zeros((2, 16), np.int8)
    a[0, 0], b[0, 0] = 7, 1
    a[1], b[1] = -128, 127  # 16 * -16256
    result = tensorcore_sim.fused_dot_add(a, b, np.array([2**31 - 1, 5], np.int32), **asked, saturate=saturate)
    assert result.tolist() == [expected, 5 - 260096]
