"""Are the channels that matter least removed, and do the others take over what they can?"""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.errors import BadInput
from workloads.pruning import reconstruct
from workloads.pruning.reconstruct import lasso, lasso_channels, least_squares, thinet_channels

SEEDS = st.integers(0, 10**6)


def layer(seed, n_in=8, n_out=3, n_samples=40):
    """Return weights f32[out, in] and positive, correlated inputs f32[samples, in]."""
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((n_samples, n_in)) @ (np.eye(n_in) + 0.4 * rng.standard_normal((n_in, n_in)))
    return rng.standard_normal((n_out, n_in)).astype(np.float32), np.maximum(mixed + 0.5, 0).astype(np.float32)


@given(SEEDS, st.lists(st.booleans(), min_size=4, max_size=4), st.booleans())
def test_least_squares_is_the_regression_on_the_kept_columns_and_a_constant(seed, kept, with_start):
    weights, inputs = layer(seed)
    targets = inputs @ weights.T + 2
    found, bias = least_squares(inputs, targets, np.array(kept), start=weights if with_start else None, kernel=2)
    columns = np.repeat(kept, 2)
    table = np.column_stack([inputs[:, columns], np.ones(len(inputs))]).astype(float)
    expected = np.linalg.lstsq(table, targets.astype(float), rcond=None)[0].T
    assert (found.dtype, bias.dtype, found.shape) == (np.float32, np.float32, weights.shape)
    assert (found[:, ~columns] == 0).all()
    assert found[:, columns] == pytest.approx(expected[:, :-1], rel=1e-3, abs=1e-3)
    assert bias == pytest.approx(expected[:, -1], rel=1e-3, abs=1e-3)


def test_the_bias_takes_over_a_constant_channel():
    # Channel 1 is always 3, so its weights 2 and -1 become 6 and -3 in the bias.
    inputs = np.array([[1, 3], [2, 3], [5, 3]], np.float32)
    weights = np.array([[4, 2], [7, -1]], np.float32)
    found, bias = least_squares(inputs, inputs @ weights.T, np.array([True, False]))
    assert found == pytest.approx(np.array([[4, 0], [7, 0]]), abs=1e-5)
    assert bias == pytest.approx([6, -3], abs=1e-5)


def test_a_copy_takes_over_from_its_twin():
    weights, inputs = layer(0)
    inputs[:, 5] = inputs[:, 2]
    found, _ = least_squares(inputs, inputs @ weights.T, np.arange(8) != 5)
    expected = weights.copy()
    expected[:, 2] += weights[:, 5]
    expected[:, 5] = 0
    assert found == pytest.approx(expected, abs=1e-4)


def test_where_samples_leave_a_choice_the_weights_stay_near_to_what_they_were():
    weights, inputs = layer(1, n_samples=4)  # 4 samples cannot fix 8 columns: the weights as they are give the targets
    inputs[:, 3] = 0
    found, bias = least_squares(inputs, inputs @ weights.T, np.ones(8, bool), start=weights)
    assert found == pytest.approx(weights, abs=1e-5)
    assert bias == pytest.approx(np.zeros(3), abs=1e-5)


@given(SEEDS, st.floats(0.05, 1))
def test_the_lasso_meets_its_optimality_conditions(seed, share):
    rng = np.random.default_rng(seed)
    table, wanted = rng.standard_normal((20, 6)), rng.standard_normal(20)
    gram, products = table.T @ table, table.T @ wanted
    penalty = share * np.abs(products).max()
    beta = lasso(gram, products, penalty, np.zeros(6))
    # The gradient of the squares is the penalty with the sign of the coefficient, or smaller where that is zero.
    gradient = products - gram @ beta
    assert gradient[beta != 0] == pytest.approx(penalty * np.sign(beta[beta != 0]), rel=1e-2)
    assert (np.abs(gradient[beta == 0]) <= penalty * 1.01).all()
    # In a unit 2**20 times larger all numbers of the problem are smaller, and the coefficients the same.
    unit = 2.0**-40
    assert np.array_equal(lasso(gram * unit, products * unit, penalty * unit, np.zeros(6)), beta)


def test_channels_that_do_not_overlap_leave_the_lasso_in_order_of_what_they_add():
    # Orthogonal inputs make the Gram matrix diagonal: |W_i|^2 |X_i|^2, and a coefficient falls to 0 when the penalty
    # reaches it. The rows of a Hadamard matrix have mean 0 and the same length, so only |W_i| counts.
    hadamard = np.array([[1]])
    for _ in range(3):
        hadamard = np.block([[hadamard, hadamard], [hadamard, -hadamard]])
    weights = np.array([[3, -1, 7, 2, -5, 4, 6]], np.float32)
    for n_kept in range(1, 8):
        expected = np.abs(weights[0]) > 7 - n_kept
        assert np.array_equal(lasso_channels(weights, hadamard[:, 1:], n_kept), expected)
        assert np.array_equal(thinet_channels(weights, hadamard[:, 1:], n_kept), expected)


@given(SEEDS, st.integers(1, 8), st.sampled_from([1, 2]))
def test_exactly_the_asked_number_stays(seed, n_kept, kernel):
    weights, inputs = layer(seed, n_in=8 * kernel)
    inputs[:, :kernel] = 0
    weights[:, kernel : 2 * kernel] = 0
    for choose in (lasso_channels, thinet_channels):
        kept = choose(weights, inputs, n_kept, kernel=kernel)
        assert kept.shape == (8,)
        assert kept.sum() == n_kept
        assert n_kept > 6 or not kept[:2].any()  # a channel that adds nothing goes first


@given(SEEDS, st.integers(1, 3))
def test_thinet_is_its_plain_twin(seed, kernel):
    weights, inputs = layer(seed, n_in=5 * kernel)
    centred = inputs.astype(float) - inputs.mean(axis=0, dtype=float)
    parts = [centred[:, c : c + kernel] @ weights[:, c : c + kernel].T for c in range(0, 5 * kernel, kernel)]
    gone = []
    while len(gone) < 3:
        left = [c for c in range(5) if c not in gone]
        gone.append(min(left, key=lambda c: ((sum(parts[i] for i in gone) + parts[c]) ** 2).sum()))
    kept = thinet_channels(weights, inputs, 2, kernel=kernel)
    assert set(np.flatnonzero(~kept)) == set(gone)


def test_two_channels_that_cancel_go_together():
    # Alone each of the channels 0 and 1 adds more than channel 2, together nothing at all.
    rng = np.random.default_rng(0)
    shared = rng.standard_normal(50)
    inputs = np.column_stack([shared, shared, 1.5 * rng.standard_normal(50), 5 * rng.standard_normal(50)])
    weights = np.array([[1, -1, 1, 1]], np.float32)
    assert thinet_channels(weights, inputs, 2).tolist() == [False, False, True, True]


@pytest.mark.parametrize("choose", [lasso_channels, thinet_channels])
def test_the_choice_followed_by_least_squares_is_near_the_best_of_all(choose):
    # Against all 70 choices of 4 channels of 8, over seeds: near the best, and far better than a typical one.
    ranks = []
    for seed in range(20):
        weights, inputs = layer(seed)
        targets = inputs @ weights.T

        def error(kept, inputs=inputs, targets=targets):
            found, bias = least_squares(inputs, targets, np.array(kept))
            return float(((inputs @ found.T + bias - targets) ** 2).sum())

        choices = [[i in chosen for i in range(8)] for chosen in itertools.combinations(range(8), 4)]
        mine = error(choose(weights, inputs, 4))
        ranks.append(np.mean([error(kept) < mine * (1 - 1e-6) for kept in choices]))
    assert np.mean(ranks) < 0.15


def test_the_lasso_follows_targets_other_than_its_own():
    # The targets are what channels 4 to 7 give; the weights of the others are as large.
    rng = np.random.default_rng(2)
    inputs, weights = rng.standard_normal((100, 8)), rng.standard_normal((3, 8)).astype(np.float32)
    kept = lasso_channels(weights, inputs, 4, targets=inputs[:, 4:] @ weights[:, 4:].T + 1)
    assert kept.tolist() == [False] * 4 + [True] * 4


X, W = np.eye(5, 4, dtype=np.float32), np.ones((2, 4), np.float32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: least_squares(X, W, np.ones(4, bool)), r"targets must be f32\[5, out\] .* got \(2, 4\)"),
        (lambda: least_squares(X, X, np.ones(3, bool)), r"kept must be bool\[4\], one per channel, got bool\[3\]"),
        (lambda: least_squares(X, X, np.ones(4)), r"kept must be bool\[4\], one per channel, got float64\[4\]"),
        (lambda: least_squares(X, X, np.ones(4, bool), start=W), r"weights must be f32\[4, 4\] .* got \(2, 4\)"),
        (lambda: least_squares(X * np.nan, X, np.ones(4, bool)), "inputs must be finite"),
        (lambda: lasso_channels(W, X, 0), "n_kept must be an integer from 1 to the 4 channels, got 0"),
        (lambda: thinet_channels(W, X, 3, kernel=2), "n_kept must be an integer from 1 to the 2 channels, got 3"),
        (lambda: thinet_channels(W, X, 1, kernel=3), "kernel must be an integer that divides the 4 inputs, got 3"),
        (lambda: thinet_channels(W, X, 1, kernel=0), "kernel must be an integer that divides the 4 inputs, got 0"),
        (lambda: thinet_channels(W, X, 1, kernel=8), "kernel must be an integer that divides the 4 inputs, got 8"),
        (lambda: lasso_channels(W, X, 1, kernel=True), "kernel must be an integer that divides the 4 inputs, got True"),
        (lambda: thinet_channels(W[:, :3], X, 1), r"weights must be f32\[2, 4\] .* got \(2, 3\)"),
        (lambda: lasso_channels(W, X, 1, targets=X), r"weights must be f32\[4, 4\] .* got \(2, 4\)"),
    ],
)
def test_what_cannot_be_asked_is_named(call, message):
    with pytest.raises(BadInput, match=message):
        call()


def test_the_descent_of_the_lasso_ends_where_it_has_come_to_rest(monkeypatch):
    """Columns that do not overlap: each coefficient is its product less the penalty, found in one pass."""
    monkeypatch.setattr(reconstruct, "N_PASSES", 10**12)
    beta = lasso(np.eye(3), np.array([3.0, -2.0, 0.5]), 1.0, np.zeros(3))
    assert beta.tolist() == [2.0, -1.0, 0.0]
