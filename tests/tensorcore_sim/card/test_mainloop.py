"""What does a block run in a k-step, and how long does it take? Each table was drawn by hand from S1-S8.

A dense f16 mma m16n8k16 holds its tensor core for 80 ticks and completes after 247. A pass is 128 bytes.
"""

import numpy as np
import pytest

from tensorcore_sim.actions import CoreState
from tensorcore_sim.card.mainloop import block, step
from tensorcore_sim.card.tiling import Tiling
from tensorcore_sim.sm.program import NOTHING, Kind
from tensorcore_sim.spec import PRESETS, Spec

A100, H800 = PRESETS["a100-sxm-80gb"], PRESETS["h800-pcie"]
INT4 = A100.replace(int4_weights=True)
MMA, WGMMA = Kind.MMA, Kind.WGMMA


def tile(m, n, k=16, warps=(1, 1), group_k=16) -> Tiling:
    return Tiling(tile_m=m, tile_n=n, tile_k=k, n_stages=1, warps=warps, group_k=group_k)


def warps_of(tiling: Tiling, n_groups: int, spec: Spec) -> list[list[tuple]]:
    """Return each warp's instructions: ("mma" | number of passes of a load, what it needs)."""
    program = block(tiling, n_groups, spec)
    return [
        [
            ("mma" if kind == MMA else port / 10, needs)
            for kind, port, needs in zip(program.kind[w, :n], program.port[w, :n], program.needs[w, :n], strict=True)
        ]
        for w, n in enumerate(program.length)
    ]


def test_the_fragments_of_a_group_are_loaded_while_the_group_before_is_multiplied():
    # A, 64 x 16 of 4.125 bits: 528 bytes, 5 passes; B, 16 x 8 of 16 bits: 256 bytes, 2. Seven passes are x4, x2, x1.
    def loads():
        return [(4, NOTHING), (2, NOTHING), (1, NOTHING)]

    def mmas(*needs):
        return [("mma", need) for need in needs]

    assert warps_of(tile(64, 8), 3, INT4) == [
        [
            *loads(),  # 0-2
            *loads(),  # 3-5
            *mmas(2, NOTHING, NOTHING, NOTHING),  # 6-9: the first waits for its fragments
            *loads(),  # 10-12
            *mmas(5, 7, 8, 9),  # 13-16: the others for what they add to
            *mmas(12, 14, 15, 16),  # 17-20: there is no group behind it to load for
        ]
    ]


def test_a_single_mma_of_a_group_waits_for_the_one_before():
    # A, 16 x 16 of 4.125 bits: 132 bytes, 2 passes, and B's 2: one x4
    load = (4, NOTHING)
    assert warps_of(tile(16, 8), 3, INT4) == [[load, load, ("mma", 0), load, ("mma", 2), ("mma", 4)]]
    # f16: 4 passes and 2
    assert warps_of(tile(16, 8), 1, A100) == [[load, (2, NOTHING), ("mma", 1)]]


def test_the_warps_share_the_tile():
    # 128 x 64 over 2 x 4 warps: 64 x 16 each, 4 x 2 mmas; A 2,048 bytes, B 512: 16 + 4 passes, five x4
    warps = warps_of(tile(128, 64, warps=(2, 4)), 1, A100)
    assert warps == [[(4, NOTHING)] * 5 + [("mma", 4)] + [("mma", NOTHING)] * 7] * 8
    # 2:4, an instruction of k32: A, 16 x 32 of 9 bits, 576 bytes, 5 passes; B, 32 x 8 of 16, 4: two x4 and an x1
    sparse = warps_of(tile(16, 8, 32, group_k=32), 1, A100.replace(sparsity="2:4"))
    assert sparse == [[(4, NOTHING), (4, NOTHING), (1, NOTHING), ("mma", 2)]]


def test_a_warp_group_runs_a_wgmma_for_every_64_rows_of_its_own():
    program = block(tile(256, 32, warps=(2, 1)), 3, H800)
    assert program.kind.tolist() == [[WGMMA] * 6] * 2
    # m64n32k16: 64 * 32 * 16 / 2048 = 16 cycles; A 2,048 bytes and B 1,024: 24 of the port
    assert (set(program.hold.flat), set(program.port.flat)) == ({160}, {240})
    # int4 weights come from registers: B alone
    assert set(block(tile(64, 32), 1, H800.replace(int4_weights=True)).port.flat) == {80}


# In each: what a k-step takes, its instructions, its bytes from shared memory, what the tensor cores' ticks went to.
STEPS = {
    # One warp on one of four tensor cores, a chain: 247 ticks a group, 80 of them multiplying. A 512 bytes, B 256.
    "chain": (
        tile(16, 8),
        A100,
        (247, 1, 768),
        {CoreState.COMPUTE: 80, CoreState.DEPENDENCY: 167, CoreState.DONE: 3 * 247},
    ),
    # The same, three groups to a step.
    "chain of three": (
        tile(16, 8, 48),
        A100,
        (741, 3, 2304),
        {CoreState.COMPUTE: 80, CoreState.DEPENDENCY: 167, CoreState.DONE: 3 * 247},
    ),
    # A warp on each core, 4 x 8 mmas a group, A and B 2,048 bytes each for a warp: eight x4. After the last mma, issued
    # at t, the loads go at t + 10 to t + 80, and the next mma at t + 90, when the core has been free for 10 ticks.
    "loads between mmas": (
        tile(128, 128, 32, (2, 2)),
        A100,
        (2 * (32 * 80 + 10), 2 * 128, 2 * 4 * 4096),
        {CoreState.COMPUTE: 2560, CoreState.ISSUE: 10},
    ),
    # Two warp groups, four groups of 128 cycles each a step; A 2,048 bytes and B 8,192 for each wgmma.
    "wgmma": (tile(128, 256, 64, (2, 1)), H800, (8 * 1280, 8, 8 * 10240), {CoreState.COMPUTE: 1}),
    # m64n8k16: 4 cycles of multiply-adds, 18 of the port: A 2,048 bytes and B 256.
    "port": (tile(64, 8), H800, (180, 1, 2304), {CoreState.COMPUTE: 40, CoreState.PORT: 140}),
    # The same with A from registers: the floor of 13.4 cycles.
    "floor": (
        tile(64, 8),
        H800.replace(int4_weights=True),
        (134, 1, 256),
        {CoreState.COMPUTE: 40, CoreState.FLOOR: 94},
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_what_a_k_step_takes(engine, name):
    tiling, spec, (ticks, n_mma, n_bytes), spent = STEPS[name]
    cost = step(tiling, spec, engine)
    assert (cost.ticks, cost.n_mma, cost.port_bytes) == (ticks, n_mma, n_bytes)
    total = sum(spent.values())
    shares = [spent.get(state, 0) / total for state in CoreState]
    np.testing.assert_allclose([cost.shares[state] for state in CoreState], shares, rtol=1e-12)
