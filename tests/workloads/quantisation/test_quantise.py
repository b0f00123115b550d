"""Are weights rounded to the stated grids, and does AWQ never do worse on what it was shown?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from workloads.errors import BadInput
from workloads.quantisation.quantise import Quantised, awq, round_to_nearest

WEIGHTS = hnp.arrays(np.float32, (4, 12), elements=st.floats(-8, 8, width=32, allow_subnormal=False))
PER = pytest.mark.parametrize(("per", "shape"), [("tensor", (1, 1)), ("channel", (4, 1)), (3, (4, 4)), (12, (4, 1))])


def test_two_bits_are_minus_s_zero_and_s_with_s_the_largest():
    # s = 4: what is above 2 goes to 4; half-way goes to the even code, 0.
    rounded = round_to_nearest(np.array([[-4, 1.9, 2, 2.1, 0]]), 2)
    assert rounded.codes.tolist() == [[-1, 0, 0, 1, 0]]
    assert rounded.scales.tolist() == [[4]]
    assert rounded.weights.tolist() == [[-4, 0, 0, 4, 0]]


def test_four_bits_go_from_minus_7_to_7():
    rounded = round_to_nearest(np.arange(-14, 15).reshape(1, 29), 4)
    assert (rounded.codes.min(), rounded.codes.max(), rounded.scales.tolist()) == (-7, 7, [[2]])


def test_one_grid_serves_a_tensor_a_row_or_a_group():
    weights = np.array([[1, 2, 3, 4], [5, 6, 7, 21]], np.float32)
    assert round_to_nearest(weights, 3, "tensor").scales.tolist() == [[7]]
    assert round_to_nearest(weights, 3, "channel").scales == pytest.approx(np.array([[4 / 3], [7]]))
    assert round_to_nearest(weights, 3, 2).scales == pytest.approx(np.array([[2 / 3, 4 / 3], [2, 7]]))
    assert round_to_nearest(weights, 3, 2).codes.tolist() == [[2, 3, 2, 3], [2, 3, 1, 3]]


@PER
@given(weights=WEIGHTS, bits=st.integers(2, 8))
def test_no_weight_moves_by_more_than_half_a_step(per, shape, weights, bits):
    rounded = round_to_nearest(weights, bits, per)
    assert (rounded.codes.dtype, rounded.scales.dtype, rounded.scales.shape) == (np.int8, np.float32, shape)
    assert rounded.weights.dtype == np.float32
    assert np.abs(rounded.codes).max() <= 2 ** (bits - 1) - 1
    assert (rounded.weights[weights == 0] == 0).all()
    steps = np.broadcast_to(np.repeat(rounded.scales, 12 // shape[1], axis=1), (4, 12))
    assert (np.abs(rounded.weights - weights) <= steps * 0.500001).all()


@PER
@given(weights=WEIGHTS, bits=st.integers(2, 8))
def test_what_is_on_its_grid_stays(per, shape, weights, bits):
    once = round_to_nearest(weights, bits, per)
    assert round_to_nearest(once.weights, bits, per).weights == pytest.approx(once.weights, rel=1e-6)


def inputs_with_large_channels(seed):
    rng = np.random.default_rng(seed)
    sizes = np.where(rng.random(12) < 0.2, 10, 1)  # a few inputs far larger than the others, as AWQ expects
    return (rng.standard_normal((50, 12)) * sizes).astype(np.float32)


def output_error(inputs, weights, changed):
    return float(((inputs.astype(float) @ (weights.astype(float) - changed).T) ** 2).sum())


@pytest.mark.parametrize("per", ["tensor", "channel"])
@given(seed=st.integers(0, 10**6), bits=st.integers(2, 6))
def test_awq_is_never_worse_than_rounding_on_its_own_inputs(per, seed, bits):
    # No scaling and no clipping are among its choices, and one grid to a row leaves no error between grids.
    inputs = inputs_with_large_channels(seed)
    weights = np.random.default_rng(seed).standard_normal((4, 12)).astype(np.float32)
    found, plain = awq(weights, inputs, bits, per), round_to_nearest(weights, bits, per)
    limit = output_error(inputs, weights, plain.weights) * (1 + 1e-3)
    assert output_error(inputs, weights, found.weights) <= limit


def test_awq_spares_the_inputs_that_are_large():
    # Mean over seeds: at 3 bits the error of the outputs falls by a good part.
    ratios = []
    for seed in range(20):
        inputs = inputs_with_large_channels(seed)
        weights = np.random.default_rng(seed).standard_normal((16, 12)).astype(np.float32)
        found, plain = (
            output_error(inputs, weights, q.weights) for q in (awq(weights, inputs, 3), round_to_nearest(weights, 3))
        )
        ratios.append(found / plain)
    assert np.mean(ratios) < 0.7


def test_awq_scales_are_the_stated_powers_of_the_mean_magnitude():
    inputs = inputs_with_large_channels(4)
    found = awq(np.random.default_rng(4).standard_normal((4, 12)), inputs, 3, 4)
    mean = np.abs(inputs).mean(axis=0)
    candidates = [mean**power / np.sqrt((mean**power).max() * (mean**power).min()) for power in np.arange(20) / 20]
    assert min(np.abs(found.input_scales / c - 1).max() for c in candidates) < 1e-5


def test_the_input_scales_may_be_folded_into_the_operation_before():
    inputs = inputs_with_large_channels(7)
    found = awq(np.random.default_rng(7).standard_normal((4, 12)), inputs, 4, 6)
    alone = Quantised(bits=4, codes=found.codes, scales=found.scales).weights
    assert (inputs / found.input_scales) @ alone.T == pytest.approx(inputs @ found.weights.T, rel=1e-4, abs=1e-4)


@given(WEIGHTS)
def test_awq_keeps_zeros_and_inputs_that_are_always_zero_do_no_harm(weights):
    inputs = inputs_with_large_channels(1)
    inputs[:, 3] = 0
    found = awq(weights, inputs, 4, 4)
    assert (found.weights[weights == 0] == 0).all()
    assert np.isfinite(found.weights).all()
    assert np.abs(found.codes).max() <= 7


@pytest.mark.parametrize("bits", [0, 1, 9, 2.5, "4"])
def test_a_number_of_bits_outside_2_to_8_is_named(bits):
    with pytest.raises(BadInput, match=f"bits must be 2 to 8, got {bits!r}"):
        round_to_nearest(np.ones((2, 2)), bits)


@pytest.mark.parametrize("per", ["row", 0, 5, -1, True, None])
def test_a_group_that_does_not_divide_the_inputs_is_named(per):
    with pytest.raises(
        BadInput, match=f"per must be 'tensor', 'channel' or a group size that divides 12 inputs, got {per!r}"
    ):
        round_to_nearest(np.ones((2, 12)), 4, per)


def test_inputs_of_another_width_are_named():
    with pytest.raises(BadInput, match=r"inputs must be f32\[samples, 12\] for these weights, got \(5, 11\)"):
        awq(np.ones((2, 12)), np.ones((5, 11)), 4)
