"""Do TorchSparse's groups follow the rule of its code, and are dense, separate and symmetric its special cases?"""

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads import BadInput
from workloads.points.groups import EPSILONS, THRESHOLDS, grouping, groups

mirrored = st.lists(st.integers(0, 500), min_size=1, max_size=13).map(lambda half: [*half, 1000, *half[::-1]])


def test_by_hand():
    # Scanned: 10, 10, 8, 8, 2, 2. With epsilon 0.2 the second pair just stays: 1 - 8/10 is 0.2 in f32 and not above it.
    assert groups([10, 8, 2, 99, 2, 8, 10], 0.25, inf) == [[0, 6, 1, 5], [2, 4]]
    assert groups([10, 8, 2, 99, 2, 8, 10], 0.1, inf) == [[0, 6], [1, 5], [2, 4]]
    # The largest below the threshold, strictly: 10 is not below 10.
    assert groups([10, 8, 2, 99, 2, 8, 10], 0.25, 10) == [[0], [6], [1], [5], [2, 4]]


def test_what_torchsparse_tries_of_a_layer():
    # TorchSparse 2.0.0: epsilons by tenths up to a half, thresholds of rows by 2,500 from 5,000 to 25,000, or none
    assert pytest.approx([tenth / 10 for tenth in range(6)]) == EPSILONS
    assert THRESHOLDS == (0, 5000, 7500, 10000, 12500, 15000, 17500, 20000, 22500, 25000)


def test_an_even_kernel_has_no_centre_and_a_strided_odd_one_keeps_it():
    assert groups([5, 5, 5, 5], 0, inf) == [[0, 3, 1, 2]]
    assert groups([5, 5, 5], 0, inf, centre_apart=False) == [[0, 2, 1]]


def test_the_paper_s_example():
    # Fig 6: seven offsets become one product alone, a batch of four and one of two, with 2 rows of 28 too many.
    one = grouping([3, 4, 6, 6, 4, 4, 3], 0.25, 6)
    assert one.padded_rows - one.rows == 2


@given(mirrored)
def test_symmetric_pairs_at_epsilon_0(sizes):
    one = grouping(sizes, 0, inf)
    assert one.work_factor == 1
    assert all(len({sizes[place] for place in group}) == 1 for group in one.groups)


@given(mirrored)
def test_separate_at_threshold_0_and_dense_at_epsilon_1(sizes):
    n = len(sizes) - 1
    assert sorted(groups(sizes, 0, 0)) == [[place] for place in range(len(sizes)) if place != len(sizes) // 2]
    assert len(groups(sizes, 1, inf)) == 1
    rest = np.delete(sizes, len(sizes) // 2)
    assert grouping(sizes, 1, inf).padded_rows == n * rest.max()


@given(mirrored, st.floats(0, 1), st.sampled_from([0, 100, 300, inf]))
def test_every_offset_runs_once_and_no_group_is_wider_than_epsilon(sizes, epsilon, threshold):
    launches = groups(sizes, epsilon, threshold)
    assert sorted(place for group in launches for place in group) == [
        place for place in range(len(sizes)) if place != len(sizes) // 2
    ]
    for group in launches:
        of_group = [sizes[place] for place in group]
        assert len(group) == 1 or max(of_group) < threshold
        assert not max(of_group) or 1 - min(of_group) / max(of_group) <= epsilon + 1e-6


@pytest.mark.parametrize(
    ("sizes", "epsilon", "threshold", "message"),
    [
        ([], 0, 0, "at least one"),
        ([1, -1], 0, 0, "from 0 on"),
        ([1, 2], 1.5, 0, "epsilon must be a number from 0 to 1, got 1.5"),
        ([1, 2], 0, -1, "threshold must be a number from 0 to inf, got -1"),
    ],
)
def test_what_is_no_grouping_is_refused(sizes, epsilon, threshold, message):
    with pytest.raises(BadInput, match=message):
        groups(sizes, epsilon, threshold)
