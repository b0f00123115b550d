"""Does a mask keep exactly the best groups of every pattern, by rank?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests import naive_patterns as naive
from workloads.errors import BadInput
from workloads.pruning.patterns import Pattern, mask, pattern

FREE = ["element", "vector 1x4", "vector 4x1", "block 2x3", "block 4x4", "kernel", "filter", "channel"]
KERNELS = st.sampled_from([1, 2, 3, 4, 6])
DENSITIES = st.floats(0, 1, exclude_min=True)
SHAPES = st.tuples(st.sampled_from([4, 8]), st.sampled_from([12, 48]))  # which every pattern above divides
# Few distinct scores, so that ties at the edge are the rule, and sums are exact.
TIED = hnp.arrays(np.float32, SHAPES, elements=st.integers(-3, 3).map(float))
MAGNITUDES = hnp.arrays(np.float32, SHAPES, elements=st.floats(0, 9, width=32))


def places(kept):
    return {(int(i), int(j)) for i, j in np.argwhere(kept)}


@given(TIED, st.sampled_from(FREE), DENSITIES, KERNELS)
def test_the_same_places_as_the_naive_twin(scores, name, density, kernel):
    found = places(mask(scores, name, density, kernel=kernel))
    assert found == naive.kept(scores.tolist(), name, density, kernel, "layer")


@given(TIED, st.sampled_from([name for name in FREE if name != "filter"]), DENSITIES, KERNELS)
def test_within_rows_the_same_places_as_the_naive_twin(scores, name, density, kernel):
    found = places(mask(scores, name, density, kernel=kernel, within="row"))
    assert found == naive.kept(scores.tolist(), name, density, kernel, "row")


@given(MAGNITUDES, st.sampled_from(FREE), DENSITIES, KERNELS)
def test_the_count_is_exact_and_no_group_kept_scores_below_one_dropped(scores, name, density, kernel):
    kept = mask(scores, name, density, kernel=kernel)
    groups = naive.groups(name, *scores.shape, kernel)
    states = [{bool(kept[place]) for place in group} for group in groups]
    assert all(len(state) == 1 for state in states)
    n_kept = sum(state == {True} for state in states)
    assert n_kept == round(density * len(groups))
    sums = {True: [], False: []}
    for group, state in zip(groups, states, strict=True):
        sums[state.pop()].append(sum(float(scores[place]) for place in group))
    if 0 < n_kept < len(groups):
        assert min(sums[True]) >= max(sums[False]) * (1 - 1e-12)  # f64 sums in another order


@given(MAGNITUDES, st.sampled_from([*FREE, "2:4", "1:3", "5:12"]), DENSITIES, KERNELS)
def test_what_is_pruned_already_is_pruned_no_further(scores, name, density, kernel):
    density = None if ":" in name else density
    kept = mask(scores, name, density, kernel=kernel)
    assert np.array_equal(mask(scores * kept, name, density, kernel=kernel), kept)


@given(TIED, st.sampled_from(FREE), DENSITIES, DENSITIES, KERNELS)
def test_what_stays_at_a_lower_density_stays_at_a_higher(scores, name, one, other, kernel):
    fewer, more = (mask(scores, name, density, kernel=kernel) for density in sorted((one, other)))
    assert not (fewer & ~more).any()


@given(TIED, st.sampled_from([(1, 2), (2, 4), (1, 4), (3, 4), (2, 3), (4, 4), (5, 6), (3, 12)]))
def test_n_of_every_m_stay_those_that_sum_to_most(scores, n_of_m):
    n, m = n_of_m
    kept = mask(scores, f"{n}:{m}")
    for values, chosen in zip(scores.reshape(-1, m), kept.reshape(-1, m), strict=True):
        assert tuple(np.flatnonzero(chosen)) == naive.kept_n_of_m(values.tolist(), n)


@pytest.mark.parametrize("m", [16, 32, 40, 160, 480])
def test_long_groups_of_n_of_m_stay_by_rank_too(m):
    scores = np.random.default_rng(m).integers(-9, 9, (300, 480)).astype(np.float32)
    order = np.argsort(-scores.reshape(-1, m), axis=1, kind="stable")
    kept = mask(scores, f"{m // 4}:{m}").reshape(-1, m)
    assert (np.take_along_axis(kept, order, axis=1) == (np.arange(m) < m // 4)).all()


# Which of four weights are not zero -> which stay: the largest first, then the earlier of equals.
TWO_OF_FOUR = {
    "0000": "1100",
    "0001": "1001",
    "0010": "1010",
    "0011": "0011",
    "0100": "1100",
    "0101": "0101",
    "0110": "0110",
    "0111": "0110",
    "1000": "1100",
    "1001": "1001",
    "1010": "1010",
    "1011": "1010",
    "1100": "1100",
    "1101": "1100",
    "1110": "1100",
    "1111": "1100",
}


def test_the_16_groups_of_2_to_4():
    weights, expected = (
        np.array([list(group) for group in groups], np.float32) for groups in (TWO_OF_FOUR, TWO_OF_FOUR.values())
    )
    assert weights.shape == (16, 4)
    assert np.array_equal(mask(weights, "2:4"), expected == 1)
    assert np.array_equal(mask(weights.reshape(2, 32), "2:4", 0.5), expected.reshape(2, 32) == 1)


def test_a_channel_is_the_columns_of_its_kernel():
    scores = np.zeros((2, 6), np.float32)
    scores[:, 3:] = 1  # the second of two input channels of a 1 x 3 kernel
    assert np.array_equal(mask(scores, "channel", 0.5, kernel=3), scores == 1)
    scores = np.arange(12, dtype=np.float32).reshape(2, 6)
    assert mask(scores, "kernel", 0.25, kernel=3).tolist() == [[False] * 6, [False] * 3 + [True] * 3]


N_LONG = 2**18
LONG = {
    "spread evenly": np.random.default_rng(1).random(N_LONG),
    "rising": np.arange(N_LONG),
    "falling": -np.arange(N_LONG),
    "all equal": np.ones(N_LONG),
    "few values": np.random.default_rng(2).integers(0, 5, N_LONG),
    "pruned": np.where(np.random.default_rng(3).random(N_LONG) < 0.9, 0, np.random.default_rng(4).random(N_LONG)),
    # A sample of every 33rd value, which is what it takes here, sees nothing else.
    "every 33rd low": np.arange(N_LONG) * (np.arange(N_LONG) % 33 > 0),
    "every 33rd high": np.where(np.arange(N_LONG) % 33, 0.5, 1 + np.arange(N_LONG)),
}


@pytest.mark.parametrize("density", [2**-18, 0.001, 0.1, 0.5, 0.8, 0.95, 1 - 2**-18])
@pytest.mark.parametrize("values", LONG.values(), ids=LONG.keys())
def test_long_layers_agree_with_a_stable_sort(values, density):
    n_kept = round(density * N_LONG)
    expected = np.zeros(N_LONG, bool)
    expected[np.argsort(-values.astype(np.float32), kind="stable")[:n_kept]] = True
    assert np.array_equal(mask(values.reshape(2, -1), "element", density).ravel(), expected)


def test_scores_of_double_precision_are_not_rounded():
    scores = np.array([[1.0, 1.0 + 1e-12]])
    assert mask(scores, "element", 0.5).tolist() == [[False, True]]


def test_a_density_that_rounds_to_none_keeps_none():
    assert not mask(np.ones((2, 2), np.float32), "element", 0.1).any()


@pytest.mark.parametrize("name", [*FREE, "block 16x8", "2:4", "1:16"])
def test_a_name_gives_a_pattern_of_that_name(name):
    assert pattern(name).name == name
    assert pattern(pattern(name)) == pattern(name)


@pytest.mark.parametrize(
    ("other", "name"),
    [("row", "filter"), ("neuron", "filter"), ("block 1x4", "vector 1x4"), ("block 1x1", "element")],
)
def test_another_name_for_the_same_is_the_same(other, name):
    assert pattern(other) == pattern(name)
    assert pattern(other).name == name


ONES = np.ones((6, 8), np.float32)
NAMES = "pattern must be element, vector 1x4, block 4x4, kernel, filter, channel or 2:4, got "


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((ONES, "blok 4x4", 0.5), {}, NAMES + "'blok 4x4'"),
        ((ONES, "block 0x4", 0.5), {}, NAMES + "'block 0x4'"),
        ((ONES, "5:4"), {}, NAMES + "'5:4'"),
        ((ONES, 4, 0.5), {}, NAMES + "4"),
        ((ONES, ["element"], 0.5), {}, NAMES + "['element']"),
        (
            (ONES, "block 4x4", 0.5),
            {},
            "shape must be a multiple of 4 x 4 for pattern 'block 4x4', got (6, 8)",
        ),
        ((ONES, "kernel", 0.5), {"kernel": 3}, "kernel must be an integer that divides the 8 inputs, got 3"),
        ((ONES, "channel", 0.5), {"kernel": 0}, "kernel must be an integer that divides the 8 inputs, got 0"),
        ((ONES, "2:4", 0.4), {}, "density of pattern '2:4' must be 0.5 or left out, got 0.4"),
        ((ONES, "element", 0.5), {"within": "column"}, "within must be 'layer' or 'row', got 'column'"),
        (
            (ONES, "filter", 0.5),
            {"within": "row"},
            "within must be 'layer' for pattern 'filter', which has one group in a row, got 'row'",
        ),
        ((ONES * np.nan, "element", 0.5), {}, "scores must be finite f32, got nan at index (0, 0)"),
        ((ONES[0], "element", 0.5), {}, "scores must be 2-D, got shape (8,)"),
    ],
)
def test_what_does_not_fit_is_named(arguments, options, message):
    with pytest.raises(BadInput) as error:
        mask(*arguments, **options)
    assert str(error.value) == message


@pytest.mark.parametrize("density", [0, -0.1, 1.01, float("nan"), "half", True, None])
def test_a_density_outside_0_to_1_is_named(density):
    with pytest.raises(BadInput, match=r"^density must be a number above 0 and at most 1, got "):
        mask(ONES, "element", density)


def test_the_last_group_of_a_row_may_be_short():
    # groups of four: 1 2 3 4 | 5 6: of the first the larger two, of the second both; of a group of one, that one
    rows = np.array([[1.0, 2, 3, 4, 5, 6], [4.0, 3, 2, 1, 6, 5]])
    assert mask(rows, "2:4").tolist() == [[0, 0, 1, 1, 1, 1], [1, 1, 0, 0, 1, 1]]
    assert mask(rows[:, :5], "2:4").tolist() == [[0, 0, 1, 1, 1], [1, 1, 0, 0, 1]]
    assert mask(-rows, "1:5").tolist() == [[1, 0, 0, 0, 0, 1], [0, 0, 0, 1, 0, 1]]


@pytest.mark.parametrize(
    ("name", "one", "of_two"),
    # 12 outputs by 4 channels of 2 places: of one matrix, or of two over one another, 6 outputs each
    [
        ("element", (1, 1), (1, 1)),
        ("kernel", (1, 2), (1, 2)),
        ("channel", (12, 2), (6, 2)),
        ("filter", (1, 8), (1, 8)),
        ("block 3x4", (3, 4), (3, 4)),
        ("2:4", (1, 1), (1, 1)),
    ],
)
def test_no_box_is_of_two_matrices(name, one, of_two):
    assert (pattern(name).box((12, 8), 2), pattern(name).box((12, 8), 2, 2)) == (one, of_two)


@pytest.mark.parametrize("kernel", [True, 2.0, "2", 0, -2, 3])
def test_a_kernel_that_does_not_divide_the_inputs(kernel):
    with pytest.raises(BadInput, match="kernel must be an integer that divides the 4 inputs"):
        pattern("kernel").box((2, 4), kernel)


def test_a_pattern_made_by_hand_leaves_the_density_free():
    assert (Pattern(), Pattern().m, Pattern().n) == (pattern("element"), 0, 0)
