"""Does pruning leave a layer all but the weights that a mask drops, the smallest when nothing else is asked?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.naive_workloads import kept_places
from workloads.errors import BadInput
from workloads.pruning.prune import compacted, masked, prune
from workloads.pruning.scores import wanda
from workloads.records import Layer, Workload

# Few distinct values, so that ties at the edge are the rule; no zero, so that what is zero was dropped.
TIED = hnp.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 9)), elements=st.sampled_from([-2, -1, 1, 2]))


@given(TIED, st.floats(0, 1, exclude_min=True))
def test_the_largest_weights_stay(weights, density):
    pruned = prune(Layer(name="fc", weights=weights), density)
    kept = kept_places(weights.ravel().tolist(), density)
    assert set(np.flatnonzero(pruned.weights)) == kept
    assert np.array_equal(pruned.weights, np.where(pruned.weights, weights, 0))


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


def test_a_pattern_has_its_own_density():
    layer = Layer(name="fc", weights=np.array([[1, 2, 3, 4], [-4, 3, -2, 1]]))
    assert prune(layer, pattern="2:4").weights.tolist() == [[0, 0, 3, 4], [-4, 3, 0, 0]]
    assert prune(layer, 0.5, "row").weights.tolist() == [[1, 2, 3, 4], [0, 0, 0, 0]]


def test_scores_decide_in_place_of_magnitudes():
    layer = Layer(name="fc", weights=np.array([[1.0, 2.0], [4.0, 3.0]]))
    scores = wanda(layer.weights, np.array([[10.0, 1.0]]))
    assert prune(layer, 0.5, scores=scores, within="row").weights.tolist() == [[1, 0], [4, 0]]


def test_a_mask_chosen_elsewhere_is_applied_as_it_is():
    layer = Layer(name="fc", weights=np.array([[1.0, 2.0], [4.0, 3.0]]))
    assert masked(layer, np.array([[True, False], [False, True]])).weights.tolist() == [[1, 0], [0, 3]]


def test_scores_and_masks_of_another_shape_are_named():
    layer = Layer(name="fc", weights=np.ones((2, 3)))
    with pytest.raises(BadInput, match=r"^scores must have the shape of the weights, \(2, 3\), got \(3, 2\)$"):
        prune(layer, 0.5, scores=np.ones((3, 2)))
    with pytest.raises(BadInput, match=r"^kept must be bool\[2, 3\], got float64\[2, 3\]$"):
        masked(layer, np.ones((2, 3)))


def test_of_no_weights_the_first_row_and_column_stay():
    work = Workload(name="w", weights=np.zeros((3, 2)), bias=[1, 2, 3], activations=[[4, 5]])
    small = compacted(work)
    assert (small.weights.tolist(), small.bias.tolist(), small.activations.tolist()) == ([[0]], [1], [[4]])


def test_columns_of_a_kernel_that_are_gone_leave_no_kernel():
    work = Workload(name="w", weights=[[1, 0, 0, 2]], activations=np.ones(4), kernel=2, groups=1)
    small = compacted(work)
    assert (small.weights.tolist(), small.kernel) == ([[1, 2]], 1)
