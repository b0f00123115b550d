"""Does pruning keep exactly the asked share, by rank, and the largest first?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.naive_workloads import kept_places
from workloads.errors import BadInput
from workloads.prune import magnitude_mask, prune
from workloads.records import Layer, Workload

# Few distinct values, so that ties at the edge are the rule.
TIED = hnp.arrays(np.float32, st.integers(1, 40), elements=st.integers(-3, 3).map(float))


def test_the_two_largest_of_four_stay():
    mask = magnitude_mask(np.array([[0.1, -3.0], [2.0, 0.5]], np.float32), 0.5)
    assert mask.tolist() == [[False, True], [True, False]]


def test_of_equals_the_earlier_stay():
    assert magnitude_mask(np.array([1, -1, 1, -1], np.float32), 0.5).tolist() == [True, True, False, False]


def test_a_density_that_rounds_to_none_keeps_none():
    assert not magnitude_mask(np.ones(4, np.float32), 0.1).any()


@given(TIED, st.floats(0, 1, exclude_min=True))
def test_the_same_places_as_the_naive_twin(weights, density):
    mask = magnitude_mask(weights, density)
    assert set(np.flatnonzero(mask)) == kept_places(weights.tolist(), density)


@given(hnp.arrays(np.float32, (5, 7), elements=st.floats(-9, 9, width=32)), st.integers(1, 35))
def test_exactly_the_asked_number_and_none_larger_dropped(weights, n_kept):
    mask = magnitude_mask(weights, n_kept / 35)
    assert np.count_nonzero(mask) == n_kept
    if n_kept < 35:
        assert np.abs(weights[mask]).min() >= np.abs(weights[~mask]).max()


@pytest.mark.parametrize("density", [0, -0.1, 1.01, float("nan"), "half", True, None])
def test_a_density_outside_0_to_1_is_named(density):
    with pytest.raises(BadInput, match=r"^density must be a number above 0 and at most 1, got "):
        magnitude_mask(np.ones((2, 2), np.float32), density)


def test_non_finite_weights_are_named():
    with pytest.raises(BadInput, match="weights must be finite"):
        magnitude_mask(np.array([1, np.nan], np.float32), 0.5)


def test_pruning_a_layer_leaves_bias_relu_and_the_layer_given():
    weights = np.array([[1, -4], [3, 2]], np.float32)
    layer = Layer(name="fc", weights=weights, bias=np.array([0.1, 0.2]), relu=False)
    pruned = prune(layer, 0.5)
    assert pruned.weights.tolist() == [[0, -4], [3, 0]]
    assert (pruned.name, pruned.relu, pruned.bias.tolist()) == ("fc", False, layer.bias.tolist())
    assert layer.weights.tolist() == [[1, -4], [3, 2]]


def test_pruning_a_shared_workload_prunes_its_codes():
    codes, book = np.array([[1, 2], [2, 1]], np.uint8), np.array([0, -1, 5, 0], np.float32)
    workload = Workload(name="fc", weights=book[codes], activations=np.ones(2), codes=codes, codebook=book)
    assert prune(workload, 0.5).codes.tolist() == [[0, 2], [2, 0]]
