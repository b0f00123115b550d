"""Are shared weights the nearest of the best few values, with zero kept for zeros?"""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.naive_workloads import least_squared_error, squared_error
from workloads.errors import BadInput
from workloads.quantisation.share import assign, bias_codes, cluster, share
from workloads.records import Workload

METHODS = pytest.mark.parametrize("method", ["exact", "linear"])
VALUES = st.integers(-400, 400).map(lambda i: i / 64)  # exact in f32, far from overflow and from denormals


def arrays(shape):
    return hnp.arrays(np.float32, shape, elements=VALUES)


def workload(weights, bias=None):
    return Workload(name="fc", weights=weights, bias=bias, activations=np.ones(np.shape(weights)[1]))


def test_exact_finds_the_two_obvious_groups():
    assert cluster(np.array([1, 2, 9, 10, 11], np.float32), 2).tolist() == [1.5, 10]


def test_linear_starts_evenly_spaced_and_exact_does_not_care():
    # Three centroids start at 1, 50.5 and 100; the middle one owns nothing and is dropped, so 1, 2 and 3 stay together.
    values = np.array([1, 2, 3, 100], np.float32)
    assert cluster(values, 3, "linear").tolist() == [2, 100]
    assert squared_error(values.tolist(), cluster(values, 3).tolist()) == 0.5


def test_linear_runs_to_convergence():
    # From 1 and 101: split at 51, {1, 50} and {60, 62, 101}, means 25.5 and 74.33; split at 49.9,
    # {1} and the others, mean 68.25; split at 34.6: at rest.
    assert cluster(np.array([1, 50, 60, 62, 101], np.float32), 2, "linear").tolist() == [1, 68.25]


@given(arrays(st.integers(20, 60)), st.integers(2, 6))
def test_linear_comes_to_rest_where_every_centroid_is_the_mean_of_its_nearest(values, n_centroids):
    values = np.abs(values)  # one sign only: a centroid on 0 is moved off it
    kept = values[values != 0].astype(float)
    assume(len(set(kept)) > n_centroids)
    centroids = cluster(values, n_centroids, "linear").astype(float)
    distances = np.abs(kept[:, None] - centroids)
    least, second = np.sort(distances, axis=1)[:, :2].T
    assume((second - least > 1e-5).all())  # half way between two, f32 centroids do not tell whose a value was
    nearest = distances.argmin(axis=1)
    means = np.array([kept[nearest == i].mean() for i in range(len(centroids))])
    assert centroids == pytest.approx(means, rel=1e-6)


def test_a_centroid_on_zero_becomes_a_value_of_its_cluster():
    assert cluster(np.array([-3, -1, 4], np.float32), 1).tolist() == [-1]


def test_zeros_take_no_part():
    assert cluster(np.array([0, 0, 0, 5, 7], np.float32), 1).tolist() == [6]
    assert cluster(np.zeros(3, np.float32), 4).size == 0


@given(st.lists(VALUES.filter(bool), min_size=1, max_size=9), st.integers(1, 4))
def test_exact_is_as_good_as_every_partition_tried(values, n_centroids):
    centroids = cluster(np.array(values, np.float32), n_centroids).astype(float)
    ordered, best = sorted(values), least_squared_error(values, n_centroids)
    # Where a run of neighbours has the mean 0, keeping its centroid off 0 may cost some error.
    assume(all(sum(ordered[a:b]) for a, b in itertools.combinations(range(len(values) + 1), 2)))
    assert squared_error(values, centroids.tolist()) <= best * (1 + 1e-5) + 1e-9


@given(arrays(st.integers(20, 200)), st.integers(1, 15))
def test_exact_is_never_worse_than_linear(values, n_centroids):
    values = np.abs(values)  # one sign only: moving a centroid off 0 costs some error
    assume(values.any())
    kept = values[values != 0].astype(float)
    exact, linear = (cluster(values, n_centroids, method).astype(float) for method in ("exact", "linear"))
    error = [((kept[:, None] - c) ** 2).min(axis=1).sum() for c in (exact, linear)]
    assert error[0] <= error[1] * (1 + 1e-5) + 1e-9


@METHODS
@given(values=arrays(st.integers(1, 100)), n_centroids=st.integers(1, 15))
def test_centroids_are_few_ascending_inside_the_range_and_never_zero(method, values, n_centroids):
    centroids = cluster(values, n_centroids, method)
    assert centroids.dtype == np.float32
    assert len(centroids) <= n_centroids
    assert (np.diff(centroids) > 0).all()
    assert (centroids != 0).all()
    assert ((centroids >= values.min()) & (centroids <= values.max())).all()


def test_a_few_large_values_keep_centroids_of_their_own_among_very_many_small_ones():
    # 300,000 small values and ten large ones: each large one alone, so that the squared error is that of the small ones
    # around their five means at most.
    small = np.random.default_rng(5).normal(scale=1e-3, size=300_000).astype(np.float32)
    large = np.arange(100, 1100, 100, dtype=np.float32)
    assert cluster(np.append(small, large), 15)[-10:].tolist() == large.tolist()


def test_weights_of_few_values_are_kept_and_the_bias_takes_the_free_places():
    # 2 bits: three values. The weights take two; the bias' 5 and 7 share the third, at 6, its 1 is the weights'.
    shared = share(workload([[1, 2], [2, 1], [1, 1]], bias=[1, 5, 7]), bits=2)
    assert shared.codebook.tolist() == [0, 1, 2, 6]
    assert shared.weights.tolist() == [[1, 2], [2, 1], [1, 1]]
    assert shared.bias.tolist() == [1, 6, 6]


def test_a_bias_takes_the_nearest_weight_where_no_place_is_free():
    shared = share(workload([[1, 2], [3, 1], [1, 1]], bias=[1.4, 9, 0]), bits=2)
    assert shared.codebook.tolist() == [0, 1, 2, 3]
    assert shared.bias.tolist() == [1, 3, 0]


@given(arrays((4, 6)))
def test_assign_takes_the_nearest_the_lower_of_two(values):
    centroids = np.array([-2, -0.5, 1, 4], np.float32)
    for value, code in zip(values.ravel().tolist(), assign(values, centroids).ravel().tolist(), strict=True):
        distances = [abs(value - c) for c in centroids.tolist()]
        assert code == (0 if value == 0 else 1 + distances.index(min(distances)))


@METHODS
@given(weights=arrays((6, 9)), bias=arrays(6), bits=st.integers(1, 5))
@settings(max_examples=60)
def test_the_laws_of_a_shared_workload(method, weights, bias, bits):
    shared = share(workload(weights, bias), bits=bits, method=method)
    book, codes = shared.codebook, shared.codes
    assert (book.dtype, book.shape, codes.dtype, codes.shape) == (np.float32, (2**bits,), np.uint8, weights.shape)
    assert book[0] == 0
    n_used = np.count_nonzero(book)
    assert (book[1 : 1 + n_used] != 0).all()
    assert (np.diff(book[1 : 1 + n_used]) > 0).all()
    assert codes.max() <= n_used
    assert np.array_equal(shared.weights, book[codes])
    assert np.array_equal(shared.weights != 0, weights != 0)
    assert np.array_equal(shared.bias != 0, bias != 0)
    for before, after in zip([*weights.ravel(), *bias], [*shared.weights.ravel(), *shared.bias], strict=True):
        if before:
            assert abs(before - after) == np.abs(before - book[1 : 1 + n_used]).min()


@METHODS
@given(values=st.lists(st.floats(-100, 100, width=32).filter(bool), min_size=1, max_size=15), data=st.data())
def test_fifteen_distinct_values_are_kept_exactly(method, values, data):
    place = st.sampled_from([0.0, *values])
    weights = np.array(data.draw(st.lists(place, min_size=20, max_size=20)), np.float32).reshape(4, 5)
    bias = np.array(data.draw(st.lists(place, min_size=4, max_size=4)), np.float32)
    shared = share(workload(weights, bias), method=method)
    assert np.array_equal(shared.weights, weights)
    assert np.array_equal(shared.bias, bias)
    distinct = sorted({*weights.ravel().tolist(), *bias.tolist()} - {0.0})
    assert shared.codebook.tolist() == [0, *distinct, *[0] * (15 - len(distinct))]


def test_bias_codes_give_the_bias_in_a_codebook_of_any_order():
    codes, book = np.array([[1], [0], [2]], np.uint8), np.array([0, 5, -3, 0], np.float32)
    bias = np.array([-3, 5, 0], np.float32)
    made = Workload(name="fc", weights=book[codes], bias=bias, activations=np.ones(1), codes=codes, codebook=book)
    assert bias_codes(made).tolist() == [2, 1, 0]
    assert bias_codes(share(workload(np.ones((2, 2))))).tolist() == [0, 0]


def test_all_zero_weights_share_to_an_all_zero_codebook():
    shared = share(workload(np.zeros((3, 4))))
    assert not shared.codebook.any()
    assert not shared.codes.any()
    assert shared.bias is None


def test_the_bias_takes_part_in_the_codebook():
    shared = share(workload(np.array([[1.0, 3.0]]), np.array([11.0])), bits=1)
    assert shared.codebook.tolist() == [0, 5]
    assert shared.bias.tolist() == [5]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "linaer"}, "unknown method 'linaer', did you mean 'linear'\\?"),
        ({"bits": 0}, "bits must be 1 to 8, got 0"),
        ({"bits": 9}, "bits must be 1 to 8, got 9"),
    ],
)
def test_what_cannot_be_asked_is_named(changes, message):
    with pytest.raises(BadInput, match=message):
        share(workload(np.ones((2, 2))), **changes)
