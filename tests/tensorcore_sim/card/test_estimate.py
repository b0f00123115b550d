"""Is what choosing a kernel goes by the closed form that it says, each term by hand where it alone counts?

Four tiles of 128 x 128, ten k-steps of 64: a k-step is 1,024 cycles at 1,024 multiply-adds, a chunk of A or B 16,384
bytes of f16, a result 32,768 bytes, which 1,024 cycles turn round at 8 bytes an element through 128, and sums 65,536.
"""

from dataclasses import replace

import pytest

from tensorcore_sim.card.choose import estimate
from tensorcore_sim.card.deal import PERSISTENT, STREAM_K
from tensorcore_sim.card.tiling import Problem, Tiling
from tensorcore_sim.spec import PRESETS

STEP, TURN, CHUNK, RESULT, SUMS, N_STEPS = 1024, 1024, 16384, 32768, 65536, 10
KERNEL = Tiling(tile_m=128, tile_n=128, tile_k=64, n_stages=3, warps=(2, 2), group_k=16)
PROBLEM = Problem(m=256, n=256, k=640)
FREE = {  # at 1,000 MHz, a GB/s is a byte a microsecond, so a thousandth of one a cycle
    "clock_mhz": 1000,
    "n_sms": 4,
    "launch_us": 0,
    "k_step_overhead_cycles": 0,
    "hbm_latency_cycles": 0.1,
    "hbm_share": 1,
    "hbm_gb_per_s": 1e15,
    "l2_bytes_per_cycle": 10**15,
}


def cycles(problem=PROBLEM, kernel=None, **changes):
    kernel = {} if kernel is None else kernel
    return estimate(problem, replace(KERNEL, **kernel), PRESETS["a100-sxm-40gb"].replace(**FREE | changes))


def near(value):
    return pytest.approx(value, abs=0.5)  # a latency of a tenth for each of a few waves


@pytest.mark.parametrize(
    ("n_sms", "n_resident", "expected"),
    [
        (4, 1, N_STEPS * STEP + TURN),
        (100, 1, N_STEPS * STEP + TURN),
        (3, 1, 2 * (N_STEPS * STEP + TURN)),  # a wave of three and one of one
        (1, 1, 4 * (N_STEPS * STEP + TURN)),
        (2, 2, 2 * N_STEPS * STEP + TURN),  # four at once, two on an SM
        (1, 3, 3 * N_STEPS * STEP + TURN + N_STEPS * STEP + TURN),
    ],
)
def test_waves(n_sms, n_resident, expected):
    assert cycles(kernel={"n_resident": n_resident}, n_sms=n_sms) == near(expected)


def test_what_a_call_and_a_k_step_take_besides():
    plain = N_STEPS * STEP + TURN
    assert cycles(kernel={"call_us": 1.0}, launch_us=2) == near(plain + 3000)
    assert cycles(k_step_overhead_cycles=90) == near(plain + N_STEPS * 90)
    assert cycles(kernel={"n_resident": 2}, n_sms=2, k_step_overhead_cycles=90) == near(2 * N_STEPS * STEP + TURN)
    assert cycles(kernel={"stretch": 1.5}) == near(1.5 * N_STEPS * STEP + TURN)
    # With three stages a k-step's data are asked for a latency and a k-step before: (10,000 + 1,024) / 3
    assert cycles(hbm_latency_cycles=10_000) == near(10_000 + N_STEPS * 11_024 / 3 + TURN)
    assert cycles(hbm_latency_cycles=2_000) == near(2_000 + N_STEPS * STEP + TURN)


@pytest.mark.parametrize(("cluster", "chunks"), [(1, 2), (2, 1.5), (4, 1.5)])
def test_where_l2_s_rate_counts(cluster, chunks):
    # Each block asks for a chunk of A and of B, the latter with its neighbours, of whom two rows have two
    of_steps, out = 4 * chunks * CHUNK / 16, TURN + 4 * RESULT / 16
    assert cycles(kernel={"cluster": cluster}, l2_bytes_per_cycle=16) == near(N_STEPS * of_steps + out)


@pytest.mark.parametrize(
    ("problem", "raster", "n_chunks", "n_tiles"),
    [
        (PROBLEM, 8, 2 + 2, 4),
        (Problem(m=512, n=128, k=640), 8, 4 + 1, 4),
        (Problem(m=128, n=512, k=640), 8, 1 + 4, 4),
        (Problem(m=512, n=128, k=640), 1, 1 + 4, 4),  # a band of one row holds four columns, as it is reckoned
        (Problem(m=128, n=(128, 128), k=640), 8, 2 * (1 + 1), 2),  # an A for each product
        (Problem(m=128, n=256, k=640), 8, 1 + 2, 2),
        (Problem(m=256, n=(128, 128), k=640), 8, 2 * (2 + 1), 4),
    ],
)
def test_where_hbm_s_rate_counts(problem, raster, n_chunks, n_tiles):
    out = TURN + n_tiles * RESULT / 24  # a result passes at three times HBM's rate
    found = cycles(problem, {"raster_tiles": raster}, hbm_gb_per_s=8)
    assert found == near(N_STEPS * n_chunks * CHUNK / 8 + out)


def test_edges_move_no_more_than_there_is():
    # 100 x 60: chunks of 12,800 and 7,680 bytes, a result of 12,000
    found = cycles(Problem(m=100, n=60, k=640), hbm_gb_per_s=8)
    assert found == near(N_STEPS * (12_800 + 7_680) / 8 + TURN + 12_000 / 24)
    assert cycles(Problem(m=100, n=60, k=600)) == near(N_STEPS * STEP + TURN)  # a last k-step is one


def test_k_in_parts():
    # Two parts of five k-steps; each writes sums or reads them, and half of the results: (2 x 65,536 + 32,768) / 2
    out = TURN + 8 * (2 * SUMS + RESULT) / 2 / 16
    of_steps = 8 * 2 * CHUNK / 16
    assert cycles(kernel={"splits": 2}, n_sms=8) == near(5 * STEP + TURN)
    assert cycles(kernel={"splits": 2}, n_sms=8, hbm_latency_cycles=500) == near(1000 + 5 * STEP + TURN)
    assert cycles(kernel={"splits": 2}, n_sms=8, l2_bytes_per_cycle=16) == near(5 * of_steps + out)
    # Four parts of three: the last has one, and counts like any
    assert cycles(kernel={"splits": 4}, n_sms=16) == near(3 * STEP + TURN)
    # Each part of a tile reads k-steps of its own from HBM
    out = TURN + 8 * (2 * SUMS + RESULT) / 2 / 24
    assert cycles(kernel={"splits": 2}, n_sms=8, hbm_gb_per_s=8) == near(5 * 2 * (2 + 2) * CHUNK / 8 + out)


def test_tiles_dealt_beforehand():
    one = N_STEPS * STEP + TURN
    for n_sms, rounds in ((4, 1), (100, 1), (2, 2), (3, 2), (1, 4)):
        assert cycles(kernel={"scheduler": PERSISTENT}, n_sms=n_sms) == near(rounds * one)
    # Their latency is waited for once
    assert cycles(kernel={"scheduler": PERSISTENT}, n_sms=1, hbm_latency_cycles=900) == near(900 + 4 * one)
    # Where each has one tile it is as if they were dealt as SMs are free
    for changes in ({}, {"hbm_gb_per_s": 8}, {"l2_bytes_per_cycle": 16}):
        assert cycles(kernel={"scheduler": PERSISTENT}, **changes) == cycles(**changes)


def test_k_steps_dealt_beforehand():
    # 40 k-steps on 3 places; each tile's result, and sums written and read
    assert cycles(kernel={"scheduler": STREAM_K}, n_sms=3) == near(40 / 3 * STEP + TURN)
    assert cycles(kernel={"scheduler": STREAM_K}, n_sms=3, hbm_latency_cycles=500) == near(1000 + 40 / 3 * STEP + TURN)
    out = TURN + 3 * (RESULT * 4 / 3 + 2 * SUMS) / 16
    found = cycles(kernel={"scheduler": STREAM_K}, n_sms=3, l2_bytes_per_cycle=16)
    assert found == near(40 / 3 * 3 * 2 * CHUNK / 16 + out)
    assert cycles(kernel={"scheduler": STREAM_K}, n_sms=100) == near(STEP + TURN)  # no more places than k-steps
    # Whole tiles for all: as if tiles were dealt
    assert cycles(kernel={"scheduler": STREAM_K}, n_sms=2) == cycles(kernel={"scheduler": PERSISTENT}, n_sms=2)


def test_a_band_of_several_products_is_reckoned_by_the_mean_width():
    # 128 and 64 wide: B's chunks are 96 wide on average, 12,288 bytes; a result 128 x 96 x 2
    found = cycles(Problem(m=128, n=(128, 64), k=640), l2_bytes_per_cycle=16)
    assert found == near(N_STEPS * 2 * (CHUNK + 12_288) / 16 + TURN + 2 * 24_576 / 16)
