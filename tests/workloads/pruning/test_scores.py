"""Do the criteria say what their sources say a weight is worth?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from workloads.errors import BadInput
from workloads.pruning import scores
from workloads.pruning.patterns import mask

RNG = np.random.default_rng(5)
WEIGHTS = np.array([[1, -2, 3], [-4, 5, -6]], np.float32)
F32 = {"rtol": 1e-5, "atol": 1e-6}


@pytest.mark.parametrize("p", [0.5, 1, 2, 3])
@given(hnp.arrays(np.int8, (6, 8), elements=st.integers(-9, 9)))
def test_groups_of_magnitudes_rank_by_their_norm(p, weights):
    kept = mask(scores.magnitude(weights, p), "block 2x4", 0.5)[::2, ::4]
    blocks = np.abs(weights.astype(np.float64)).reshape(3, 2, 2, 4)
    norms = (blocks**p).sum(axis=(1, 3)) ** (1 / p)
    assert norms[kept].min() >= norms[~kept].max() - 1e-4


@pytest.mark.parametrize(("p", "expected"), [(0.5, [1, 2, 3]), (1, [1, 4, 9]), (2, [1, 16, 81]), (3, [1, 64, 729])])
def test_a_magnitude_to_its_power(p, expected):
    assert scores.magnitude(np.float32([[1, -4, 9]]), p).tolist() == [expected]


def test_the_norm_decides_which_of_two_rows_stays():
    weights = np.array([[3.0, 3.0], [0.0, 5.0]])  # L1: 6 and 5; L2: 4.2 and 5
    assert mask(scores.magnitude(weights), "row", 0.5)[:, 0].tolist() == [True, False]
    assert mask(scores.magnitude(weights, 2), "row", 0.5)[:, 0].tolist() == [False, True]


def test_a_scaling_factor_is_shared_by_its_output():
    found = scores.scaling_factors(WEIGHTS, np.array([-3.0, 0.6]))
    assert np.allclose(found, [[1, 1, 1], [0.2, 0.2, 0.2]], **F32)


def test_obd_is_what_a_quadratic_loss_gains():
    inputs, weights = RNG.standard_normal((50, 4)), RNG.standard_normal((1, 4))
    targets = inputs @ weights.T  # so that these weights are the minimum

    def loss(w):
        return ((inputs @ w.T - targets) ** 2).mean() / 2

    hessian = inputs.T @ inputs / len(inputs)
    found = scores.obd(weights, np.diag(hessian)[None])
    for k in range(4):
        without = weights.copy()
        without[0, k] = 0
        assert np.isclose(found[0, k], loss(without), **F32)


def test_the_fisher_information_is_the_mean_of_squared_gradients_of_samples():
    gradients = np.array([[[1, -2]], [[3, 0]]], np.float32)
    assert scores.fisher(gradients).tolist() == [[5, 2]]
    assert scores.fisher(gradient for gradient in gradients).tolist() == [[5, 2]]


def test_a_linear_layer_needs_no_gradient_of_each_sample():
    inputs, deltas = RNG.standard_normal((20, 3)), RNG.standard_normal((20, 2))
    one_by_one = scores.fisher(np.outer(delta, x) for delta, x in zip(deltas, inputs, strict=True))
    assert np.allclose(scores.fisher_of_linear(inputs, deltas), one_by_one, **F32)


def test_apoz_counts_the_zeros_of_an_output():
    activations = np.array([[0, 1], [0, 2], [3, 4], [0, 0]])  # APoZ 3/4 and 1/4
    assert np.allclose(scores.apoz(WEIGHTS, activations).sum(axis=1), [0.25, 0.75], **F32)
    assert mask(scores.apoz(WEIGHTS, activations), "neuron", 0.5)[:, 0].tolist() == [False, True]


def test_wanda_is_how_far_an_output_moves_without_the_weight():
    inputs = RNG.standard_normal((30, 3)).astype(np.float32)
    found = scores.wanda(WEIGHTS, inputs)
    for i, j in np.ndindex(WEIGHTS.shape):
        without = WEIGHTS.copy()
        without[i, j] = 0
        assert np.isclose(found[i, j], np.linalg.norm(inputs @ (WEIGHTS - without).T), **F32)


def test_a_contribution_is_the_mean_activation_times_the_outgoing_norm():
    activations = np.array([[1, 2], [-3, 0]])  # means 2 and 1
    outgoing = np.array([[3, 0, 6, 0], [4, 0, 0, 8]])  # two outputs of kernel 2: norms 5 and 10
    assert np.allclose(scores.contribution(WEIGHTS, activations, outgoing).sum(axis=1), [10, 10], **F32)
    outgoing = np.array([[3, 1], [4, 1]])
    assert np.allclose(scores.contribution(WEIGHTS, activations, outgoing).sum(axis=1), [10, 2**0.5], **F32)


def test_random_scores_repeat_with_their_seed_alone():
    one, again, other = (scores.random(WEIGHTS, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert one.shape == WEIGHTS.shape


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scores.magnitude(WEIGHTS, 0), "p must be a finite number above 0, got 0"),
        (lambda: scores.magnitude(WEIGHTS, np.inf), "p must be a finite number above 0, got inf"),
        (lambda: scores.magnitude(WEIGHTS[0]), "weights must be 2-D, got shape (3,)"),
        (lambda: scores.magnitude(WEIGHTS * np.nan), "weights must be finite f32, got nan at index (0, 0)"),
        (lambda: scores.scaling_factors(WEIGHTS, np.ones(3)), "gamma must be f32[2], got (3,)"),
        (lambda: scores.obd(WEIGHTS, np.ones((3, 2))), "curvature must be f32[2, 3], got (3, 2)"),
        (lambda: scores.fisher([]), "gradients must be those of at least one sample, got none"),
        (lambda: scores.fisher([np.ones((1, 2)), np.ones((1, 3))]), "gradients must be f32[1, 2], got (1, 3)"),
        (lambda: scores.fisher_of_linear(np.ones((3, 2)), np.ones((2, 2))), "deltas must be f32[3, any], got (2, 2)"),
        (lambda: scores.apoz(WEIGHTS, np.ones((4, 3))), "activations must be f32[any, 2], got (4, 3)"),
        (lambda: scores.wanda(WEIGHTS, np.ones((4, 2))), "inputs must be f32[any, 3], got (4, 2)"),
        (
            lambda: scores.contribution(WEIGHTS, np.ones((4, 2)), np.ones((5, 3))),
            "outgoing must be f32[next, 2 * kernel], got (5, 3)",
        ),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises(BadInput) as error:
        call()
    assert str(error.value) == message


@pytest.mark.parametrize("p", [True, "2", 0, -1, float("inf"), float("nan")])
def test_a_norm_that_is_none(p):
    with pytest.raises(BadInput, match="p must be a finite number above 0"):
        scores.magnitude(np.ones((1, 2)), p)
