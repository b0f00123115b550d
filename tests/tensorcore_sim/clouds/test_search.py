"""Is what finding a kernel map takes what a person counts: look-ups, sectors, bytes, kernels?

Four voxels in a box of 10 x 5 x 2 cells of 4 bytes; three of them are neighbours of each other: 4 + 3 x 2 entries of a
submanifold map. At a stride of 2 with a kernel of 2 there are two outputs, and each voxel has one entry.
"""

from dataclasses import replace

import numpy as np
import pytest

from tensorcore_sim import PRESETS
from tensorcore_sim.actions import CardAction
from tensorcore_sim.clouds.search import search
from tests.pointacc_cases import layer
from workloads.points.kernel_map import kernel_map

VOXELS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [9, 4, 1]], np.int32)
CARD = PRESETS["a100-sxm-80gb"].replace(
    clock_mhz=1000, l2_bytes_per_cycle=1, l2_bytes=400, hbm_gb_per_s=10, hbm_share=1, launch_us=5
)
SUBMANIFOLD, DOWN, UP, POINTWISE = (3, 1, False), (2, 2, False), (2, 2, True), (1, 1, False)


def on_the_four(kernel_size, stride, is_transposed, **fields):
    joined = kernel_map(VOXELS, kernel_size, stride)
    joined = joined.transposed() if is_transposed else joined
    shape = (len(joined.sizes), 4, 6)
    plain = {"weights": np.ones(shape), "map": joined, "features": np.ones((len(joined.inputs), 4))}
    return replace(layer(), **plain, **fields)


@pytest.mark.parametrize(
    ("shape", "changes", "sectors", "streamed", "entries", "n_kernels"),
    [
        (SUBMANIFOLD, {}, 13 * 4 + 4, 4 + 4, 10, 2),  # one of two mirrored offsets, the centre none; each voxel put in
        (SUBMANIFOLD, {"map_symmetry": False}, 26 * 4 + 4, 4 + 4, 10, 2),
        (DOWN, {}, 8 * 2 + 4, 4 + 2, 4, 4),  # eight offsets of each output; two more kernels make the outputs
        (UP, {}, 8 * 2 + 4, 4 + 2, 4, 4),
    ],
)
def test_look_ups_in_a_grid(shape, changes, sectors, streamed, entries, n_kernels):
    """A sector has 32 bytes, coordinates are streamed at 16 a voxel, entries written at 8."""
    spec = CARD.replace(**changes)
    found = search(on_the_four(*shape), spec)
    assert found.transactions == sectors
    assert found.actions[CardAction.L2_READ_BYTES] == 32 * sectors
    assert found.actions[CardAction.HBM_READ_BYTES] == 16 * streamed  # the grid's 400 bytes are in L2
    assert found.actions[CardAction.WRITE_BYTES] == 8 * entries
    assert sum(found.actions.values()) == 32 * sectors + 16 * streamed + 8 * entries
    # a byte of L2 a cycle of a nanosecond, or 10,000 of HBM a microsecond: L2 is slower, until HBM is that
    assert found.time_us == pytest.approx(32 * sectors / 1000 + 5 * n_kernels)
    slow = search(on_the_four(*shape), spec.replace(hbm_gb_per_s=0.01))
    assert slow.time_us == pytest.approx((16 * streamed + 8 * entries) / 10 + 5 * n_kernels)


def test_a_grid_that_l2_does_not_hold_is_read_from_hbm():
    missed = search(on_the_four(*SUBMANIFOLD), CARD.replace(l2_bytes=399))
    assert missed.actions[CardAction.HBM_READ_BYTES] == 32 * 56 + 16 * 8
    assert missed.transactions == 56


def test_a_hash_map_takes_2_7_accesses_of_which_l2_has_36_of_100():
    """TorchSparse 4.4, Minuet: round(56 x 2.7) is 151; 64 of 100 of their bytes come from HBM, whatever L2 holds."""
    for l2_bytes in (0, 2**30):
        found = search(on_the_four(*SUBMANIFOLD), CARD.replace(map_search="hash", l2_bytes=l2_bytes))
        assert found.transactions == 151
        assert found.actions[CardAction.HBM_READ_BYTES] == round(151 * 32 * 0.64) + 16 * 8


@pytest.mark.parametrize("layers", [(POINTWISE, {}), (SUBMANIFOLD, {"map_from": "before"}), (DOWN, {"map_from": "b"})])
def test_a_pointwise_layer_and_one_of_an_earlier_map_take_nothing(layers):
    shape, fields = layers
    none = search(on_the_four(*shape, **fields), CARD)
    assert (none.transactions, none.time_us, set(none.actions.values())) == (0, 0, {0})
