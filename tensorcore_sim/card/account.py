"""From a CardTimeline to the books and tracks of a GEMM: where every cycle of every SM went, how much was done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from cyclekit.jit import kernel
from cyclekit.ledger import Ledger
from cyclekit.trace.tracks import Track
from tensorcore_sim.actions import CardAction, CoreState, SmPhase, SmState
from tensorcore_sim.card.gaps import gaps
from tensorcore_sim.card.mainloop import Step
from tensorcore_sim.card.plan import SUM_BYTES, sizes
from tensorcore_sim.card.tiling import Problem, Tiling, kept_share
from tensorcore_sim.card.timeline import HBM, SHARED, CardTimeline, Plan
from tensorcore_sim.spec import TICKS, Spec

# What the tensor cores do in a k-step, as the SM's reasons
_REASON = {
    CoreState.COMPUTE: SmState.COMPUTE,
    CoreState.FLOOR: SmState.FLOOR,
    CoreState.PORT: SmState.PORT,
    CoreState.CLOSE: SmState.LOOP,
    CoreState.ISSUE: SmState.ISSUE,
    CoreState.DEPENDENCY: SmState.ISSUE,
    CoreState.DONE: SmState.ISSUE,
}

# By gaps.py's numbers
_WAITS = np.array([SmPhase.FILL, SmPhase.L2, SmPhase.HBM])
_SPENT = (SmState.FILL, SmState.L2, SmState.HBM, SmState.LOOP, SmState.DRAIN)


def ledger(timeline: CardTimeline, plan: Plan, problem: Problem, tiling: Tiling, step: Step, spec: Spec) -> Ledger:
    """Return the books: states of every SM in whole cycles that sum to the kernel's, and counts.

    A wait for a k-step is charged to HBM if that was through with one of its chunks later than L2, else to L2; the
    instructions' own cycles are split as the tensor cores' were in the middle of a tile (mainloop.step), multiply-adds
    on padding apart.
    """
    spent = np.stack(list(_of_sms(timeline, plan, problem, tiling, step).values()), axis=1)
    spent[:, SmState.WAVE] = np.maximum(timeline.end - spent.sum(axis=1), 0)  # a sum of floats may be a hair above
    # Whole cycles that sum to the whole: differences of the rounded running sums.
    sums = np.rint(spent.cumsum(axis=1) / TICKS).astype(np.int64)
    sums[:, -1] = timeline.end // TICKS
    return Ledger(
        cycles=timeline.end // TICKS,
        states={"sm": (SmState, np.diff(sums, axis=1, prepend=0))},
        actions=actions(timeline, plan, tiling, step, spec),
    )


def longer(books: Ledger, lost: Mapping[SmState, int]) -> Ledger:
    """Return the books of a longer time, in which every SM spends that many more cycles in those states."""
    states = books.states["sm"][1].copy()
    for state, cycles in lost.items():
        states[:, state] += cycles
    return Ledger(cycles=books.cycles + sum(lost.values()), states={"sm": (SmState, states)}, actions=books.actions)


def spans(timeline: CardTimeline, plan: Plan, *, begin: int, end: int, n_units: int | None) -> Iterator[Track]:
    """Yield what the SMs (None: all, else the first) were at in the ticks [begin, end) of the clock they ran at."""
    end = min(end, timeline.end)
    between = gaps(timeline, plan)
    for sm in range(min(n_units or plan.n_sms, plan.n_sms)):
        own = slice(between.of_sm[sm], between.of_sm[sm + 1])
        # After a k-step its block's overhead, which counts to it; a result out; a wait; the next k-step, or none
        waits = np.append(_WAITS[between.waits_for[own]], SmPhase.WAVE)
        states = np.full((len(waits), 3), SmPhase.K_STEP)
        states[:, 1], states[:, 2] = SmPhase.DRAIN, waits
        states[0, 0] = SmPhase.LAUNCH
        edges = np.concatenate([between.edges[own], [[*between.tail[sm], timeline.end]]])
        yield Track.within(
            begin,
            end,
            kind="sm",
            name=f"SM {sm}",
            states=SmPhase,
            state=states.ravel(),
            edges=np.append(0, edges),
        )


def _of_sms(
    timeline: CardTimeline, plan: Plan, problem: Problem, tiling: Tiling, step: Step
) -> dict[SmState, np.ndarray]:
    """Return the ticks that each SM spent in each state, f64[n_sms]; what is left is WAVE."""
    rows, columns = sizes(problem, tiling)
    whole = tiling.tile_m * tiling.tile_n * tiling.tile_k * plan.n_steps
    useful = rows[plan.row] * columns[plan.column] * problem.k / whole
    sm = timeline.place % plan.n_sms
    n_steps = np.bincount(sm, plan.length, plan.n_sms)
    spent = {state: np.zeros(plan.n_sms) for state in SmState}
    for state, share in step.shares.items():
        spent[_REASON[state]] += share * plan.step * n_steps
    of_problem = (
        np.bincount(sm, plan.length * useful[plan.tile], plan.n_sms) * step.shares[CoreState.COMPUTE] * plan.step
    )
    spent[SmState.PADDING] = spent[SmState.COMPUTE] - of_problem
    spent[SmState.COMPUTE] = of_problem
    spent[SmState.LAUNCH] += plan.begin
    for of_gaps, ticks in enumerate(gaps(timeline, plan).spent.T):
        spent[_SPENT[of_gaps]] += ticks
    return spent


def actions(timeline: CardTimeline, plan: Plan, tiling: Tiling, step: Step, spec: Spec) -> dict[str, int]:
    """Return how often everything that is counted happened."""
    n_steps = plan.n_tiles * plan.n_steps
    macs = tiling.tile_m * tiling.tile_n * tiling.tile_k * kept_share(spec)
    of_tile = np.bincount(plan.tile, minlength=plan.n_tiles) - 1  # parts whose sums another one reads
    written, from_l2, from_hbm = _bytes(timeline.source, plan.row, plan.column, plan.a_bytes, plan.b_bytes)
    return {
        CardAction.MACS: int(macs * n_steps),
        CardAction.MMAS: step.n_mma * n_steps,
        CardAction.SHARED_READ_BYTES: step.port_bytes * n_steps,
        CardAction.SHARED_WRITE_BYTES: written,
        CardAction.L2_READ_BYTES: from_l2,
        CardAction.HBM_READ_BYTES: from_hbm,
        CardAction.SUM_BYTES: 2 * int((of_tile * (plan.store_bytes // spec.output_bytes)).sum()) * SUM_BYTES,
        CardAction.WRITE_BYTES: int(plan.store_bytes.sum()),
    }


@kernel
def _bytes(source, row, column, a_bytes, b_bytes):
    """Return the bytes of chunks that reached shared memory, that L2 sent for it, and that HBM sent for them."""
    written, from_l2, from_hbm = 0, 0, 0
    n_tiles, n_steps, _ = source.shape
    for t in range(n_tiles):
        for j in range(n_steps):
            last = 1 if j == n_steps - 1 else 0
            for side in range(2):
                n_bytes = a_bytes[row[t], last] if side == 0 else b_bytes[column[t], last]
                written += n_bytes
                if not source[t, j, side] & SHARED:
                    from_l2 += n_bytes
                    if source[t, j, side] & HBM:
                        from_hbm += n_bytes
    return written, from_l2, from_hbm
