"""Latency and throughput of one instruction on one SM, measured as the published microbenchmarks measure them.

Every warp runs a loop: each iteration issues one instruction of each of `ilp` independent chains, in which an
instruction needs the result of the one before it, and closes (S7). Operands are in place before the clock starts. Of
wgmma, whose accumulators stay in the tensor core along a chain, the warp groups issue one after the other, no loop.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tensorcore_sim.sm import events, schedule
from tensorcore_sim.sm.program import Kind, Operation, Program, close, load, mma, program, wgmma
from tensorcore_sim.spec import TICKS, Spec
from workloads.errors import BadInput, did_you_mean

ENGINES = {"events": events.timeline, "schedule": schedule.timeline}
WARM_UP, WINDOW = 64, 256  # iterations before the steady state's window, and in it
MAX_WARPS_OF_SUBCORE, MAX_ILP = 16, 64  # the first by A100's and H100's whitepapers, the second of the model


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """The steady state of one loop. A multiply-add that a sparse instruction skips counts as done.

    period_cycles: of one iteration, the mean over the warps. fma_per_cycle, bytes_per_cycle: of the SM; one is 0.
    """

    period_cycles: float
    fma_per_cycle: float
    bytes_per_cycle: float


def latency(
    instruction: str, spec: Spec, *, in_dtype: str = "f16", a_from="shared", n_ways=1, engine="schedule"
) -> float:
    """Return the cycles from issue to completion of one instruction by itself; arguments as for throughput."""
    operation = _operation(instruction, in_dtype, spec, a_from, n_ways)
    timeline = _engine(engine)(program([[operation]], spec))
    return int(timeline.completed[0, 0] - timeline.issued[0, 0]) / TICKS


def throughput(
    instruction: str,
    spec: Spec,
    *,
    n_warps: int = 4,
    ilp: int = 1,
    in_dtype: str = "f16",
    a_from: str = "shared",
    n_ways: int = 1,
    engine: str = "schedule",
) -> Throughput:
    """Return the steady-state throughput of an instruction.

    instruction: mma..., mma.sp..., wgmma..., tcgen05..., ldmatrix.xN or ld.shared.u32. n_warps: of the SM, dealt to the
    sub-cores in turn; warp groups for wgmma and tcgen05. a_from: for these, "shared" (SS) or "registers" (RS). n_ways:
    of bank conflict, for ld.shared. Raises BadInput.
    """
    operation = _operation(instruction, in_dtype, spec, a_from, n_ways)
    _check_count("n_warps", n_warps, MAX_WARPS_OF_SUBCORE * spec.n_subcores)
    _check_count("ilp", ilp, MAX_ILP)
    timeline = _engine(engine)(loop(operation, n_warps, ilp, WARM_UP + WINDOW + 1, spec))
    starts = timeline.served[:, ::ilp] if operation.kind == Kind.WGMMA else timeline.issued[:, :: ilp + 1]
    periods = _periods(starts)
    per_cycle = float(np.sum(ilp / periods))
    return Throughput(
        period_cycles=float(np.mean(periods)),
        fma_per_cycle=operation.fma * per_cycle,
        bytes_per_cycle=operation.n_bytes * per_cycle,
    )


def _periods(starts: np.ndarray) -> np.ndarray:
    """Return each warp's mean cycles per iteration, f64[warps], while all are past warming up and none has ended."""
    begin, end = starts[:, WARM_UP].max(), starts[:, WARM_UP + WINDOW].min()
    inside = [of_warp[(of_warp >= begin) & (of_warp <= end)] for of_warp in starts]
    # Each warp from one of its own starts to another, so that a steady loop gives its period exactly.
    return np.array([(times[-1] - times[0]) / (len(times) - 1) for times in inside]) / TICKS


def loop(operation: Operation, n_warps: int, ilp: int, n_iterations: int, spec: Spec) -> Program:
    """Return the benchmark's loop as a program."""
    if operation.kind == Kind.WGMMA:
        return program([[operation] * (ilp * n_iterations)] * n_warps, spec)
    warps = []
    for warp in range(n_warps):
        n_beside = len(range(warp % spec.n_subcores, n_warps, spec.n_subcores))
        end = close(spec, n_beside)
        operations: list[Operation] = []
        for iteration in range(n_iterations):
            first = len(operations)
            if iteration:
                operations += [_needing(operation, first - ilp - 1 + chain) for chain in range(ilp)]
            else:
                operations += [operation] * ilp
            operations.append(_needing(end, first))
        warps.append(operations)
    return program(warps, spec)


def _needing(operation: Operation, needs: int) -> Operation:
    return replace(operation, needs=needs)


def _operation(instruction: str, in_dtype: str, spec: Spec, a_from: str, n_ways: int) -> Operation:
    name = str(instruction)
    if name.startswith("ld"):
        return load(name, spec, n_ways)
    if name.startswith(("wgmma", "tcgen05")):
        return wgmma(name, in_dtype, spec, a_from)
    return mma(name, in_dtype, spec)


def _engine(name: str):
    if name not in ENGINES:
        raise BadInput(f"unknown engine {name!r}{did_you_mean(str(name), tuple(ENGINES))}")
    return ENGINES[name]


def _check_count(field: str, value: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise BadInput(f"{field} must be a whole number from 1 to {most}, got {value!r}")
