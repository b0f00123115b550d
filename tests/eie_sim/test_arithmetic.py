"""Are the values bit for bit those of the fixed-point loop, and as near to float64 as promised?"""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cyclekit.spec import CHOSEN
from eie_sim import Spec, arithmetic, decode, encode, reference, simulate
from tests import eie_cases, naive_eie
from workloads import Workload


def one_output(weights, activations, *, relu=False, bias=None, **fields):
    """Return the run of a layer with a single output, in 8 bits behind the point for activations and 12 for weights."""
    workload = Workload(name="one", weights=[weights], activations=activations, relu=relu, bias=bias)
    spec = Spec(n_pes=1, **{"activation_fraction_bits": 8, "weight_fraction_bits": 12} | fields)
    return simulate(encode(workload, spec), workload.activations, spec, engine="schedule", check=True)


@pytest.mark.parametrize(
    ("real", "fraction_bits", "fixed"),
    [(1.0, 8, 256), (0.5, 0, 0), (1.5, 0, 2), (2.5, 0, 2), (-0.75, 1, -2), (1e9, 8, 32767), (-1e9, 8, -32768)],
)
def test_reals_are_rounded_to_nearest_even_and_saturate(real, fraction_bits, fixed):
    assert arithmetic.quantise(np.array([real]), fraction_bits).tolist() == [fixed]


@pytest.mark.parametrize(
    ("weight", "activation", "expected"),
    # one fraction bit in the weight: the product's half is rounded up, towards plus infinity
    [(0.5, 1 / 256, 1), (0.5, 3 / 256, 2), (-0.5, 1 / 256, 0), (-0.5, 3 / 256, -1), (1.5, 1 / 256, 2)],
)
def test_the_shift_rounds_half_up(weight, activation, expected):
    run = one_output([weight], [activation], weight_fraction_bits=1)
    assert run.outputs.tolist() == [expected]


def test_the_accumulator_saturates_at_every_addition_not_only_at_the_end():
    # 100 + 100 saturates at 127.996; then -100 leaves 27.996, where an exact sum would be 100
    run = one_output([1.0, 1.0, -1.0], [100.0, 100.0, 100.0])
    assert run.outputs.tolist() == [32767 - 25600]
    assert run.check["passed"]
    assert run.check["saturated_outputs"] == 1
    assert "1 additions saturated" in run.notes[0]


def test_additions_that_saturate_are_counted_at_either_end():
    # -127.996 is 32,767 steps below 0, -128 one more: there it stays, and 100 more are -28
    run = one_output([-1.0, -1.0, 1.0], [100.0, 100.0, 100.0])
    assert run.outputs.tolist() == [-32768 + 25600]
    assert "1 additions saturated" in run.notes[0]
    run = one_output([1.0, 1.0, -1.0, -1.0, -1.0, -1.0], [100.0] * 6)  # to 28, -72, and twice to the least
    assert run.outputs.tolist() == [-32768]
    assert "3 additions saturated" in run.notes[0]


def test_relu_stands_at_the_output_of_layers_that_have_one():
    assert one_output([-1.0], [1.0], relu=True).outputs.tolist() == [0]
    assert one_output([-1.0], [1.0], relu=False).outputs.tolist() == [-256]


def test_the_bias_enters_as_one_times_its_weight():
    assert one_output([2.0], [3.0], bias=[0.5]).outputs.tolist() == [6 * 256 + 128]


def test_what_vanishes_or_is_cut_on_the_way_in_is_said():
    run = one_output([1.0, 2.0], [1e-4, 500.0])
    assert run.actions["broadcasts"] == 2  # still broadcast, as by the paper's floating-point simulator
    assert "1 activations are not zero but smaller than half a 16-bit step" in run.notes[0]
    assert "1 activations are beyond the 16-bit range" in run.notes[1]
    assert "codebook" in one_output([1e-5], [1.0]).notes[0]


@settings(max_examples=100)
@given(
    eie_cases.workloads(),
    st.integers(1, 5),
    st.integers(0, 15),
    st.integers(0, 15),
)
def test_every_accumulator_equals_the_naive_loop(workload, n_pes, activation_bits, weight_bits):
    spec = Spec(n_pes=n_pes, activation_fraction_bits=activation_bits, weight_fraction_bits=weight_bits)
    run = simulate(encode(workload, spec), workload.activations, spec, engine="schedule", check=True)
    inputs = arithmetic.quantise(workload.activations[0], activation_bits).tolist()
    one = arithmetic.quantise(np.ones(1), activation_bits).tolist()
    saturations = 0
    for i in range(workload.n_out):
        row = workload.weights[i] if workload.bias is None else np.append(workload.weights[i], workload.bias[i])
        weights = arithmetic.quantise(row, weight_bits).tolist()
        values = inputs if workload.bias is None else inputs + one
        expected, saturated = naive_eie.accumulate(weights, values, weight_bits)
        saturations += saturated
        assert run.outputs[i] == (max(0, expected) if workload.relu else expected)
    assert any("additions saturated" in note for note in run.notes) == (saturations > 0)
    assert run.check["passed"]


@pytest.mark.parametrize("short_rows", [1, 1 << 28])  # the rows up to which 32 bits hold a row and its code
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(workload=eie_cases.workloads(max_out=90), n_pes=st.integers(1, 9))
def test_by_column_are_the_weights_without_paddings(short_rows, workload, n_pes, monkeypatch):
    monkeypatch.setattr(arithmetic, "SHORT_ROWS", short_rows)
    image = encode(workload, Spec(n_pes=n_pes))
    codes, bias_codes = decode(image)
    dense = codes if workload.bias is None else np.column_stack((codes, bias_codes))
    start, weights = arithmetic.by_column(image)
    assert weights.dtype == (np.uint32 if workload.n_out <= short_rows else np.uint64)
    of_column = [sorted(weights[a:b].tolist()) for a, b in zip(start[:-1], start[1:], strict=True)]
    assert of_column == [[int(row) << 4 | int(line[row]) for row in np.flatnonzero(line)] for line in dense.T]


def test_a_wrong_value_fails_the_check():
    workload = Workload(name="w", weights=np.eye(3), activations=[1.0, 2.0, 3.0], relu=False)
    bits = arithmetic.Format(8, 12, 8)
    inputs = workload.activations[0].astype(np.float64)
    values = arithmetic.quantise(inputs, 8)
    right = np.array([256, 512, 768], np.int16)
    assert reference.check(workload, inputs, values, right, bits)["passed"]
    one_bit_off = reference.check(workload, inputs, values, right + np.array([0, 1, 0], np.int16), bits)
    assert not one_bit_off["passed"]
    assert not one_bit_off["bit_exact"]
    far_off = reference.check(workload, inputs, values, right + np.array([0, 0, 300], np.int16), bits)
    assert not far_off["within_float64_bound"]


def test_the_bound_is_the_sum_of_its_three_parts():
    # w = 0.3 -> 1/4 at 2 bits, x = 0.7 -> 3/4 at 2 bits, product 3/16 -> 1/4 (half a step of 1/4 at most):
    # |v| |a - x| + |v - w| |x| + half a step = 0.25 * 0.05 + 0.05 * 0.7 + 0.125
    workload = Workload(name="b", weights=[[0.3]], activations=[0.7], relu=False)
    inputs = workload.activations[0].astype(np.float64)
    exact, bound = reference.float64(workload, inputs, arithmetic.quantise(inputs, 2), arithmetic.Format(2, 2, 2))
    assert exact == pytest.approx(0.21, rel=1e-6)
    assert bound == pytest.approx(0.0125 + 0.035 + 0.125, rel=1e-6)


def test_outputs_have_the_bits_that_the_largest_of_them_leaves():
    """1.5 at 14 bits behind the point is 24,576, at 15 too large; a 3 would leave 13. Two PEs hold three outputs."""
    workload = Workload(name="t", weights=[[1.0], [1.5], [1.5]], activations=[1.0])
    spec = Spec(n_pes=2)
    run = simulate(encode(workload, spec), workload.activations, spec, engine="schedule")
    assert run.measures["outputs_fraction_bits"] == 14
    assert run.outputs.tolist() == [16384, 24576, 24576]


def test_a_bias_is_added_once():
    """0.5 * 2 + 0.25, each exact in 16 bits: the bound is half a step of 8 bits for each of two products."""
    workload = Workload(name="b", weights=[[0.5]], bias=[0.25], activations=[2.0], relu=False)
    inputs = workload.activations[0].astype(np.float64)
    exact, bound = reference.float64(workload, inputs, arithmetic.quantise(inputs, 8), arithmetic.Format(8, 8, 8))
    assert exact.tolist() == [1.25]
    assert bound == pytest.approx(2 * 2.0**-9)


def test_a_weight_that_fills_16_bits_is_held_with_none_behind_the_point():
    run = one_output([32767], [1], weight_fraction_bits=CHOSEN, activation_fraction_bits=0)
    assert run.notes == ()
    assert run.outputs.tolist() == [32767]


def test_an_input_too_small_for_16_bits_is_broadcast_and_tells_runs_apart():
    """2**-20 is 0 in 8 bits behind the point, and still takes its column's time: two runs of the same 16-bit values."""
    tiny, none = (one_output([1, 1], [one, 1]) for one in (2.0**-20, 0.0))
    assert tiny.outputs.tolist() == none.outputs.tolist()
    assert tiny.id != none.id
