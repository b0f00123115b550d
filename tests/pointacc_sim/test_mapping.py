"""Does the Mapping Unit sort, merge and intersect, in so many cycles, and are its maps those of the front-end?"""

from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointacc_sim import mapping
from pointacc_sim.image import encode
from pointacc_sim.passes import mapping_passes, passes_of, sorting
from pointacc_sim.plan import MERGE, SORT
from pointacc_sim.reference import check
from pointacc_sim.simulate import rank
from pointacc_sim.spec import PRESETS, Spec
from tests.pointacc_cases import layer, layers, voxels
from workloads import BadInput
from workloads.points import neighbours, networks
from workloads.points.clouds import read
from workloads.points.kernel_map import kernel_map

keys = st.lists(st.integers(-1000, 1000), min_size=1, max_size=200, unique=True).map(lambda some: np.sort(some))
blocks = st.sampled_from([2, 4, 8, 32])


@settings(max_examples=200)
@given(keys, keys, blocks)
def test_a_merge_takes_a_block_a_cycle(one, other, block):
    merged, places, of, n_blocks = mapping.merged(one, other, block)
    assert merged.tolist() == np.sort(np.concatenate([one, other])).tolist()
    assert n_blocks == ceil(len(one) / block) + ceil(len(other) / block)
    assert [(one, other)[which][place] for which, place in zip(of, places)] == merged.tolist()


@settings(max_examples=100)
@given(keys, keys, st.sampled_from([2, 4, 8]))
def test_a_merge_writes_no_further_than_its_result(one, other, block):
    # Compiled, nobody looks whether a place is there; run as Python, a place behind the end is an IndexError.
    streams = one, np.arange(len(one)), other, np.arange(len(other))
    plain, *_ = mapping._merge.py_func(*streams, block)
    assert plain.tolist() == sorted([*one.tolist(), *other.tolist()])


@settings(max_examples=100)
@given(keys, keys, blocks)
def test_an_intersection_is_that_of_sets(one, other, block):
    ones, others = mapping.intersect(one, other, block)
    assert one[ones].tolist() == other[others].tolist() == sorted(set(one.tolist()) & set(other.tolist()))


@settings(max_examples=100)
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=150), blocks)
def test_a_sort_keeps_the_order_of_equal_keys(values, block):
    values = np.array(values)
    in_order, places = mapping.sort(values, 2 * block)
    assert places.tolist() == np.argsort(values, kind="stable").tolist()
    assert in_order.tolist() == np.sort(values).tolist()


@settings(max_examples=80)
@given(layers(), st.sampled_from([4, 16, 64]))
def test_maps_are_the_front_end_s_pair_for_pair(work, width):
    spec = Spec(merger_width=width)
    image = encode([work], spec)[0]
    for offset in range(len(work.map.sizes)):
        own, other = (set(zip(*(side.tolist() for side in of.pairs(offset)))) for of in (image.maps, work.map))
        assert own == other
        outs = image.maps.outs[image.maps.starts[offset] : image.maps.starts[offset + 1]]
        assert (np.diff(outs) > 0).all()


def test_maps_of_the_lidar_sweep():
    for size in ("0.05", "0.1", "0.2"):
        coordinates = read(f"lidar-{size}").coordinates
        for joined in (kernel_map(coordinates), kernel_map(coordinates, 2, 2)):
            maps = mapping.maps(joined, 32)
            assert np.diff(maps.starts).tolist() == joined.sizes.tolist()
            for offset in range(len(joined.sizes)):
                own, other = (np.stack(of.pairs(offset)) for of in (maps, joined))
                assert np.array_equal(own[:, np.lexsort(own)], other[:, np.lexsort(other)])


def test_passes_of_the_lidar_sweep():
    # 15,969 voxels in blocks of 32: 500 and 500 cycles an offset; 250 blocks of 64 to sort, then 8 merges of 500.
    work = networks.load("lidar-0.1:submanifold-3x3x3").layers[0]
    spec = PRESETS["server"]
    passes, of_offset = mapping_passes(encode([work], spec)[0], spec)
    merges = passes.blocks[passes.kind == MERGE]
    assert merges.tolist() == [1000] * 26
    assert passes.blocks[passes.kind == SORT].tolist() == [250, *[500] * 8]
    assert of_offset[13] == -1  # the centre needs none
    both = spec.replace(symmetry=True)
    passes, of_offset = mapping_passes(encode([work], both)[0], both)
    assert passes.blocks[passes.kind == MERGE].tolist() == [1000] * 13
    assert of_offset[0] == of_offset[26]


def test_columns_of_the_networks():
    # A bitonic merger of N elements has log2 N columns of N / 2 compare-exchanges, a sorter log2 N (log2 N + 1) / 2.
    spec = PRESETS["server"]
    assert (spec.merge_columns * spec.block, spec.sort_columns * spec.block) == (192, 672)
    narrow = Spec(merger_width=8)
    assert (narrow.merge_columns, narrow.sort_columns) == (3, 6)
    assert Spec(merger_width=64, emits="all").block == 64


def test_a_sort_of_few_needs_no_merge():
    spec = Spec(merger_width=8)
    assert passes_of(sorting(8, spec, 0), spec).blocks.tolist() == [1]
    assert passes_of(sorting(9, spec, 0), spec).blocks.tolist() == [2, 3]  # two blocks of 8; 9 elements, 4 a cycle


def test_a_map_of_an_earlier_layer_takes_no_pass():
    spec = Spec()
    image = encode([layer(map_from="before")], spec)[0]
    assert len(mapping_passes(image, spec)[0]) == 0
    assert len(mapping_passes(image, spec.replace(reuse_maps=False))[0]) > 26


def test_clouds_that_do_not_fit_are_read_for_every_offset():
    spec = Spec(merger_width=4, coordinate_bytes=64)
    image = encode([layer(40)], spec)[0]
    passes, _ = mapping_passes(image, spec)
    n = len(image.layer.map.inputs)
    assert n * 8 > 64
    assert (passes.read_bytes[passes.kind == MERGE] == n * 8).all()
    fits, _ = mapping_passes(image, spec.replace(coordinate_bytes=100000))
    assert fits.read_bytes.sum() == n * 8


@settings(max_examples=60)
@given(st.integers(1, 60), st.integers(0, 9), st.data())
def test_points_are_sampled_and_ranked_as_the_front_end_does(n, seed, data):
    cloud, spec = voxels(n, seed), Spec(merger_width=16)
    m = data.draw(st.integers(1, len(cloud)))
    assert mapping.farthest_points(cloud, m, spec)[0].tolist() == neighbours.farthest_points(cloud, m).tolist()
    k = data.draw(st.integers(1, min(8, len(cloud))))
    places, distances, _ = mapping.nearest(cloud, cloud, k, spec)
    expected = neighbours.nearest(cloud, cloud, k)
    assert places.tolist() == expected[0].tolist()
    assert distances.tolist() == expected[1].tolist()
    ball, _ = mapping.in_ball(cloud, cloud, 2.0, k, spec)
    assert ball.tolist() == neighbours.in_ball(cloud, cloud, 2.0, k).tolist()


def test_real_points_are_ranked_too():
    cloud = np.random.default_rng(0).standard_normal((200, 3))
    places, _, blocks = mapping.nearest(cloud, cloud[:20], 5, Spec())
    assert places.tolist() == neighbours.nearest(cloud, cloud[:20], 5)[0].tolist()
    assert blocks == [ceil(200 / 32)] * 20


@pytest.mark.parametrize("engine", ["schedule", "events"])
def test_an_iteration_of_sampling_waits_for_the_one_before_and_a_query_does_not(engine):
    # 100 points, 64 distances a cycle: 2 cycles an iteration; 4 stages and 6 + 21 columns until its result is there.
    spec = Spec()
    _, blocks = mapping.farthest_points(voxels(300, 0)[:100], 3, spec)
    assert blocks == [2, 2]
    timeline = rank(blocks, spec, waits=True, engine=engine)
    assert timeline.passed.tolist() == [[1, 2], [2 + 31 + 1, 2 + 31 + 2]]
    assert timeline.cycles == 2 + 31 + 2 + 31
    timeline = rank([4, 4], spec, waits=False, engine=engine)
    assert timeline.passed.tolist() == [[1, 4], [5, 8]]


def test_what_cannot_be_ranked_is_refused():
    with pytest.raises(BadInput, match="k must be from 1 to 2, the merger's block or the points, got 3"):
        mapping.nearest(voxels(30, 0), voxels(3, 0), 3, Spec(merger_width=4))
    with pytest.raises(BadInput, match="n must be from 1"):
        mapping.farthest_points(voxels(3, 0), 0, Spec())
    with pytest.raises(BadInput, match="radius must be a number above 0"):
        mapping.in_ball(voxels(3, 0), voxels(3, 0), -1, 1, Spec())


def test_a_wrong_map_would_be_seen():
    spec = Spec()
    image = encode([layer()], spec)[0]
    features = image.layer.features.astype(np.float16).astype(np.float32)
    image.maps.ins[0] += 1
    try:
        assert not check(image, features, np.zeros((image.layer.positions, 6), np.float32), spec)["maps_equal"]
    finally:
        mapping.maps.cache_clear()
