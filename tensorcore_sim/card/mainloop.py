"""What one k-step of a block takes on an SM: its instructions played by the instruction-level engines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from math import ceil

import numpy as np

from tensorcore_sim.actions import CoreState
from tensorcore_sim.card.tiling import Tiling, kept_share, port_bytes, port_bytes_of_group
from tensorcore_sim.sm import account, events, schedule
from tensorcore_sim.sm.program import (
    NOTHING,
    ROW_BYTES,
    Operation,
    Program,
    load,
    mma_of,
    program,
    wgmma_of,
)
from tensorcore_sim.spec import Spec

ENGINES = {"events": events.timeline, "schedule": schedule.timeline}
FEW, MORE = 4, 12  # instructions along k of the two programs whose difference is taken


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one more k-step costs. ticks: its time; shares: what the tensor cores did in it, by state, summing to 1.

    n_mma: instructions of the block; port_bytes: that they read from shared memory.
    """

    ticks: int
    shares: Mapping[CoreState, float]
    n_mma: int
    port_bytes: int


@lru_cache(maxsize=1024)
def step(tiling: Tiling, spec: Spec, engine: str) -> Step:
    """Return the cost of a k-step in the middle of a tile, from what MORE instructions along k take beyond FEW."""
    few, more = (block(tiling, n_groups, spec) for n_groups in (FEW, MORE))
    times = [ENGINES[engine](block_program) for block_program in (few, more)]
    books = [account.ledger(block_program, time) for block_program, time in zip((few, more), times, strict=True)]
    spent = np.subtract(*(ledger.states["core"][1].sum(axis=0) for ledger in reversed(books)))
    n_steps = Fraction(MORE - FEW, tiling.tile_k // tiling.group_k)
    actions = [ledger.actions for ledger in books]
    n_mma = int(sum(actions[1][name] - actions[0][name] for name in ("mmas", "wgmmas")) / n_steps)
    return Step(
        ticks=ceil((times[1].ticks - times[0].ticks) / n_steps * Fraction(str(tiling.stretch))),
        shares=_stretched(_shares(spent), tiling.stretch),
        n_mma=n_mma,
        port_bytes=int(port_bytes(tiling, spec)),
    )


def _shares(spent: np.ndarray) -> dict[CoreState, float]:
    """Return the shares of the states, from how many ticks more each one took in the longer program i64[states].

    A reason that took fewer, because the shorter one begins with more of it, has none; the others make up for it.
    """
    waits = np.maximum(spent, 0).astype(np.float64)
    waits[CoreState.COMPUTE] = 0
    compute, total = float(spent[CoreState.COMPUTE]), float(spent.sum())
    waits *= (total - compute) / (waits.sum() or 1)
    return {state: (compute if state is CoreState.COMPUTE else float(waits[state])) / total for state in CoreState}


def _stretched(shares: dict[CoreState, float], stretch: float) -> dict[CoreState, float]:
    """Return the shares of a longer step: what is longer is the kernel's issue."""
    shares = {state: share / stretch for state, share in shares.items()}
    return shares | {CoreState.ISSUE: shares[CoreState.ISSUE] + 1 - 1 / stretch}


def block(tiling: Tiling, n_groups: int, spec: Spec) -> Program:
    """Return what a block's warps (on Hopper, warp groups) run over some instructions along k."""
    along_m, along_n = tiling.warps
    rows, columns = tiling.tile_m // along_m, tiling.tile_n // along_n
    n_products = int(tiling.group_k * kept_share(spec))
    if spec.architecture == "hopper":
        a_from = "registers" if spec.int4_weights else "shared"
        one = wgmma_of(64, columns, tiling.group_k, n_products, spec.in_dtype, spec, a_from)
        warp = [one] * (n_groups * rows // 64)
    else:
        one = mma_of(16, 8, tiling.group_k, n_products, spec.in_dtype, spec)
        n_bytes = port_bytes_of_group(rows, columns, tiling.group_k, spec)
        warp = _warp(n_groups, sum(n_bytes) // ROW_BYTES, rows // 16 * (columns // 8), one, spec)
    return program([warp] * (along_m * along_n), spec)


def _warp(n_groups: int, n_passes: int, n_mma: int, one: Operation, spec: Spec) -> list[Operation]:
    """Return a warp's loads and mmas: the fragments of a group are loaded while the group before is multiplied.

    An mma adds to what the same one of the group before left; the first of several waits for the fragments instead.
    """
    loads = [load("ldmatrix.x4", spec)] * (n_passes // 4)
    loads += [load("ldmatrix.x2", spec)] * (n_passes % 4 // 2) + [load("ldmatrix.x1", spec)] * (n_passes % 2)
    operations = list(loads)
    loaded = len(operations) - 1
    accumulators = [NOTHING] * n_mma
    for group in range(n_groups):
        next_loaded = loaded
        if group + 1 < n_groups:
            operations += loads
            next_loaded = len(operations) - 1
        for i in range(n_mma):
            waits_for = loaded if i == 0 and (n_mma > 1 or group == 0) else accumulators[i]
            accumulators[i] = len(operations)
            operations.append(_needing(one, waits_for))
        loaded = next_loaded
    return operations


@lru_cache(maxsize=4096)
def _needing(operation: Operation, needs: int) -> Operation:
    return replace(operation, needs=needs)
