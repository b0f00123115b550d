"""Does one choice over several layers keep the best groups of all, and in each layer its floor?"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import naive_patterns as naive
from workloads.errors import BadInput
from workloads.pruning.patterns import global_masks, mask

SMALL = np.array([[1.0, 2.0], [3.0, 4.0]])
LARGE = np.array([[7.0, 8.0, 9.0], [6.0, 5.0, 0.5]])


def test_without_a_floor_a_layer_can_vanish_and_with_one_it_does_not():
    assert [kept.tolist() for kept in global_masks([SMALL, LARGE], "element", 0.5, floor=0)] == [
        [[False, False], [False, False]],
        [[True, True, True], [True, True, False]],
    ]
    assert [kept.tolist() for kept in global_masks([SMALL, LARGE], "element", 0.5, floor=0.3)] == [
        [[False, False], [True, True]],  # 0.3 of 4, rounded up
        [[True, True, True], [False, False, False]],
    ]


def test_kernels_differ_between_layers():
    scores = [np.array([[1.0, 1.0, 5.0, 5.0]]), np.array([[3.0, 4.0]])]
    kept = global_masks(scores, "channel", 0.5, floor=0, kernels=[2, 1])
    assert [one.tolist() for one in kept] == [[[False, False, True, True]], [[False, True]]]


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.sampled_from(["element", "vector 1x2", "filter", "channel"]),
    st.floats(0.05, 1),
    st.floats(0, 1),
    st.integers(0, 9),
)
def test_the_same_places_as_the_naive_twin(heights, name, density, part, seed):
    rng = np.random.default_rng(seed)
    layers = [rng.integers(0, 5, (n_out, 4)).astype(np.float32) for n_out in heights]
    floor = part * density
    # One tall matrix has the same groups in the same order, except that no channel crosses layers.
    groups = [naive.groups(name, n_out, 4, 1) for n_out in heights]
    tagged = [[[(k, *place) for place in group] for group in of] for k, of in enumerate(groups)]
    scores = {(k, i, j): float(layer[i, j]) for k, layer in enumerate(layers) for (i, j) in np.ndindex(layer.shape)}
    assured = [g for of in tagged for g in naive.best(scores, of, math.ceil(round(floor * len(of), 9)))]
    n_kept = round(density * sum(map(len, tagged)))
    if len(assured) > n_kept:
        with pytest.raises(BadInput, match=r"^floor must leave room: "):
            global_masks(layers, name, density, floor=floor)
        return
    others = [g for of in tagged for g in of if g not in assured]
    expected = {place for g in assured + naive.best(scores, others, n_kept - len(assured)) for place in g}
    kept = global_masks(layers, name, density, floor=floor)
    assert {(k, int(i), int(j)) for k, one in enumerate(kept) for i, j in np.argwhere(one)} == expected


def test_one_layer_alone_is_its_own_mask():
    assert np.array_equal(global_masks([LARGE], "element", 0.5, floor=0.2)[0], mask(LARGE, "element", 0.5))


def test_the_scores_given_are_left_alone():
    before = LARGE.copy()
    global_masks([LARGE, SMALL], "element", 0.5, floor=0.5)
    assert np.array_equal(LARGE, before)


@pytest.mark.parametrize(
    ("scores", "name", "options", "message"),
    [
        ([SMALL], "2:4", {"floor": 0}, "pattern must leave the density of a layer free, got '2:4'"),
        ([], "element", {"floor": 0}, "scores, kernels and blocks must be one per layer, got 0, 0 and 0"),
        (
            [SMALL],
            "channel",
            {"floor": 0, "kernels": [1, 1]},
            "scores, kernels and blocks must be one per layer, got 1, 2 and 1",
        ),
        ([SMALL], "element", {"floor": 0.6}, "floor must be a number from 0 to the density 0.5, got 0.6"),
        ([SMALL], "element", {"floor": -0.1}, "floor must be a number from 0 to the density 0.5, got -0.1"),
        ([SMALL], "element", {"floor": False}, "floor must be a number from 0 to the density 0.5, got False"),
        ([SMALL], "element", {"floor": "0.1"}, "floor must be a number from 0 to the density 0.5, got '0.1'"),
        (
            [SMALL, SMALL, SMALL],
            "filter",
            {"floor": 0.4, "density": 0.4},
            "floor must leave room: 0.4 of each layer, rounded up, is 3 of 2 groups",
        ),
    ],
)
def test_what_does_not_fit_is_named(scores, name, options, message):
    with pytest.raises(BadInput) as error:
        global_masks(scores, name, options.pop("density", 0.5), **options)
    assert str(error.value) == message
