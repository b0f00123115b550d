"""Do the bytes of every transaction sum to the closed forms, and does the cache save what reuse distances say?"""

from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointacc_sim import cache
from pointacc_sim.account import actions
from pointacc_sim.compile import compiled
from pointacc_sim.image import encode
from pointacc_sim.spec import PRESETS, Spec
from tests.pointacc_cases import layer, layers, pointwise
from workloads import BadInput
from workloads.points import networks


def planned(work, spec):
    return compiled(encode([work], spec)[0], spec)


def reuse_misses(blocks, n_sets, ways):
    """Return whether each access misses: it does where `ways` other blocks of its set came since its block's last."""
    missed = []
    for place, block in enumerate(blocks):
        before = [other for other in blocks[:place] if other % n_sets == block % n_sets]
        if block not in before:
            missed.append(True)
            continue
        since = before[len(before) - before[::-1].index(block) :]
        missed.append(len(set(since)) >= ways)
    return missed


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.lists(st.integers(0, 19), max_size=12)), max_size=8),
    st.sampled_from([1, 2, 5]),
    st.integers(1, 9),
    st.sampled_from([1, 2, 3]),
)
def test_the_cache_misses_where_reuse_distances_say_so(runs, block, n_lines, ways):
    points = np.array([point for _, of_run in runs for point in of_run], np.int32)
    starts = np.append(0, np.cumsum([len(of_run) for _, of_run in runs])).astype(np.int64)
    tile = np.array([tile for tile, _ in runs], np.int64)
    per_tile = ceil(20 / block)
    blocks = [tile * per_tile + point // block for tile, of_run in runs for point in of_run]
    missed = np.array(reuse_misses(blocks, max(1, n_lines // ways), ways), int)
    expected = [int(missed[a:b].sum()) for a, b in zip(starts, starts[1:])]
    assert cache.misses(points, starts, tile, 20, block, n_lines, ways).tolist() == expected


@settings(max_examples=60)
@given(layers(), st.sampled_from([1, 3, 64]), st.sampled_from([1, 32]))
def test_fetch_on_demand_without_a_cache(work, n_rows, burst):
    spec = Spec(cache=False, n_rows=n_rows, n_columns=4, dram_burst_bytes=burst, fusion=False)
    plan = planned(work, spec)
    n_out_tiles = ceil(work.out_channels / 4)
    tiles = [min(n_rows, work.in_channels - start) for start in range(0, work.in_channels, n_rows)]
    per_entry = sum(ceil(2 * n / burst) * burst for n in tiles)
    assert plan.steps.feature_bytes.sum() == work.map.n_maps * n_out_tiles * per_entry
    assert plan.write_bytes.sum() == work.positions * work.out_channels * 2
    centre = work.positions if work.map.centre is not None else 0
    assert plan.steps.map_bytes.sum() == (work.map.n_maps - centre) * 8 * n_out_tiles


@settings(max_examples=60)
@given(layers(), st.sampled_from([2, 64]), st.sampled_from([3, 64]))
def test_gather_scatter(work, n_rows, n_columns):
    spec = Spec(dataflow="gather-scatter", n_rows=n_rows, n_columns=n_columns)
    plan = planned(work, spec)
    c_in, c_out = 2 * work.in_channels, 2 * work.out_channels
    plain = work.map.sizes[work.map.centre] if work.map.centre is not None else 0
    moved = work.map.n_maps - plain
    n_co = ceil(work.out_channels / n_columns)
    # Read, written gathered, read gathered for each tile of output channels; partial sums written, read, added.
    assert plan.steps.feature_bytes.sum() == moved * c_in * (2 + n_co) + plain * c_in * n_co
    assert plan.write_bytes.sum() == moved * c_out * 3 + plain * c_out


def test_the_cache_moves_every_point_at_least_once():
    work = networks.load("lidar-0.1:submanifold-3x3x3").layers[0]
    plan = planned(work, PRESETS["server"])
    assert plan.steps.feature_bytes.sum() >= work.features.size * 2
    bare = planned(work, PRESETS["server"].replace(cache=False))
    assert plan.steps.feature_bytes.sum() < bare.steps.feature_bytes.sum() / 3


def test_the_chosen_block_is_the_best_of_those_tried():
    work = networks.load("lidar-0.2:submanifold-3x3x3").layers[0]
    spec = PRESETS["edge"]
    chosen = planned(work, spec)
    of_block = {b: planned(work, spec.replace(cache_block_points=b)).steps.feature_bytes.sum() for b in (1, 4, 16, 64)}
    assert chosen.steps.feature_bytes.sum() <= min(of_block.values())


def test_weights_that_fit_come_once():
    work = layer(60, channels=(4, 6))
    small = Spec(n_rows=4, n_columns=6, accumulator_bytes=2 * 6 * 4 * 8, cache_bytes=64, weight_bytes=96)
    large = small.replace(weight_bytes=27 * 4 * 6 * 2)
    plan = planned(work, large)
    assert len(np.unique(plan.steps.tile)) == ceil(work.positions / 8)
    present = len(np.unique(plan.steps.offset))
    assert planned(work, small).steps.weight_bytes.sum() == len(plan.steps) * 4 * 6 * 2
    assert plan.steps.weight_bytes.sum() <= present * 4 * 6 * 2


def test_actions_are_the_layer_s():
    spec = PRESETS["server"]
    image = encode([layer(60)], spec)[0]
    counts = actions(compiled(image, spec), image, spec)
    assert counts["macs"] == image.layer.macs
    assert counts["outputs"] == image.layer.positions * 6
    assert counts["tag_lookups"] == image.layer.map.n_maps


def test_consecutive_pointwise_layers_stay_on_the_chip():
    first, second, third = pointwise(3, 8, 16, 4)
    assert [work.run_place for work in (first, second, third)] == [0, 1, 2]
    assert first.pointwise_run == (3, 8, 16, 4)
    plans = [planned(work, Spec()) for work in (first, second, third)]
    assert [plan.steps.feature_bytes.sum() > 0 for plan in plans] == [True, False, False]
    assert [plan.write_bytes.sum() > 0 for plan in plans] == [False, False, True]
    apart = [planned(work, Spec(fusion=False)) for work in (first, second, third)]
    assert all(plan.steps.feature_bytes.sum() > 0 and plan.write_bytes.sum() > 0 for plan in apart)


def test_fusion_ends_where_the_cache_is_full():
    # Outputs of a tile: 8. Between two layers 8 x (8 + 16) channels of 2 bytes must fit: 384 bytes.
    spec = Spec(n_rows=4, n_columns=4, accumulator_bytes=2 * 8 * 4 * 4, weight_bytes=64, cache_bytes=384)
    fits = [planned(work, spec).write_bytes.sum() > 0 for work in pointwise(3, 8, 16, 4)]
    assert fits == [False, False, True]
    full = [planned(work, spec.replace(cache_bytes=383)).write_bytes.sum() > 0 for work in pointwise(3, 8, 16, 4)]
    assert full == [True, False, True]


def test_a_pointwise_layer_whose_outputs_go_elsewhere_too_is_written():
    layers_of = {work.name: work for work in networks.load("lidar-0.2:minkunet-0.5").layers}
    assert len(layers_of["stage2.0.around"].pointwise_run) == 2  # alone in its run


def test_a_block_larger_than_the_cache_is_refused():
    with pytest.raises(BadInput, match="cache_block_points 1024 does not fit a cache of 196608 bytes"):
        planned(
            layer(channels=(512, 4)),
            Spec(n_rows=512, weight_bytes=131072, coordinate_bytes=64, cache_block_points=1024),
        )
