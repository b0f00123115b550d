"""What no timeline can beat, in closed form: the tensor cores' rate and the bytes that must cross HBM."""

from __future__ import annotations

from math import ceil

from tensorcore_sim.card.tiling import Problem, a_bits, b_bits, kept_share
from tensorcore_sim.sm.program import rate
from tensorcore_sim.spec import Spec


def compute_cycles(problem: Problem, spec: Spec) -> float:
    """Return the cycles of the kept multiply-adds if every tensor core multiplied in every cycle."""
    macs = problem.macs * float(kept_share(spec))
    return macs / (rate(spec.in_dtype, spec) * spec.n_sms)


def hbm_bytes(problem: Problem, spec: Spec) -> int:
    """Return the bytes of A, B and the result of every product, each once."""
    a = ceil(problem.m * problem.k * a_bits(spec) / 8)
    b = [ceil(problem.k * n * b_bits(spec) / 8) for n in problem.products]
    return a * len(b) + sum(b) + problem.m * sum(problem.products) * spec.output_bytes


def hbm_cycles(problem: Problem, spec: Spec) -> float:
    """Return the cycles of those bytes at the bandwidth that kernels reach."""
    return hbm_bytes(problem, spec) / (spec.hbm_gb_per_s * spec.hbm_share * 1e3 / spec.clock_mhz)


def time_us(problem: Problem, spec: Spec) -> float:
    """Return the least time at the full clock: launch, then whichever of the two takes longer, or the host."""
    cycles = max(compute_cycles(problem, spec), hbm_cycles(problem, spec))
    return max(cycles / spec.clock_mhz + spec.launch_us, spec.host_us) + spec.sync_us
