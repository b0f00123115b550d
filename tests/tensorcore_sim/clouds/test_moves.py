"""Are transactions, bytes and look-ups those that a person counts?"""

from math import ceil

import numpy as np
import pytest

from tensorcore_sim import PRESETS
from tensorcore_sim.actions import CardAction
from tensorcore_sim.clouds import masks, moves
from tensorcore_sim.clouds.search import search
from tests.pointacc_cases import layer, voxels
from workloads.points.kernel_map import kernel_map

CARD = PRESETS["a100-sxm-80gb"]


@pytest.mark.parametrize(
    ("channels", "changes", "expected"),
    [
        (64, {}, 1),  # 128 bytes, a warp of half2
        (64, {"vector_moves": False}, 2),  # a warp of 32 f16 fills half of a transaction
        (64, {"in_dtype": "tf32", "vector_moves": False}, 2),  # 256 bytes
        (8, {}, 1),
        (96, {}, 2),
    ],
)
def test_transactions_of_a_row(channels, changes, expected):
    assert moves.transactions_of_row(channels, CARD.replace(**changes)) == expected


def test_what_is_moved_by_every_transaction_is_the_closed_form():
    joined = kernel_map(voxels(200, 0, side=7))
    n_in = len(joined.inputs)
    n = joined.n_maps - n_in
    plain = CARD.replace(local_moves=False, fused_moves=False)
    small = plain.replace(l2_bytes=0)  # nothing fits
    for moved, is_gather in ((moves.gather(joined, 64, small), True), (moves.scatter(joined, 64, small), False)):
        assert moved.transactions == 2 * n
        assert moved.actions[CardAction.HBM_READ_BYTES] == moved.actions[CardAction.WRITE_BYTES] == n * 128
        local = (moves.gather if is_gather else moves.scatter)(joined, 64, CARD.replace(l2_bytes=0))
        assert local.transactions == n + min(n, n_in)  # each row read once, or written once


def test_rows_that_fit_l2_cross_hbm_once():
    joined = kernel_map(voxels(200, 0, side=7))
    n = joined.n_maps - len(joined.inputs)
    moved = moves.gather(joined, 64, CARD.replace(local_moves=False))
    assert moved.actions[CardAction.HBM_READ_BYTES] == len(joined.inputs) * 128
    assert moved.actions[CardAction.WRITE_BYTES] == n * 128


def test_fused_kernels_are_one_launch_and_a_pointwise_layer_moves_nothing():
    joined = kernel_map(voxels(200, 0, side=7))
    some = sum(1 for place, size in enumerate(joined.sizes) if size and place != 13)
    apart, fused = (moves.gather(joined, 64, CARD.replace(fused_moves=is_fused)) for is_fused in (False, True))
    assert apart.time_us - fused.time_us == pytest.approx((some - 1) * CARD.launch_us)
    assert moves.gather(kernel_map(voxels(50, 0), 1), 64, CARD).time_us == 0


def test_look_ups():
    work = layer(100)
    n = work.positions
    grid = search(work, CARD)
    assert grid.transactions == 13 * n + n  # one of two offsets that mirror each other, and every voxel put in
    assert search(work, CARD.replace(map_symmetry=False)).transactions == 26 * n + n
    assert search(work, CARD.replace(map_search="hash")).transactions == round(14 * n * 2.7)
    assert search(layer(100, map_from="before"), CARD).time_us == 0


@pytest.mark.parametrize("n_splits", [0, 1, 2, 3])
def test_masked_rows_by_a_plain_loop(n_splits):
    joined = kernel_map(voxels(700, 0, side=11))
    has = np.zeros((len(joined.outputs), 27), bool)
    for place in range(27):
        has[joined.pairs(place)[1], place] = True
    expected = np.zeros(27, int)
    for part in np.array_split(np.arange(27), max(1, n_splits)):
        order = range(len(has))
        if n_splits:
            order = sorted(order, key=lambda row: tuple(has[row, part]))
        for start in range(0, len(has), 128):
            tile = list(order)[start : start + 128]
            for place in part:
                expected[place] += len(tile) * bool(has[tile, place].any())
    assert masks.executed_rows(joined, n_splits).tolist() == expected.tolist()


def test_sorting_and_splitting_the_masks_leaves_fewer_rows():
    joined = kernel_map(voxels(3000, 0, side=30))
    rows = [int(masks.executed_rows(joined, n).sum()) for n in (0, 1, 3)]
    assert rows[0] > rows[1] > rows[2] >= joined.n_maps
    assert rows[0] <= 27 * ceil(len(joined.outputs) / 128) * 128
