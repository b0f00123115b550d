"""Does a GEMM's time obey what must hold for every card: the bounds, the limits in closed form, and order?

What need not hold is not asserted: with several SMs, whose requests queue, a faster part can make a whole GEMM slower.
"""

from dataclasses import replace
from math import ceil

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tensorcore_sim.card import bounds
from tensorcore_sim.card import schedule as card_schedule
from tensorcore_sim.card.choose import ACCUMULATORS_BYTES, tiling
from tensorcore_sim.card.tiling import Problem, kept_share, stage_bytes
from tensorcore_sim.card.timeline import HBM
from tensorcore_sim.simulate import time_gemm
from tensorcore_sim.spec import PRESETS, SCALED, TURING
from tests.card_cases import card, cards
from workloads.errors import BadInput

A100, H100 = PRESETS["a100-sxm-80gb"], PRESETS["h100-sxm"]
NO_MEMORY = {  # what is asked for is there: a tick for each transfer, a tick of latency; and any power
    "l2_bytes_per_cycle": 10**9,
    "hbm_gb_per_s": 1e12,
    "l2_latency_cycles": 0.1,
    "hbm_latency_cycles": 0.1,
    "launch_us": 0,
    "power_limit_w": 1e9,
}


def time_us(m: int, n: int, k: int, spec) -> float:
    _, ledger, _ = time_gemm(Problem(m=m, n=n, k=k), spec, baseline=False)
    return ledger.cycles / spec.clock_mhz


# Bounds


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(PRESETS)),
    st.tuples(st.integers(1, 3000), st.integers(1, 1500), st.integers(1, 3000)),
    st.sampled_from(["f16", "tf32", "int8", "int4", "e4m3", "nvfp4", "mxfp8"]),
    st.sampled_from(["dense", "2:4", "1:8"]),
    st.booleans(),
)
def test_nothing_beats_the_bound(preset, sizes, in_dtype, sparsity, int4_weights):
    assume(not int4_weights or in_dtype == "f16")
    assume(PRESETS[preset].card not in TURING or sparsity != "2:4")
    assume(in_dtype not in SCALED or sparsity != "1:8")
    spec = PRESETS[preset].replace(in_dtype=in_dtype, sparsity=sparsity, int4_weights=int4_weights)
    assume(spec.fma_per_cycle(in_dtype))
    m, n, k = sizes
    # The launch may be rounded down by half a tick
    assert time_us(m, n, k, spec) >= bounds.time_us(Problem(m=m, n=n, k=k), spec) - 0.05 / spec.clock_mhz


def test_the_bounds_by_hand():
    problem, spec = Problem(m=1000, n=300, k=640), A100.replace(sparsity="2:4", launch_us=2, host_us=1, sync_us=3)
    assert bounds.compute_cycles(problem, spec) == 1000 * 300 * 320 / (1024 * 108)
    assert bounds.hbm_bytes(problem, spec) == 1000 * 640 * 9 / 8 + 640 * 300 * 2 + 1000 * 300 * 2
    assert bounds.hbm_cycles(problem, spec) == pytest.approx(1_704_000 / (2039e9 * 0.78) * 1410e6)
    assert bounds.time_us(problem, spec) == pytest.approx(5 + 1_704_000 / (2039e3 * 0.78))
    dense = Problem(m=8192, n=8192, k=8192)
    assert bounds.time_us(dense, A100) == pytest.approx(3.4 + 8192**3 / (1024 * 108 * 1410))


# Limits


@pytest.mark.parametrize(("n_tiles", "n_steps"), [(1, 1), (1, 9), (3, 4), (4, 1)])
def test_with_no_memory_time_one_sm_takes_tiles_times_steps(n_tiles, n_steps):
    # A tile is dealt in a cycle; its first chunks are there after the request's cycle, L2's two ticks, a tick of
    # latency; then its k-steps without a gap; the result's cycle to L2, and its tick.
    made = card([(0, 0)] * n_tiles, n_steps=n_steps, n_stages=3, begin=70, l2_latency=1, hbm_latency=1)
    made = replace(made, **{f"{side}_{what}": np.ones((1, 2), int) for side in "ab" for what in ("l2", "hbm")})
    made = replace(made, store_l2=np.ones(n_tiles, int), store_hbm=np.ones(n_tiles, int))
    end = 70 + n_tiles * (10 + 10 + 2 + 1 + 100 * n_steps + 10 + 1)
    assert card_schedule.timeline(made).end == ceil(end / 10) * 10


@pytest.mark.parametrize("preset", [A100, H100])
@pytest.mark.parametrize("sparsity", ["dense", "2:4"])
def test_with_no_memory_time_a_gemm_takes_waves_times_steps(preset, sparsity):
    tile_k = 64
    tile = {"tile_m": 128, "tile_n": 128, "tile_k": tile_k, "n_stages": 5, "scheduler": "grid", "split_k": 1}
    spec = preset.replace(n_sms=8, sparsity=sparsity, **tile, **NO_MEMORY)
    turn = 128 * 128 * (8 if preset is A100 else 4) / 128  # the result through the port, f32 or f16, there and back
    for n_tiles, n_waves in ((8, 1), (9, 2), (16, 2), (17, 3)):
        timeline, ledger, _ = time_gemm(Problem(m=128, n=128 * n_tiles, k=20 * tile_k), spec, baseline=False)
        (step,) = np.unique(np.diff(timeline.started, axis=1))
        least = n_waves * (20 * step / 10 + turn)
        # and a wave at most the cycles of dealing, two requests and their ticks for each of eight SMs
        assert least < ledger.cycles < least + n_waves * 10
        floor = 128 * 128 * tile_k * float(kept_share(spec)) / spec.f16_fma_per_cycle + spec.k_step_overhead_cycles
        assert step / 10 >= floor
        if preset is A100:  # whose port keeps up with such tiles, dense or sparse; a k-step of one tile is no ideal one
            assert step / 10 < 1.2 * floor


# Hopper's wgmma.sp m64n128k32 needs 64 cycles of the tensor core, but 80 of the port (Luo et al.): 2 x 64/80
# The widest, m64n256k32, needs 128 and 144: 2 x 128/144
@pytest.mark.parametrize(("preset", "limit", "of_any"), [(A100, 2, 2), (H100, 1.6, 2 * 128 / 144)])
def test_sparsity_wins_at_most_twice_where_only_multiplying_counts(preset, limit, of_any):
    fast = preset.replace(**NO_MEMORY, k_step_overhead_cycles=0, tile_m=256, tile_n=128, tile_k=64)
    dense, sparse = (time_us(4096, 4096, 4096, fast.replace(sparsity=sparsity)) for sparsity in ("dense", "2:4"))
    assert 0.95 * limit < dense / sparse <= limit
    # and with the memory and the overheads that there are, by the tile that is best there
    unlimited = preset.replace(sparsity="2:4", power_limit_w=1e9)  # a limit slows the dense one more
    _, _, real = time_gemm(Problem(m=4096, n=4096, k=4096), unlimited)
    assert 1 < real["speed_up"] < of_any


@pytest.mark.parametrize("preset", [A100, H100])
def test_weights_of_few_bits_win_what_their_bytes_are_fewer_where_only_memory_counts(preset):
    # Int4 with an f16 scale for 128 takes 4 + 16/128 bits, its 2:4 half of 4 + 2, and the scale.
    # Rows for a whole number of waves; a wave's first and last cycles weigh the more the fewer bytes there are.
    whole_waves = {"m": 512 * preset.n_sms, "n": 1, "k": 65536}
    dense, int4, sparse = (
        time_us(**whole_waves, spec=preset.replace(launch_us=0, tile_k=256, scheduler="grid", split_k=1, **changes))
        for changes in ({}, {"int4_weights": True}, {"int4_weights": True, "sparsity": "2:4"})
    )
    assert dense / int4 == pytest.approx(16 / 4.125, rel=0.02)
    assert dense / sparse == pytest.approx(16 / 3.125, rel=0.02)
    # far less on a small one with its launch
    small = [time_us(1024, 1, 1024, preset.replace(int4_weights=chosen)) for chosen in (False, True)]
    assert small[0] / small[1] < 2


# Order


@settings(max_examples=60)
@given(cards(), st.integers(1, 50))
def test_launching_later_moves_everything_and_changes_nothing(made, cycles):
    early, late = (card_schedule.timeline(plan) for plan in (made, replace(made, begin=made.begin + 10 * cycles)))
    for name in ("begun", "asked", "arrived", "started", "finished"):
        assert (getattr(late, name) - getattr(early, name) == 10 * cycles).all(), name
    assert late.end - early.end == 10 * cycles
    assert (late.place == early.place).all()
    assert (late.source == early.source).all()


@settings(max_examples=60)
@given(
    cards(most_sms=1, most_resident=1),
    st.sampled_from(["step", "l2_latency", "hbm_latency", "l2", "hbm"]),
    st.integers(1, 100),
)
def test_with_one_sm_whatever_takes_longer_makes_it_no_faster(made, name, more):
    # One SM's requests have one order, so every time is a maximum of sums. (Several can overtake each other.)
    if name in ("l2", "hbm"):
        slower = replace(
            made, **{f"{what}_{name}": getattr(made, f"{what}_{name}") + more for what in ("a", "b", "store")}
        )
    else:
        slower = replace(made, **{name: getattr(made, name) + more})
    before, after = card_schedule.timeline(made), card_schedule.timeline(slower)
    assert (after.finished >= before.finished).all()
    assert (after.started >= before.started).all()
    assert after.end >= before.end


@settings(max_examples=60)
@given(cards(most_sms=1, most_resident=1), st.integers(1, 60))
def test_with_one_sm_a_larger_l2_keeps_what_a_smaller_one_does(made, more):
    # The chunks used last that fit a smaller L2 fit a larger one
    small, large = (card_schedule.timeline(plan) for plan in (made, replace(made, l2_bytes=made.l2_bytes + more)))
    assert ((large.source & HBM) <= (small.source & HBM)).all()
    assert large.end <= small.end


@settings(max_examples=60)
@given(cards(), st.integers(1, 4))
def test_another_stage_is_of_use_only_to_those_with_several_k_steps(made, more):
    tiles = np.arange(made.n_tiles)
    parts = {"tile": tiles, "first": 0 * tiles, "length": 0 * tiles + 1, "blocks": np.arange(made.n_tiles + 1)}
    one_step = replace(made, n_steps=1, in_l2=made.in_l2[:0], **parts)
    deeper = replace(one_step, n_stages=made.n_stages + more)
    assert card_schedule.timeline(one_step).differences(card_schedule.timeline(deeper)) == []


# Tiles

OPERAND_BITS = 32 * 8  # of the kept values in an instruction's row: k16 of f16, k8 of tf32, k32 of int8 (PTX ISA)


@settings(max_examples=60)
@given(
    st.sampled_from([A100, H100]),
    st.builds(Problem, m=st.integers(1, 4000), n=st.integers(1, 4000), k=st.integers(1, 4000)),  # below MOST_STEPS
    st.fixed_dictionaries(
        {
            "sparsity": st.sampled_from(["dense", "2:4", "1:8", "8:16"]),
            "in_dtype": st.sampled_from(["f16", "tf32", "int8"]),
            "shared_bytes_of_block": st.sampled_from([40_000, 163 * 1024]),
            "tile_m": st.sampled_from([0, 64, 192]),
            "tile_n": st.sampled_from([0, 8, 40]),
            "tile_k": st.sampled_from([0, 256]),
            "n_stages": st.sampled_from([0, 1]),
        }
    ),
)
def test_a_chosen_tile_fits_and_is_as_asked(preset, problem, changes):
    spec = preset.replace(**changes)
    kept = OPERAND_BITS / {"f16": 16, "tf32": 32, "int8": 8}[spec.in_dtype]
    least_k = changes["tile_k"] or int(kept / kept_share(spec))
    least = stage_bytes(changes["tile_m"] or 64, changes["tile_n"] or 8, least_k, spec)
    assume(least_k * kept_share(spec) % kept == 0)
    if least > spec.shared_bytes_of_block:
        with pytest.raises(BadInput, match="must fit"):
            tiling(problem, spec)
        return
    found = tiling(problem, spec)
    assert found.n_stages * stage_bytes(found.tile_m, found.tile_n, found.tile_k, spec) <= spec.shared_bytes_of_block
    assert found.tile_m * found.tile_n * 4 <= ACCUMULATORS_BYTES
    assert found.tile_k % found.group_k == 0
    assert found.group_k * kept_share(spec) == kept
    rows, columns = (part / count for part, count in zip((found.tile_m, found.tile_n), found.warps, strict=True))
    if preset is A100:
        assert (rows % 16, columns % 8) == (0, 0)
    else:
        assert (found.tile_m % 64, found.tile_n % 8, columns) == (0, 0, found.tile_n)
    for name in ("tile_m", "tile_n", "tile_k", "n_stages"):
        assert changes[name] in (0, getattr(found, name))


def test_a_gemm_of_too_many_k_steps_is_refused():
    tiny = A100.replace(tile_m=64, tile_n=8, tile_k=16)  # 1,000 x 2,000 tiles of 10 k-steps: 20 million
    assert tiling(Problem(m=64_000, n=16_000, k=160), tiny).tile_k == 16
    with pytest.raises(BadInput, match="must be at most 20,000,000 k-steps"):
        tiling(Problem(m=64_000, n=16_000, k=161), tiny)


@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        (A100, {"tile_m": 24}),
        (A100, {"tile_n": 12}),
        (A100, {"tile_k": 24}),
        (A100, {"tile_k": 48, "sparsity": "2:4"}),
        (H100, {"tile_m": 96}),
        (H100, {"tile_m": 64, "tile_n": 264}),
        (A100, {"tile_m": 256, "tile_n": 256}),
        (A100, {"tile_m": 128, "tile_n": 128, "tile_k": 64, "n_stages": 6}),
        (A100, {"shared_bytes_of_block": 0}),
    ],
)
def test_a_tile_that_is_no_multiple_or_does_not_fit_is_refused(preset, changes):
    with pytest.raises(BadInput, match="tile_m, tile_n, tile_k and n_stages must fit multiples of"):
        tiling(Problem(m=512, n=512, k=512), preset.replace(**changes))
