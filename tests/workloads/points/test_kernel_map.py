"""Do kernel maps join exactly the voxels that the definition joins, under every convention of outputs?"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.naive_points import entries_of
from tests.naive_points import kernel_map as naive_map
from workloads import BadInput
from workloads.points.coordinates import CONVENTIONS
from workloads.points.kernel_map import kernel_map, kernel_offsets

voxels = arrays.arrays(np.int32, st.tuples(st.integers(1, 40), st.just(3)), elements=st.integers(-4, 4)).map(
    lambda rows: np.random.default_rng(len(rows)).permutation(np.unique(rows, axis=0))
)


@settings(max_examples=150, deadline=None)
@given(voxels, st.sampled_from([1, 3, 5]))
def test_a_submanifold_map_is_the_dictionary_s(coordinates, kernel_size):
    joined = kernel_map(coordinates, kernel_size)
    assert joined.is_submanifold
    assert entries_of(joined) == naive_map(coordinates, joined.offsets, 1, coordinates)


@settings(max_examples=150, deadline=None)
@given(voxels, st.sampled_from([2, 3, 4]), st.sampled_from([2, 3]), st.sampled_from(["floor", "trunc"]))
def test_a_strided_map_is_the_dictionary_s(coordinates, kernel_size, stride, convention):
    joined = kernel_map(coordinates, kernel_size, stride, convention=convention)
    rounded = np.floor if convention == "floor" else np.trunc
    assert {tuple(q) for q in joined.outputs.tolist()} == {tuple(q) for q in rounded(coordinates / stride).astype(int)}
    assert len(np.unique(joined.outputs, axis=0)) == len(joined.outputs)
    assert entries_of(joined) == naive_map(coordinates, joined.offsets, stride, joined.outputs)


@settings(max_examples=100, deadline=None)
@given(voxels, st.sampled_from([2, 3, 4]), st.sampled_from([1, 2, 3]))
def test_dilating_outputs_are_all_that_an_offset_reaches_in_the_grid(coordinates, kernel_size, stride):
    coordinates = coordinates + 4
    padding = (kernel_size - 1) // 2
    n_cells = (9 + 2 * padding - kernel_size) // stride + 1
    reached = set()
    for voxel in coordinates.tolist():
        for place in np.ndindex(kernel_size, kernel_size, kernel_size):  # spconv's: (p + padding - k) / stride
            moved = [p + padding - k for p, k in zip(voxel, place)]
            if all(m % stride == 0 and 0 <= m // stride < n_cells for m in moved):
                reached.add(tuple(m // stride for m in moved))
    if not reached:
        with pytest.raises(BadInput, match=f"kernel_size {kernel_size} leaves no output"):
            kernel_map(coordinates, kernel_size, stride, convention="dilating", shape=(9, 9, 9))
        return
    joined = kernel_map(coordinates, kernel_size, stride, convention="dilating", shape=(9, 9, 9))
    assert {tuple(q) for q in joined.outputs.tolist()} == reached
    assert entries_of(joined) == naive_map(coordinates, joined.offsets, stride, joined.outputs)


@settings(max_examples=100, deadline=None)
@given(voxels)
def test_offsets_that_mirror_each_other_have_mirrored_entries(coordinates):
    entries = entries_of(kernel_map(coordinates))
    for place in range(27):
        assert {(b, a) for a, b in entries[place]} == entries[26 - place]


def test_a_transposed_map_goes_back():
    down = kernel_map(np.array([[0, 0, 0], [3, 1, 2], [2, 1, 3]]), 2, 2)
    up = down.transposed()
    assert up.is_transposed
    assert (len(up.inputs), len(up.outputs)) == (len(down.outputs), 3)
    assert entries_of(up) == {place: {(b, a) for a, b in pairs} for place, pairs in entries_of(down).items()}


def test_offsets_run_as_the_weights_of_torchsparse_do():
    assert kernel_offsets(3)[:4].tolist() == [[-1, -1, -1], [0, -1, -1], [1, -1, -1], [-1, 0, -1]]  # x fastest
    assert kernel_offsets(3)[13].tolist() == [0, 0, 0]
    assert kernel_offsets(2)[:3].tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 0]]  # z fastest
    assert kernel_offsets(1).tolist() == [[0, 0, 0]]


def test_trunc_folds_what_lies_about_zero_together():
    coordinates = np.array([[-1, 0, 0], [1, 0, 0]])
    assert kernel_map(coordinates, 2, 2, convention="trunc").outputs.tolist() == [[0, 0, 0]]
    assert kernel_map(coordinates, 2, 2).outputs.tolist() == [[-1, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("coordinates", "options", "message"),
    [
        (np.zeros((0, 3), int), {}, "at least one voxel"),
        ([[0, 0]], {}, r"i32\[voxels, 3\]"),
        ([[0.0, np.nan, 0.0]], {}, r"whole numbers, got nan at \[0, 1\]"),
        ([[0.5, 0, 0]], {}, "whole numbers, got 0.5"),
        ([[1, 2, 3], [0, 0, 0], [1, 2, 3]], {}, r"each voxel once, got \[1, 2, 3\] twice"),
        ([[1 << 20, 0, 0]], {}, "21 bits with the kernel's reach, got 1048576"),
        ([[0, -(1 << 40), 0]], {}, "21 bits"),
        ([[0, 0, 0]], {"kernel_size": 2}, r"odd where the outputs are the inputs \(stride 1\), got 2"),
        ([[0, 0, 0]], {"kernel_size": 0}, "kernel_size must be a whole number from 1"),
        ([[0, 0, 0]], {"stride": 1.5}, "stride must be a whole number"),
        ([[0, 0, 0]], {"convention": "flor"}, "did you mean 'floor'"),
        ([[-1, 0, 0]], {"convention": "dilating"}, "grid from 0 on"),
    ],
)
def test_what_is_no_cloud_or_no_kernel_is_refused(coordinates, options, message):
    with pytest.raises(BadInput, match=message):
        kernel_map(coordinates, **options)


def test_the_last_voxel_of_21_bits_has_a_map():
    edge = (1 << 20) - 5
    joined = kernel_map(np.array([[edge, edge, edge], [-edge, -edge, -edge], [edge - 1, edge, edge]]))
    assert joined.n_maps == 5  # three with themselves, two neighbours each way


def test_the_conventions_have_names():
    assert CONVENTIONS == ("floor", "trunc", "dilating")
