"""From a CardTimeline to the books and tracks of a GEMM: where every cycle of every SM went, how much was done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from cyclekit.ledger import Ledger
from cyclekit.trace import Track
from tensorcore_sim.actions import CardAction, CoreState, SmPhase, SmState
from tensorcore_sim.card.mainloop import Step
from tensorcore_sim.card.tiling import Problem, Tiling, kept_share
from tensorcore_sim.card.timeline import HBM, LATE, SHARED, CardTimeline, Plan
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


def ledger(timeline: CardTimeline, plan: Plan, problem: Problem, tiling: Tiling, step: Step, spec: Spec) -> Ledger:
    """Return the books: states of every SM in whole cycles that sum to the kernel's, and counts.

    A wait for a k-step is charged to HBM if that was through with one of its chunks later than L2, else to L2; the
    instructions' own cycles are split as the tensor cores' were in the middle of a tile (mainloop.step), multiply-adds
    on padding apart.
    """
    spent = np.zeros((plan.n_sms, len(SmState)))
    spent[:, SmState.LAUNCH] = plan.begin
    for state, ticks in _of_tiles(timeline, plan, problem, tiling, step).items():
        np.add.at(spent[:, state], timeline.sm, ticks)
    spent[:, SmState.WAVE] = np.maximum(timeline.end - spent.sum(axis=1), 0)  # a sum of floats may be a hair above
    # Whole cycles that sum to the whole: differences of the rounded running sums.
    sums = np.rint(spent.cumsum(axis=1) / TICKS).astype(np.int64)
    sums[:, -1] = timeline.end // TICKS
    return Ledger(
        cycles=timeline.end // TICKS,
        states={"sm": (SmState, np.diff(sums, axis=1, prepend=0))},
        actions=_actions(timeline, plan, tiling, step, spec),
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
    for sm in range(min(n_units or plan.n_sms, plan.n_sms)):
        tiles = np.flatnonzero(timeline.sm == sm)  # in the order in which they were dealt
        started = timeline.started[tiles]
        # Of a tile: dealt, then the start and the end of each k-step; it is finished when the next one is dealt.
        dealt = timeline.begun[tiles] - TICKS
        steps = np.stack([started, started + plan.step], axis=2).reshape(len(tiles), 2 * plan.n_steps)
        edges = np.concatenate([dealt[:, None], steps], axis=1)
        state = np.full(edges.shape, SmPhase.K_STEP)
        late = (timeline.source[tiles] & LATE).any(axis=2)
        state[:, 0:-1:2] = np.where(late, SmPhase.HBM, SmPhase.L2)
        state[:, 0], state[:, -1] = SmPhase.FILL, SmPhase.DRAIN
        idle = timeline.finished[tiles[-1]] if len(tiles) else plan.begin
        yield Track.within(
            begin,
            end,
            kind="sm",
            name=f"SM {sm}",
            states=SmPhase,
            state=np.concatenate([[SmPhase.LAUNCH], state.ravel(), [SmPhase.WAVE]]),
            edges=np.concatenate([[0], edges.ravel(), [idle, timeline.end]]),
        )


def _of_tiles(
    timeline: CardTimeline, plan: Plan, problem: Problem, tiling: Tiling, step: Step
) -> dict[SmState, np.ndarray]:
    """Return the ticks that each tile spent in each state, f64[tiles]."""
    computed = timeline.started + plan.step
    ready = np.concatenate([timeline.begun[:, None], computed[:, :-1]], axis=1)
    waits = (timeline.started - ready).astype(np.float64)
    from_hbm = (timeline.source & LATE).any(axis=2)
    of_steps = float(step.ticks * plan.n_steps)
    height = np.minimum(tiling.tile_m, problem.m - plan.row * tiling.tile_m)
    width = np.minimum(tiling.tile_n, problem.n - plan.column * tiling.tile_n)
    useful = height * width * problem.k / (tiling.tile_m * tiling.tile_n * tiling.tile_k * plan.n_steps)
    spent = {state: np.zeros(plan.n_tiles) for state in SmState}
    for state, share in step.shares.items():
        spent[_REASON[state]] += share * of_steps
    spent[SmState.PADDING] = spent[SmState.COMPUTE] * (1 - useful)
    spent[SmState.COMPUTE] = spent[SmState.COMPUTE] * useful
    spent[SmState.LOOP] += (plan.step - step.ticks) * plan.n_steps
    spent[SmState.FILL] = waits[:, 0] + TICKS  # and the cycle in which the tile was dealt
    spent[SmState.L2] = (waits * ~from_hbm)[:, 1:].sum(axis=1)
    spent[SmState.HBM] = (waits * from_hbm)[:, 1:].sum(axis=1)
    spent[SmState.DRAIN] = (timeline.finished - computed[:, -1]).astype(np.float64)
    return spent


def _actions(timeline: CardTimeline, plan: Plan, tiling: Tiling, step: Step, spec: Spec) -> dict[str, int]:
    n_steps = plan.n_tiles * plan.n_steps
    last = (np.arange(plan.n_steps) == plan.n_steps - 1).astype(np.int64)
    chunk_bytes = np.stack([plan.a_bytes[plan.row][:, last], plan.b_bytes[plan.column][:, last]], axis=2)
    macs = tiling.tile_m * tiling.tile_n * tiling.tile_k * kept_share(spec)
    return {
        CardAction.MACS: int(macs * n_steps),
        CardAction.MMAS: step.n_mma * n_steps,
        CardAction.SHARED_READ_BYTES: step.port_bytes * n_steps,
        CardAction.SHARED_WRITE_BYTES: int(chunk_bytes.sum()),
        CardAction.L2_READ_BYTES: int(chunk_bytes[timeline.source & SHARED == 0].sum()),
        CardAction.HBM_READ_BYTES: int(chunk_bytes[timeline.source & (HBM | SHARED) == HBM].sum()),
        CardAction.WRITE_BYTES: int(plan.store_bytes.sum()),
    }
