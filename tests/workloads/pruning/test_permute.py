"""Does a permutation of the inputs keep more magnitude, and leave the network's function as it was?"""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from workloads.errors import BadInput
from workloads.pruning import permute
from workloads.pruning.permute import efficacy, fold, kept_magnitude, permute_inputs

WEIGHTS = hnp.arrays(np.float32, st.tuples(st.integers(1, 5), st.just(12)), elements=st.floats(-8, 8, width=32))
N_M = st.sampled_from([(2, 4), (1, 4), (1, 2), (3, 6), (2, 3), (1, 12), (4, 4)])


@pytest.mark.parametrize("n_kicks", [0, 100])
def test_large_columns_that_share_a_group_are_parted(n_kicks):
    # Columns 0 to 3 are large, 4 to 7 small: in order a row keeps 2 * 9 + 2 * 1, parted 4 * 9.
    weights = np.array([[9, 9, 9, 9, 1, 1, 1, 1]] * 3, np.float32)
    assert kept_magnitude(weights) == 3 * 20
    permutation = permute_inputs(weights, n_kicks=n_kicks)
    assert kept_magnitude(weights[:, permutation]) == 3 * 36
    assert efficacy(weights, permutation) == 1
    assert efficacy(weights, np.arange(8)) == 0


def test_where_there_is_nothing_to_gain_nothing_is_gained():
    weights = np.array([[9, 9, 0, 0, 9, 9, 0, 0]], np.float32)  # in order a row keeps all that it has
    assert efficacy(weights, np.arange(8)) == 0
    assert efficacy(weights, np.arange(8)[::-1]) == 0


@given(WEIGHTS, N_M)
def test_it_is_a_permutation_that_never_keeps_less(weights, n_m):
    permutation = permute_inputs(weights, n_m, n_kicks=3)
    assert sorted(permutation.tolist()) == list(range(12))
    assert kept_magnitude(weights[:, permutation], n_m) >= kept_magnitude(weights, n_m) * (1 - 1e-12)
    assert efficacy(weights, permutation, n_m) <= 1 + 1e-12


@pytest.mark.parametrize("seed", range(10))
def test_no_partition_of_eight_inputs_keeps_more(seed):
    weights = np.random.default_rng(seed).standard_normal((6, 8)).astype(np.float32)
    best = max(
        kept_magnitude(weights[:, [0, *with_0, *(i for i in range(1, 8) if i not in with_0)]])
        for with_0 in itertools.combinations(range(1, 8), 3)
    )
    assert kept_magnitude(weights[:, permute_inputs(weights)]) == pytest.approx(best, rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_without_kicks_no_swap_of_two_gains(seed):
    weights = np.random.default_rng(seed).standard_normal((5, 16)).astype(np.float32)
    for n_m in ((2, 4), (1, 4), (3, 8)):
        permuted = weights[:, permute_inputs(weights, n_m, n_kicks=0)]
        kept = kept_magnitude(permuted, n_m)
        for p, q in itertools.combinations(range(16), 2):
            order = np.arange(16)
            order[[p, q]] = q, p
            assert kept_magnitude(permuted[:, order], n_m) <= kept * (1 + 1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_a_gaussian_of_128_by_64_gains_three_tenths_of_what_there_is(seed):
    # Pool and Yu 2021: 32.1% by greedy swaps, 36.6% by their best search, on a random matrix of this shape.
    weights = np.random.default_rng(seed).standard_normal((128, 64)).astype(np.float32)
    assert efficacy(weights, permute_inputs(weights)) >= 0.3


def test_a_seed_determines_the_permutation_and_more_kicks_never_keep_less():
    weights = np.random.default_rng(0).standard_normal((32, 32)).astype(np.float32)
    assert np.array_equal(permute_inputs(weights, seed=5), permute_inputs(weights, seed=5))
    kept = [kept_magnitude(weights[:, permute_inputs(weights, n_kicks=n)]) for n in (0, 10, 40)]
    assert kept == sorted(kept)


@given(st.permutations(range(6)), st.integers(1, 3))
def test_folding_leaves_the_function_of_the_network(permutation, kernel):
    rng = np.random.default_rng(0)
    first, bias, second = rng.normal(size=(6, 5)), rng.normal(size=6), rng.normal(size=(4, 6 * kernel))
    inputs = rng.normal(size=(5, kernel * 7))  # seven windows of `kernel` places

    def function(first, bias, second):
        hidden = np.maximum(first @ inputs + bias[:, None], 0)  # [channel, place]
        return second @ hidden.reshape(6 * kernel, 7)  # a channel's places under the kernel lie side by side

    columns, rows = fold(np.array(permutation), kernel)
    assert function(first[rows], bias[rows], second[:, columns]) == pytest.approx(function(first, bias, second))


def test_what_cannot_be_asked_is_named():
    with pytest.raises(BadInput, match=r"n_m must be \(n, m\) .* divisor of the 6 inputs, got \(2, 4\)"):
        permute_inputs(np.ones((2, 6)))
    with pytest.raises(BadInput, match="n_kicks must be an integer of at least 0, got -1"):
        permute_inputs(np.ones((2, 8)), n_kicks=-1)
    with pytest.raises(BadInput, match="weights must be finite"):
        permute_inputs(np.full((2, 8), np.nan))
    with pytest.raises(BadInput, match="permutation must hold each of 0 to in - 1 once"):
        fold(np.array([0, 2]))
    with pytest.raises(BadInput, match="kernel must be an integer of at least 1, got 0"):
        fold(np.array([0, 1]), 0)


@pytest.mark.parametrize("permutation", [[[0, 1]], [0.0, 1.0], [False, True], [0, 0], [1, 2], [0, 2, 1, 1]])
def test_what_is_no_permutation_is_not_folded(permutation):
    with pytest.raises(BadInput, match="permutation must hold each of 0 to in - 1 once"):
        fold(np.array(permutation))


def test_one_descent_is_enough_where_one_swap_is_best():
    """By 1:2 of (4, 3, 2, 1), 4 + 2 stay; 4 and 3 in one group are one loss, which a swap with 2 or 1 mends."""
    weights = np.array([[4, 3, 2, 1]], np.float32)
    order = permute_inputs(weights, (1, 2), n_kicks=0)
    assert kept_magnitude(weights[:, order], (1, 2)) == 4 + 3


def test_what_stays_whatever_comes_is_all_but_one_of_those_kept():
    """By 3:4, a group of 9, 8, 7, 6 and one of 0s: all that is lost is least where each group has a 0."""
    weights = np.array([[9, 8, 7, 6, 0, 0, 0, 0]], np.float32)
    order = permute_inputs(weights, (3, 4), n_kicks=0)
    assert kept_magnitude(weights[:, order], (3, 4)) == 9 + 8 + 7 + 6


def test_what_a_permutation_gains_is_by_two_of_four_where_nothing_is_said():
    weights = np.array([[9, 9, 9, 9, 1, 1, 1, 1]], np.float32)
    parted = np.array([0, 1, 4, 5, 2, 3, 6, 7])
    assert (efficacy(weights, parted), kept_magnitude(weights)) == (1, 20)


@pytest.mark.parametrize(("n_in", "m", "n_pairs"), [(16, 4, 4), (9, 3, 4), (6, 2, 3), (6, 3, 3), (4, 2, 2)])
def test_a_kick_swaps_four_pairs_or_as_many_as_there_are_from_anywhere(monkeypatch, n_in, m, n_pairs):
    kicks = []
    monkeypatch.setattr(permute._Search, "descend", lambda search: None)
    monkeypatch.setattr(permute._Search, "swap", lambda search, *places: kicks.append(places))
    permute_inputs(np.ones((2, n_in), np.float32), (1, m), n_kicks=200)
    assert len(kicks) == 200
    for one, other in kicks:
        assert len(one) == len(other) == len({*one.tolist(), *other.tolist()}) / 2 == n_pairs
    for side in zip(*kicks, strict=True):  # each place stands on each side in half of 200 kicks of all, or more rarely
        assert set(np.concatenate(side).tolist()) == set(range(n_in))
    assert len({tuple(one) for one, _ in kicks}) > 1  # drawn anew each time
