"""Does the LiDAR sweep have the voxels, map sizes, groups and padded work that were counted of it by other programs?"""

import numpy as np
import pytest

from workloads.points.clouds import read
from workloads.points.groups import grouping
from workloads.points.kernel_map import kernel_map

# Counted with NumPy dictionaries and spconv 2.3.8 on the same file.
COUNTS = {
    "0.05": (28479, 122441, 15969),
    "0.1": (15969, 90279, 8032),
    "0.2": (8032, 56256, 3588),
}
SIZES = {
    "0.05": [1410, 1647, 758, 2691, 3821, 3459, 863, 1550, 1293, 4186, 9797, 4883, 10623, 28479],
    "0.1": [1415, 1849, 821, 2691, 4030, 2907, 1002, 1770, 1342, 3010, 6218, 3405, 6695, 15969],
}
DENSITY = {"0.05": (0.284, 0.108, 0.038), "0.1": (0.354, 0.163, 0.072), "0.2": (0.420, 0.218, 0.108)}
EPSILONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0)
LAUNCHES = {"0.05": (13, 12, 10, 9, 9, 8, 1), "0.1": (13, 13, 13, 10, 9, 6, 1)}
WORK = {
    "0.05": (1.000, 1.008, 1.018, 1.042, 1.042, 1.057, 2.939),
    "0.1": (1.000, 1.000, 1.000, 1.053, 1.089, 1.212, 2.342),
}


@pytest.fixture(scope="module", params=COUNTS)
def sweep(request):
    return request.param, read(f"lidar-{request.param}").coordinates


def test_voxels_and_maps(sweep):
    size, coordinates = sweep
    n_coarse = len(kernel_map(coordinates, 2, 2).outputs)
    assert (len(coordinates), kernel_map(coordinates).n_maps, n_coarse) == COUNTS[size]


def test_sizes_by_offset(sweep):
    size, coordinates = sweep
    if size in SIZES:
        half = SIZES[size]
        assert kernel_map(coordinates).sizes.tolist() == half + half[-2::-1]


def test_density_falls_with_the_distance_of_the_offset(sweep):
    size, coordinates = sweep
    joined = kernel_map(coordinates)
    distance = np.abs(joined.offsets).sum(axis=1)
    density = [joined.sizes[distance == far].mean() / len(coordinates) for far in (1, 2, 3)]
    assert density == pytest.approx(DENSITY[size], abs=5e-4)


def test_launches_and_padded_work(sweep):
    size, coordinates = sweep
    if size in LAUNCHES:
        sizes = kernel_map(coordinates).sizes
        of_epsilon = [grouping(sizes, epsilon, np.inf) for epsilon in EPSILONS]
        assert tuple(one.launches for one in of_epsilon) == LAUNCHES[size]
        assert [one.work_factor for one in of_epsilon] == pytest.approx(WORK[size], abs=5e-4)


def test_two_voxels_on_a_side_have_offsets_of_like_sizes(sweep):
    sizes = kernel_map(sweep[1], 2, 2).sizes
    assert sizes.sum() == len(sweep[1])  # each voxel lies in one cell
    assert sizes.max() / sizes.min() < 1.25


def test_dilating_outputs_are_more_than_floor_s():
    # 1,413 random voxels, kernel 3, stride 2: half as many again with dilating outputs; kernel 2: the same.
    rng = np.random.default_rng(0)
    coordinates = np.unique(rng.integers(0, 14, (2000, 3)), axis=0)[:1413]
    n_out = {
        (kernel, way): len(kernel_map(coordinates, kernel, 2, convention=way).outputs)
        for kernel in (2, 3)
        for way in ("floor", "dilating")
    }
    assert n_out[3, "dilating"] > n_out[3, "floor"]
    assert n_out[2, "floor"] == n_out[2, "dilating"]
