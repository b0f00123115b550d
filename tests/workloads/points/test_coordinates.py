"""Do keys of 21 bits an axis hold every voxel that is taken, and is what lies beyond refused?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads import BadInput
from workloads.points.coordinates import checked_coordinates, pack, shift_of, unpack, voxelise

LEAST, MOST = -(2**20), 2**20 - 1
axis = st.one_of(st.integers(LEAST, MOST), st.sampled_from([LEAST, LEAST + 1, -1, 0, 1, MOST]))
voxel = st.tuples(axis, axis, axis)


@given(st.lists(voxel, min_size=1, max_size=20, unique=True))
def test_keys_rise_as_z_then_y_then_x_and_give_the_voxels_back(voxels):
    keys = pack(np.array(voxels, np.int32))
    assert np.array_equal(unpack(keys), voxels)
    assert [voxels[place] for place in np.argsort(keys)] == sorted(voxels, key=lambda of: of[::-1])
    assert keys.min() >= 0
    assert keys.max() < 2**63


@given(voxel, st.tuples(*[st.integers(-4, 4)] * 3))
def test_moving_a_voxel_adds_the_same_to_every_key(voxel, offset):
    moved = np.array([voxel]) + offset
    if moved.min() >= LEAST and moved.max() <= MOST:
        assert pack(moved)[0] - pack(np.array([voxel]))[0] == shift_of(np.array(offset))


@pytest.mark.parametrize("reach", [0, 3])
def test_a_voxel_is_taken_where_the_kernel_s_reach_stays_in_the_key(reach):
    for edge, beyond in ((LEAST + reach, -1), (MOST - reach, 1)):
        assert checked_coordinates([[0, edge, 0]], reach).tolist() == [[0, edge, 0]]
        told = f"from {LEAST + reach} to {MOST - reach}, 21 bits with the kernel's reach, got {edge + beyond}"
        with pytest.raises(BadInput, match=told):
            checked_coordinates([[0, edge + beyond, 0]], reach)


def test_whole_numbers_are_taken_of_any_real_type_and_no_others():
    for kind in (np.int8, np.uint16, np.int64, np.float32, np.float64):
        taken = checked_coordinates(np.array([[1, 2, 3]], kind))
        assert (taken.dtype, taken.tolist()) == (np.int32, [[1, 2, 3]])
    for value in ([[True, False, True]], [[1j, 0, 0]], [["1", "2", "3"]]):
        with pytest.raises(BadInput, match="whole numbers, got dtype"):
            checked_coordinates(value)
    with pytest.raises(BadInput, match=r"got 2\.5 at \[1, 2\]: voxelise points"):
        checked_coordinates([[0.0, 1.0, 2.0], [0.0, 1.0, 2.5]])


def test_a_cloud_is_cut_into_no_more_cells_than_a_key_holds():
    for width in (0.25, 1, 3.0):
        assert voxelise(np.array([[0, 0, 0], [0, MOST * width, 0]]), width)[0].tolist() == [[0, 0, 0], [0, MOST, 0]]
        with pytest.raises(BadInput, match=f"cuts the cloud into {MOST + 1} cells, more than {MOST}"):
            voxelise(np.array([[0, 0, 0], [0, (MOST + 1) * width, 0]]), width)


@pytest.mark.parametrize("width", [0, -0.1, float("nan"), float("inf"), "1", None])
def test_the_width_of_a_voxel_is_a_number_above_0(width):
    with pytest.raises(BadInput, match="voxel_size must be a number above 0"):
        voxelise(np.zeros((1, 3)), width)


@pytest.mark.parametrize(
    ("points", "told"),
    [
        (np.zeros(3), r"at least one, got float64\[3\]"),
        (np.zeros((2, 2)), r"at least one, got float64\[2, 2\]"),
        (np.zeros((0, 3)), r"at least one, got float64\[0, 3\]"),
        (np.zeros((1, 3), bool), r"real numbers .* got bool\[1, 3\]"),
        ([[0.0, 0.0, 0.0], [0.0, np.nan, np.inf]], r"finite, got nan at \[1, 1\]"),
    ],
)
def test_what_are_no_points_is_refused(points, told):
    with pytest.raises(BadInput, match=told):
        voxelise(points, 1)
