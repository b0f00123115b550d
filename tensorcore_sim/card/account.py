"""From a CardTimeline to the books and tracks of a GEMM: where every cycle of every SM went, how much was done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from cyclekit.ledger import Ledger
from cyclekit.trace import Track
from tensorcore_sim.actions import CardAction, CoreState, SmPhase, SmState
from tensorcore_sim.card.gaps import FILL, HBM, L2, gaps
from tensorcore_sim.card.mainloop import Step
from tensorcore_sim.card.plan import SUM_BYTES
from tensorcore_sim.card.tiling import Problem, Tiling, kept_share
from tensorcore_sim.card.timeline import HBM as FROM_HBM
from tensorcore_sim.card.timeline import SHARED, CardTimeline, Plan
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

_WAITS = np.array([SmPhase.FILL, SmPhase.L2, SmPhase.HBM])  # by gaps.py's numbers


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
    between = gaps(timeline, plan)
    lengths = np.diff(between.of_sm)
    sm = np.repeat(np.arange(plan.n_sms), lengths)

    def of_sms(ticks: np.ndarray) -> np.ndarray:
        return np.bincount(sm, ticks, plan.n_sms)

    ended = np.append(0, between.edges[:-1, 2] + plan.step)
    ended[between.of_sm[:-1][lengths > 0]] = plan.begin
    loop, drain, wait = np.diff(between.edges, axis=1, prepend=ended[:, None]).T
    height = np.minimum(tiling.tile_m, problem.m - plan.row * tiling.tile_m)
    width = np.minimum(tiling.tile_n, problem.n - plan.column * tiling.tile_n)
    useful = height * width * problem.k / (tiling.tile_m * tiling.tile_n * tiling.tile_k * plan.n_steps)
    spent = {state: np.zeros(plan.n_sms) for state in SmState}
    for state, share in step.shares.items():
        spent[_REASON[state]] += share * plan.step * lengths
    of_problem = of_sms(useful[between.tile]) * plan.step * step.shares[CoreState.COMPUTE]
    spent[SmState.PADDING] = spent[SmState.COMPUTE] - of_problem
    spent[SmState.COMPUTE] = of_problem
    spent[SmState.LAUNCH] += plan.begin
    spent[SmState.LOOP] += of_sms(loop) + between.tail[:, 0] - between.ended
    spent[SmState.DRAIN] = of_sms(drain) + between.tail[:, 1] - between.tail[:, 0]
    for state, reason in ((SmState.FILL, FILL), (SmState.L2, L2), (SmState.HBM, HBM)):
        spent[state] = of_sms(np.where(between.waits_for == reason, wait, 0))
    return spent


def _actions(timeline: CardTimeline, plan: Plan, tiling: Tiling, step: Step, spec: Spec) -> dict[str, int]:
    n_steps = plan.n_tiles * plan.n_steps
    last = (np.arange(plan.n_steps) == plan.n_steps - 1).astype(np.int64)
    chunk_bytes = np.stack([plan.a_bytes[plan.row][:, last], plan.b_bytes[plan.column][:, last]], axis=2)
    macs = tiling.tile_m * tiling.tile_n * tiling.tile_k * kept_share(spec)
    of_tile = np.bincount(plan.tile, minlength=plan.n_tiles) - 1  # parts whose sums another one reads
    return {
        CardAction.MACS: int(macs * n_steps),
        CardAction.MMAS: step.n_mma * n_steps,
        CardAction.SHARED_READ_BYTES: step.port_bytes * n_steps,
        CardAction.SHARED_WRITE_BYTES: int(chunk_bytes.sum()),
        CardAction.L2_READ_BYTES: int(chunk_bytes[timeline.source & SHARED == 0].sum()),
        CardAction.HBM_READ_BYTES: int(chunk_bytes[timeline.source & (FROM_HBM | SHARED) == FROM_HBM].sum()),
        CardAction.SUM_BYTES: 2 * int((of_tile * (plan.store_bytes // spec.output_bytes)).sum()) * SUM_BYTES,
        CardAction.WRITE_BYTES: int(plan.store_bytes.sum()),
    }
