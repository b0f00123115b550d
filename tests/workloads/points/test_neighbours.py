"""Are sampled points the farthest, neighbours the nearest and balls round, with ties by place?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from workloads import BadInput
from workloads.points.neighbours import NONE, farthest_points, in_ball, nearest

points = arrays.arrays(np.int64, st.tuples(st.integers(1, 30), st.just(3)), elements=st.integers(-3, 3))


def naive_farthest(cloud, n):
    chosen = [0]
    while len(chosen) < n:
        apart = [min(((p - cloud[c]) ** 2).sum() for c in chosen) for p in cloud]
        chosen.append(int(np.argmax(apart)))
    return chosen


@settings(max_examples=100, deadline=None)
@given(points, st.data())
def test_each_point_is_the_farthest_from_those_before_it(cloud, data):
    n = data.draw(st.integers(1, len(cloud)))
    assert farthest_points(cloud, n).tolist() == naive_farthest(cloud, n)


@settings(max_examples=100, deadline=None)
@given(points, points, st.data())
def test_neighbours_are_the_nearest_of_all(cloud, centres, data):
    k = data.draw(st.integers(1, len(cloud)))
    places, distances = nearest(cloud, centres, k)
    for row, centre in enumerate(centres):
        of_all = ((cloud - centre) ** 2).sum(axis=1)
        order = np.lexsort((np.arange(len(cloud)), of_all))[:k]
        assert places[row].tolist() == order.tolist()
        assert distances[row].tolist() == of_all[order].tolist()


def test_a_ball_holds_its_edge_and_is_filled_up():
    cloud = np.array([[0, 0, 0], [2, 0, 0], [0, 3, 0], [5, 0, 0]])
    assert in_ball(cloud, cloud[:1], 3.0, 4).tolist() == [[0, 1, 2, NONE]]


def test_a_tree_s_rounding_loses_no_neighbour():
    rng = np.random.default_rng(0)
    cloud = rng.standard_normal((300, 3))
    places, _ = nearest(cloud, cloud[:40], 7)
    of_all = ((cloud[None] - cloud[:40, None]) ** 2).sum(axis=2)
    assert (places == np.argsort(of_all, axis=1, kind="stable")[:, :7]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: farthest_points([[0, 0, 0]], 2), "n must be from 1 to the 1 points, got 2"),
        (lambda: farthest_points([[0, np.nan, 0]], 1), "points must be finite, got nan"),
        (lambda: nearest([[0, 0, 0]], [[0, 0, 0]], 0), "k must be from 1"),
        (lambda: in_ball([[0, 0, 0]], [[0, 0, 0]], 0, 1), "radius must be a number above 0"),
        (lambda: nearest([[1 << 31, 0, 0]], [[0, 0, 0]], 1), r"below 2\*\*29"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(BadInput, match=message):
        call()
