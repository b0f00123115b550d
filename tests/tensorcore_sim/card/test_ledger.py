"""Does every cycle of every SM have one reason, and does everything that is counted add up?"""

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensorcore_sim.actions import CoreState, SmState
from tensorcore_sim.card import account as card_account
from tensorcore_sim.card import bounds
from tensorcore_sim.card import schedule as card_schedule
from tensorcore_sim.card.choose import tiling
from tensorcore_sim.card.mainloop import Step, step
from tensorcore_sim.card.plan import plan
from tensorcore_sim.card.tiling import Problem, Tiling, a_bits, b_bits, kept_share, port_bytes
from tensorcore_sim.card.timeline import HBM, SHARED
from tensorcore_sim.simulate import time_gemm
from tensorcore_sim.spec import PRESETS, Spec
from tests.card_cases import card

A100, H100 = PRESETS["a100-sxm-80gb"], PRESETS["h100-sxm"]
TILE = Tiling(tile_m=64, tile_n=8, tile_k=32, n_stages=2, warps=(4, 1), group_k=16)
SHARES = {CoreState.COMPUTE: 0.5, CoreState.FLOOR: 0.2, CoreState.PORT: 0.2, CoreState.DEPENDENCY: 0.1}

problems = st.builds(Problem, m=st.integers(1, 900), n=st.integers(1, 600), k=st.integers(1, 900))
specs = st.builds(
    lambda preset, changes: preset.replace(**changes),
    st.sampled_from([A100, H100]),
    st.fixed_dictionaries(
        {
            "sparsity": st.sampled_from(["dense", "2:4", "1:4"]),
            "in_dtype": st.sampled_from(["f16", "int8"]),
            "n_sms": st.integers(1, 30),
            "n_sms_sharing_reads": st.integers(1, 4),
            "l2_bytes": st.sampled_from([0, 30_000, 50 * 2**20]),
            "hbm_gb_per_s": st.sampled_from([50.0, 2039.0, 1e9]),
            "launch_us": st.sampled_from([0.0, 3.4]),
        }
    ),
)


def books(problem: Problem, spec: Spec):
    """Return a GEMM's Plan, CardTimeline, Tiling, Step and Ledger."""
    found = tiling(problem, spec)
    cost = step(found, spec, "schedule")
    made = plan(problem, found, cost.ticks, spec)
    timeline = card_schedule.timeline(made)
    return made, timeline, found, cost, card_account.ledger(timeline, made, problem, found, cost, spec)


@settings(max_examples=30)
@given(problems, specs)
def test_states_and_counts_of_a_gemm_add_up(problem, spec):
    made, timeline, found, cost, ledger = books(problem, spec)
    spent, actions = ledger.states["sm"][1], ledger.actions
    assert spent.shape == (spec.n_sms, len(SmState))
    assert (spent >= 0).all()
    assert (spent.sum(axis=1) == ledger.cycles).all()
    assert ledger.cycles * 10 == timeline.end
    # Every chunk of every k-step is written to shared memory; what neighbours had not asked for comes through L2
    n_columns, n_rows = -(-problem.n // found.tile_n), -(-problem.m // found.tile_m)
    a_once, b_once = (
        int(sizes[:, 0].sum()) * (made.n_steps - 1) + int(sizes[:, 1].sum()) for sizes in (made.a_bytes, made.b_bytes)
    )
    assert actions["shared_write_bytes"] == n_columns * a_once + n_rows * b_once
    last = np.arange(made.n_steps) == made.n_steps - 1
    sizes = np.stack([made.a_bytes[made.row][:, last.astype(int)], made.b_bytes[made.column][:, last.astype(int)]], 2)
    shared = int(sizes[timeline.source & SHARED > 0].sum())
    assert actions["l2_read_bytes"] == actions["shared_write_bytes"] - shared
    # HBM brings everything at least once, and once only where L2 holds it all
    compulsory = ceil(problem.m * problem.k * a_bits(spec) / 8) + ceil(problem.n * problem.k * b_bits(spec) / 8)
    assert compulsory <= a_once + b_once <= actions["hbm_read_bytes"] <= actions["l2_read_bytes"]
    if spec.l2_bytes >= a_once + b_once:
        assert actions["hbm_read_bytes"] == a_once + b_once
    assert actions["write_bytes"] == problem.m * problem.n * spec.output_bytes
    tile = found.tile_m * found.tile_n * found.tile_k
    assert actions["macs"] == n_rows * n_columns * made.n_steps * tile * kept_share(spec)
    assert actions["shared_read_bytes"] == made.n_tiles * made.n_steps * port_bytes(found, spec)
    assert cost.ticks >= 10 * tile * kept_share(spec) / spec.fma_per_cycle(spec.in_dtype)
    assert compulsory + problem.m * problem.n * spec.output_bytes == bounds.hbm_bytes(problem, spec)


def test_one_tile_by_hand():
    # card_cases.SMALL, its k-step of 60 ticks, and 40 to the next; two k-steps: HBM has the first one's chunks at
    # 40 and 70, the second's at 90 and 120. Dealt at 10; there at 120 and 170; computed 120-220, 220-320; the result is
    # at L2 at 330, through it at 337 and through HBM at 339: 340 ticks for two SMs, one of which has no tile. The
    # problem fills 48 of 64 rows, 6 of 8 columns and 40 of 64 of k: 45/128 of the tile.
    made = card(n_steps=2, n_sms=2, begin=50, step=60, overhead=40)
    cost = Step(ticks=60, shares=dict.fromkeys(CoreState, 0.0) | SHARES, n_mma=7, port_bytes=11)
    timeline = card_schedule.timeline(made)
    assert timeline.end == 390
    ledger = card_account.ledger(timeline, made, Problem(m=48, n=6, k=40), TILE, cost, Spec())
    busy, idle = ledger.states["sm"][1]
    ticks = {
        SmState.COMPUTE: 60 * 45 / 128,
        SmState.PADDING: 60 * 83 / 128,
        SmState.FLOOR: 24,
        SmState.PORT: 24,
        SmState.ISSUE: 12,
        SmState.LOOP: 80,
        SmState.HBM: 0,
        SmState.FILL: 10 + 110,
        SmState.DRAIN: 17,
        SmState.WAVE: 3,
        SmState.LAUNCH: 50,
    }
    whole, so_far = [], 0
    for state in SmState:  # whole cycles: differences of the running sums, rounded
        before, so_far = round(so_far / 10), so_far + ticks.get(state, 0)
        whole.append(round(so_far / 10) - before)
    assert busy.tolist() == whole
    assert idle.tolist() == [0] * 10 + [34, 5, 0, 0]
    assert ledger.actions["mmas"] == 14
    assert ledger.actions["shared_read_bytes"] == 22
    assert ledger.actions["macs"] == 2 * 64 * 8 * 32


@pytest.mark.parametrize(("hbm_latency", "waited"), [(50, 0), (160, 10)])
def test_a_wait_between_k_steps_is_charged_to_where_the_data_came_from(hbm_latency, waited):
    # One stage: the second k-step is asked for when the first is computed, at 220 with HBM's latency of 50 ticks, at
    # L2 at 230; A 230-250, B 250-280, there at 330: 110 ticks, 11 cycles. With 160: 22 cycles.
    made = card(n_steps=2, n_stages=1, hbm_latency=hbm_latency)
    cost = Step(ticks=100, shares=dict.fromkeys(CoreState, 0.0) | {CoreState.COMPUTE: 1.0}, n_mma=1, port_bytes=1)
    timeline = card_schedule.timeline(made)
    ledger = card_account.ledger(timeline, made, Problem(m=64, n=8, k=64), TILE, cost, Spec())
    spent = dict(zip(SmState, ledger.states["sm"][1][0].tolist(), strict=True))
    assert (spent[SmState.HBM], spent[SmState.L2]) == (11 + waited + waited // 10, 0)
    # The second tile of the same chunks has them from L2: asked for at t, at L2 at t + 10, B through it at t + 20 and
    # there at t + 50: 5 cycles.
    twice = card([(0, 0), (0, 0)], n_steps=2, n_stages=1, hbm_latency=hbm_latency)
    timeline = card_schedule.timeline(twice)
    assert (timeline.source[1] & HBM == 0).all()
    ledger = card_account.ledger(timeline, twice, Problem(m=64, n=16, k=64), TILE, cost, Spec())
    assert ledger.states["sm"][1][0][SmState.L2] == 5


@pytest.mark.parametrize("preset", [A100, H100])
@pytest.mark.parametrize("changes", [{}, {"int4_weights": True}, {"in_dtype": "tf32"}, {"sync_us": 460.0}])
@pytest.mark.parametrize("sizes", [(1000, 500, 777), (4096, 16, 4096)])
def test_what_is_lost_sums_to_what_is_missing_from_the_ideal(preset, changes, sizes):
    spec = preset.replace(sparsity="2:4", **changes)
    _, ledger, measures = time_gemm(Problem(**dict(zip("mnk", sizes, strict=True))), spec)
    lost = sum(value for name, value in measures.items() if name.startswith("lost_to_"))
    time_us = ledger.cycles / spec.clock_mhz
    assert measures["ideal_speed_up"] == 2
    assert measures["speed_up"] == measures["time_dense_us"] / time_us
    assert lost == pytest.approx(time_us - measures["time_dense_us"] / 2, rel=1e-9)


def test_a_dense_gemm_has_no_losses_to_tell_and_no_dense_one_beside_it():
    _, _, measures = time_gemm(Problem(m=64, n=64, k=64), A100)
    assert not [name for name in measures if "lost" in name or "speed_up" in name or name == "time_dense_us"]


@pytest.mark.parametrize("preset", [A100, H100])
@pytest.mark.parametrize("sparsity", ["dense", "2:4"])
def test_utilisation_times_peak_is_the_rate(preset, sparsity):
    spec = preset.replace(sparsity=sparsity)
    problem = Problem(m=1100, n=900, k=1000)
    _, ledger, measures = time_gemm(problem, spec)
    useful = ledger.states["sm"][1][:, SmState.COMPUTE].sum() / (spec.n_sms * ledger.cycles)
    peak = 2 * spec.f16_fma_per_cycle * spec.n_sms * spec.clock_mhz / 1e6 / float(kept_share(spec))
    # Whole cycles: each SM's are rounded by one at most
    assert measures["dense_equivalent_tflops"] == pytest.approx(useful * peak, abs=peak / ledger.cycles)


@pytest.mark.parametrize(
    ("tile", "rows", "columns", "depth"), [((128, 128, 64), 256, 256, 320), ((64, 64, 32), 192, 192, 288)]
)
def test_padding_is_charged_and_counted(tile, rows, columns, depth):
    spec = A100.replace(**dict(zip(("tile_m", "tile_n", "tile_k"), tile, strict=True)))
    problem = Problem(m=129, n=129, k=257)
    _, ledger, measures = time_gemm(problem, spec)
    share = Fraction(129 * 129 * 257, rows * columns * depth)
    assert ledger.actions["macs"] == rows * columns * depth
    assert measures["padding_%"] == pytest.approx(float(100 * (1 - share)))
    spent = ledger.states["sm"][1].sum(axis=0)
    in_all = spent[SmState.COMPUTE] + spent[SmState.PADDING]
    assert in_all == pytest.approx(rows * columns * depth / 1024, abs=4)
    assert spent[SmState.COMPUTE] == pytest.approx(float(share) * in_all, abs=4)


def test_a_reason_that_shrinks_with_k_has_no_negative_share():
    # Of all presets, formats, patterns and tiles those in which the longer program waits less for the port
    spec = A100.replace(int4_weights=True, sparsity="1:4", tile_m=128, tile_n=128)
    problem = Problem(m=512, n=512, k=4096)
    shares = step(tiling(problem, spec), spec, "schedule").shares
    assert min(shares.values()) >= 0
    assert sum(shares.values()) == pytest.approx(1)
    _, ledger, _ = time_gemm(problem, spec)
    assert (ledger.states["sm"][1] >= 0).all()


@pytest.mark.parametrize("width", [64, 100, 128, 1000])
def test_bytes_read_from_shared_memory_do_not_depend_on_the_width_of_its_port(width):
    # 64 x 64 x 64: a step of four k16; four warps of 32 x 32 read 32 rows of A and of B, 1,024 bytes each, a k16
    spec = A100.replace(tile_m=64, tile_n=64, tile_k=64, port_bytes_per_cycle=width)
    _, ledger, _ = time_gemm(Problem(m=64, n=64, k=128), spec)
    assert ledger.actions["shared_read_bytes"] == 2 * 4 * 4 * 2 * 1024


@pytest.mark.parametrize(
    ("changes", "waited", "never"),
    [
        ({"hbm_gb_per_s": 1e9, "hbm_latency_cycles": 1.0, "l2_bytes_per_cycle": 100}, SmState.L2, SmState.HBM),
        ({"hbm_gb_per_s": 10.0, "l2_bytes_per_cycle": 10**9, "l2_bytes": 0}, SmState.HBM, SmState.L2),
    ],
)
def test_a_wait_is_charged_to_what_it_waits_for(changes, waited, never):
    spec = A100.replace(n_sms=4, tile_m=64, tile_n=64, tile_k=64, **changes)
    _, ledger, _ = time_gemm(Problem(m=512, n=256, k=2048), spec)
    spent = ledger.states["sm"][1].sum(axis=0)
    assert spent[waited] > ledger.cycles // 2  # of four SMs
    assert spent[never] == 0
