"""Does the clock fall to where the card draws what it may, and is what that costs told?"""

import numpy as np
import pytest

from tensorcore_sim import PRESETS
from tensorcore_sim.actions import CardAction, SmState
from tensorcore_sim.card import power
from tensorcore_sim.card.tiling import Problem
from tensorcore_sim.simulate import time_gemm
from workloads.errors import BadInput

PCIE = PRESETS["a100-pcie-80gb"]
LARGE = Problem(m=4096, n=4096, k=4096)


def gemm(spec, problem=LARGE, engine="schedule"):
    _, books, measures = time_gemm(problem, spec, engine=engine, baseline=False)
    return books, measures


def test_watts_by_hand():
    # 10^9 multiply-adds of 1.5 pJ and 8 x 10^6 bits of 9.9 pJ at 1 GHz in a ms: 1.5 W and 0.0792 W
    actions = {CardAction.MACS: 10**9, CardAction.HBM_READ_BYTES: 600_000, CardAction.WRITE_BYTES: 400_000}
    assert power.watts(actions, 1000, 1000, PCIE) == pytest.approx(60 + 1.5 + 0.0792)
    assert power.watts(actions, 500, 1000, PCIE) == pytest.approx(60 + 2 * (1.5 + 0.0792))
    assert power.watts(actions, 1000, 500, PCIE) == pytest.approx(60 + (1.5 + 0.0792) / 2)


def test_a_clock_by_hand():
    # Only cycles, none of HBM: 240 W over static at 1 GHz in 100 us would be 24,000 uJ; with four times as much the
    # clock halves, because energy and rate fall together.
    spec = PCIE.replace(launch_us=0, f16_pj_per_ghz=1.0)
    actions = {CardAction.MACS: 4 * 24 * 10**9, CardAction.HBM_READ_BYTES: 0, CardAction.WRITE_BYTES: 0}
    assert power.clock_mhz(actions, {1000.0: 100.0}, spec) == 500
    # A time that no clock changes: energy falls with the clock alone
    assert power.clock_mhz(actions, {1000.0: 100.0, 500.0: 100.0}, spec) == 250


@pytest.mark.parametrize("preset", ["a100-pcie-80gb", "h100-pcie", "h100-sxm"])
def test_a_full_f16_gemm_draws_the_limit_at_a_lower_clock(preset):
    spec = PRESETS[preset]
    books, measures = gemm(spec, Problem(m=8192, n=8192, k=4096))
    assert measures["power_w"] == pytest.approx(spec.power_limit_w, rel=0.005)
    assert measures["clock_mhz"] < spec.clock_mhz
    # The books are in cycles of the full clock, of which the lower one gives fewer in the same time
    lost = books.states["sm"][1][:, SmState.POWER]
    assert np.all(lost == lost[0])
    assert lost[0] / books.cycles == pytest.approx(1 - measures["clock_mhz"] / spec.clock_mhz, abs=1e-4)
    assert np.all(books.states["sm"][1].sum(axis=1) == books.cycles)


def test_a_small_gemm_keeps_the_full_clock():
    books, measures = gemm(PCIE, Problem(m=256, n=256, k=256))
    assert measures["clock_mhz"] == PCIE.clock_mhz
    assert measures["power_w"] < PCIE.power_limit_w
    assert not books.states["sm"][1][:, SmState.POWER].any()
    # 6,957 cycles over 1,410 MHz and times it again are a hair more in floats
    spec = PRESETS["a100-sxm-80gb"].replace(n_sms=3, l2_bytes=0, hbm_gb_per_s=50.0)
    books, _ = gemm(spec, Problem(m=1, n=631, k=11))
    assert not books.states["sm"][1][:, SmState.POWER :].any()


def test_more_watts_are_never_slower_and_enough_of_them_are_the_full_clock():
    times, clocks = [], []
    for limit in (100, 200, 300, 1e4):
        books, measures = gemm(PCIE.replace(power_limit_w=limit))
        times.append(books.cycles)
        clocks.append(measures["clock_mhz"])
    assert times == sorted(times, reverse=True)
    assert clocks == sorted(clocks)
    assert clocks[-1] == PCIE.clock_mhz


def test_over_few_calls_the_clock_falls_exponentially_to_the_limited_one():
    books, limited = gemm(PCIE)
    time_us = books.cycles / PCIE.clock_mhz
    full, low = PCIE.clock_mhz, limited["clock_mhz"]
    assert low < full - 50
    for n_calls in (1, int(20_000 / time_us), int(100_000 / time_us)):  # of a card whose clock falls in 20 ms
        few, measures = gemm(PCIE.replace(n_calls=n_calls, limit_after_ms=20.0))
        left = np.exp(-n_calls * time_us / 20_000)
        assert measures["clock_mhz"] == pytest.approx(low + left * (full - low), abs=1)
        assert few.cycles <= books.cycles
        assert measures["power_w"] > PCIE.power_limit_w * 0.99


def test_both_engines_find_the_same_clock_and_books():
    spec, problem = PRESETS["h100-pcie"].replace(power_limit_w=110.0, n_sms=8), Problem(m=512, n=512, k=512)
    (books, measures), (others, same) = (gemm(spec, problem, engine) for engine in ("events", "schedule"))
    assert measures == same
    assert measures["clock_mhz"] < spec.clock_mhz
    assert np.array_equal(books.states["sm"][1], others.states["sm"][1])


def test_a_limit_that_the_card_at_rest_exceeds_is_refused():
    with pytest.raises(BadInput, match=r"power_limit_w must be above static_w, which is 60\.0, got 50\.0"):
        PCIE.replace(power_limit_w=50)


# The host


def test_the_host_is_a_floor_under_queued_calls_and_a_wait_is_added():
    small = Problem(m=64, n=64, k=64)
    own_us = gemm(PCIE, small)[0].cycles / PCIE.clock_mhz
    for host_us, sync_us, expected in ((own_us / 2, 0, own_us), (50, 0, 50), (0, 7, own_us + 7), (50, 7, 57)):
        books, _ = gemm(PCIE.replace(host_us=host_us, sync_us=sync_us), small)
        assert books.cycles / PCIE.clock_mhz == pytest.approx(expected, abs=1 / PCIE.clock_mhz)
        host = books.states["sm"][1][:, SmState.HOST] / PCIE.clock_mhz
        assert host == pytest.approx(expected - own_us, abs=2 / PCIE.clock_mhz)


def test_a_card_that_waits_for_its_host_draws_less():
    small = Problem(m=512, n=512, k=512)
    busy, waiting = (gemm(PCIE.replace(host_us=us), small)[1]["power_w"] for us in (0, 1000))
    assert PCIE.static_w < waiting < busy


# The fixed point


def test_a_clock_by_hand_where_part_of_the_time_is_not_its_own():
    # 10 us of launch and 100,000 cycles; 240 W over static. At 1,000 MHz in 110 us that is 26,400 uJ: 26.4 x 10^9
    # multiply-adds of 1 pJ at 1 GHz. Told at another clock, or by two plays, it is the same
    spec = PCIE.replace(launch_us=10, f16_pj_per_ghz=1.0)
    actions = {CardAction.MACS: 264 * 10**8, CardAction.HBM_READ_BYTES: 0, CardAction.WRITE_BYTES: 0}
    for plays in ({1000.0: 110.0}, {1250.0: 90.0}, {500.0: 210.0}):
        assert power.clock_mhz(actions, plays, spec) == 1000
    assert power.clock_mhz(actions, {500.0: 210.0, 1000.0: 110.0}, spec.replace(launch_us=99)) == 1000
    assert power.clock_mhz(actions, {1250.0: 90.0, 1000.0: 110.0}, spec.replace(launch_us=99)) == 1000
    # As many bits as take that energy, 9.9 pJ each, read or written
    of_bits = {CardAction.MACS: 0, CardAction.HBM_READ_BYTES: 25 * 10**7, CardAction.WRITE_BYTES: 25 * 10**7}
    assert power.clock_mhz(of_bits, {1000.0: 165.0}, spec) == 1000
    # A play that says that more than all of the time is not the clock's own, or less than nothing
    assert power.clock_mhz(actions, {500.0: 100.0, 1000.0: 110.0}, spec) == 1000
    assert power.clock_mhz(actions, {500.0: 440.0, 1000.0: 110.0}, spec) == pytest.approx(1000, abs=0.1)


def test_a_clock_is_never_above_the_card_s_nor_zero():
    nothing = {CardAction.MACS: 0, CardAction.HBM_READ_BYTES: 0, CardAction.WRITE_BYTES: 0}
    assert power.clock_mhz(nothing, {1410.0: 100.0}, PCIE) == 1410
    assert power.clock_mhz(nothing | {CardAction.MACS: 1}, {1410.0: 100.0}, PCIE) == 1410
    assert power.clock_mhz(nothing | {CardAction.MACS: 10**25}, {1410.0: 100.0}, PCIE) == 0.1


def test_the_clock_of_few_calls_by_hand():
    # After 20 ms 1 / e of the way is left
    spec = PCIE.replace(n_calls=200, limit_after_ms=20)
    assert power.of_few_calls(1000, 100, spec) == round(1000 + 410 / np.e, 1)
    assert power.of_few_calls(1000, 100, spec.replace(n_calls=400)) == round(1000 + 410 / np.e**2, 1)
    assert power.of_few_calls(1000, 100, spec.replace(limit_after_ms=0)) == 1000
