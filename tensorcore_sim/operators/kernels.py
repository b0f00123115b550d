"""Kernels beside the GEMMs: attention, and those whose time is that of the bytes that they move."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from cyclekit.serving.cost import COMPUTE, LAUNCH, MEMORY, Cost
from tensorcore_sim.actions import CardAction
from tensorcore_sim.card import power
from tensorcore_sim.spec import Spec
from workloads.files import read_table
from workloads.transformers.operators import BYTES, Attention, Movement


class Kernel(NamedTuple):
    """A row of data/kernels.csv: us of a call at least, of each 1,024 elements of a row, share of the card's rate."""

    floor_us: float
    row_us: float
    share: float


def movement(kind: str, work: Movement, spec: Spec) -> Cost:
    """Return what a kernel of that kind takes to move its bytes: a block of threads walks a row, blocks share HBM."""
    own = _kernels(spec.architecture)[kind]
    least_us = own.floor_us + own.row_us * work.row / 1024
    return _cost(spec, {LAUNCH: least_us, MEMORY: _memory_us(work.n_bytes, own.share, spec)}, 0.0, work.n_bytes)


def attention(work: Attention, spec: Spec, cached_bits: int) -> Cost:
    """Return what attention takes in one kernel: a prompt's multiplications at a share of the peak, a step's reads."""
    kernels = _kernels(spec.architecture)
    of_prompt, of_step = kernels["prompt_attention"], kernels["step_attention"]
    n_bytes = work.n_cached * cached_bits / 8 + 2 * work.n_queries * BYTES
    peak = spec.f16_fma_per_cycle * spec.n_sms * spec.clock_mhz  # multiply-adds in a us
    times = {
        LAUNCH: (of_prompt if work.n_new > 1 else of_step).floor_us,
        COMPUTE: work.flops / 2 / (peak * of_prompt.share),
        MEMORY: _memory_us(n_bytes, of_step.share, spec),
    }
    return _cost(spec, times, work.flops, n_bytes)


@cache
def _kernels(architecture: str) -> dict[str, Kernel]:
    rows = [row for row in read_table("tensorcore_sim", "kernels") if row["architecture"] == architecture]
    return {row["kind"]: Kernel(*(float(row[name]) for name in Kernel._fields)) for row in rows}


def _memory_us(n_bytes: float, share: float, spec: Spec) -> float:
    return n_bytes / (share * spec.hbm_gb_per_s * 1e3)


def _cost(spec: Spec, times: dict[str, float], flops: float, n_bytes: float) -> Cost:
    bound = max(times, key=times.get)
    time_us = times[bound]
    counts = {CardAction.MACS: flops / 2, CardAction.HBM_READ_BYTES: n_bytes, CardAction.WRITE_BYTES: 0}
    watts = min(power.watts(counts, time_us, spec.clock_mhz, spec), spec.power_limit_w)
    return Cost(time_us=time_us, flops=flops, n_bytes=n_bytes, bound=bound, energy_uj=watts * time_us)
