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


def test_sampling_begins_with_the_point_that_is_asked_for():
    line = np.array([[0, 0, 0], [1, 0, 0], [3, 0, 0]])
    assert [farthest_points(line, 2, first).tolist() for first in (0, 1, 2)] == [[0, 2], [1, 2], [2, 0]]
    for first in (-1, 3):
        with pytest.raises(BadInput, match=f"first must be from 0 to 2, got {first}"):
            farthest_points(line, 1, first)


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


@pytest.mark.parametrize("kind", [np.int32, np.int64, np.float64])
def test_whole_numbers_are_exact_from_corner_to_corner(kind):
    far = 2**29 - 1
    _, ((squared,),) = nearest(np.array([[-far] * 3], kind), np.array([[far] * 3], kind), 1)
    assert int(squared) == 3 * (2 * far) ** 2 if kind is not np.float64 else squared == pytest.approx(12.0 * far**2)
    if kind is not np.float64:
        with pytest.raises(
            BadInput, match=rf"points must be below 2\*\*29 where they are whole numbers, got {far + 1}$"
        ):
            nearest(np.array([[0, -far - 1, 0]], kind), np.zeros((1, 3)), 1)


def test_the_first_point_can_be_said():
    cloud = [[0, 0, 0], [1, 0, 0], [5, 0, 0]]
    assert farthest_points(cloud, 3, first=2).tolist() == [2, 0, 1]
    for first in (-1, 3):
        with pytest.raises(BadInput, match=f"first must be from 0 to 2, got {first}"):
            farthest_points(cloud, 1, first=first)


@pytest.mark.parametrize("value", [[[0, 0]], [0, 0, 0], np.zeros((0, 3)), [["a", "b", "c"]], [[1j, 0, 0]]])
def test_what_are_no_points_is_refused(value):
    with pytest.raises(BadInput, match=r"points must be real numbers \[points, 3\], at least one, got "):
        farthest_points(value, 1)


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
