"""The clock that a power limit allows: what a multiply-add takes rises with the clock, because the voltage does."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, sqrt

from tensorcore_sim.actions import CardAction
from tensorcore_sim.spec import Spec

CLOSE = 2e-3  # of the limit: as near as the power of a slowed card is brought to it
NEAR = 2e-2  # of the clock: as near as that of few calls, which is between this one and the full one, needs it
MOST_PLAYS = 8  # each brings the clock about ten times nearer


def watts(actions: Mapping[str, int], time_us: float, clock_mhz: float, spec: Spec) -> float:
    """Return what the card draws on average while it does the actions in that time at that clock."""
    return spec.static_w + _uj_per_ghz(actions, spec) * clock_mhz / 1e3 / time_us


def clock_mhz(actions: Mapping[str, int], plays: Mapping[float, float], spec: Spec) -> float:
    """Return the clock at which the card draws its limit, at most its own; plays: {clock in MHz: time in us} so far.

    Of the time a part is the clock's own and the rest is not (HBM, the launch): the last two plays tell, or else the
    launch is all of the rest. With time = rest + cycles / clock the limit is a quadratic in the clock.
    """
    (last, time), *before = reversed(plays.items())
    rest = spec.launch_us
    if before:
        other, other_time = before[0]
        rest = min(max((time * last - other_time * other) / (last - other), 0), time)
    cycles = (time - rest) * last
    energy, allowed = _uj_per_ghz(actions, spec) / 1e3, spec.power_limit_w - spec.static_w
    if not energy:
        return spec.clock_mhz
    clock = (allowed * rest + sqrt((allowed * rest) ** 2 + 4 * energy * allowed * cycles)) / (2 * energy)
    return min(spec.clock_mhz, max(round(clock, 1), 0.1))


def of_few_calls(limited_mhz: float, time_us: float, spec: Spec) -> float:
    """Return the clock in the midst of n_calls: it falls from the full one to the limited one, which takes a while."""
    share = 1 - exp(-spec.n_calls * time_us / 1e3 / spec.limit_after_ms) if spec.limit_after_ms else 1
    return round(spec.clock_mhz - share * (spec.clock_mhz - limited_mhz), 1)


def _uj_per_ghz(actions: Mapping[str, int], spec: Spec) -> float:
    bits = 8 * (actions[CardAction.HBM_READ_BYTES] + actions[CardAction.WRITE_BYTES])
    return (actions[CardAction.MACS] * spec.fma_pj_per_ghz + bits * spec.hbm_pj_per_bit_ghz) / 1e6
