"""What an SM is at between the k-steps that its tensor cores multiply: the one rule behind books and traces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cyclekit.jit import kernel
from tensorcore_sim.card.timeline import LATE, CardTimeline, Plan
from tensorcore_sim.spec import TICKS

FILL, L2, HBM = range(3)  # what the last stretch of a gap waits for
LOOP, DRAIN = 3, 4  # and what the two before it are


@dataclass(frozen=True, eq=False, kw_only=True)
class Gaps:
    """Of every k-step, an SM's in the order in which they are multiplied, what happened since the one before.

    edges: i64[k-steps, 3]. Up to the first the block's own barrier and pointers, up to the second a result on its way
    out, up to the third, when the k-step starts, a wait. waits_for: u8[k-steps], FILL, L2 or HBM.
    of_sm: i64[n_sms + 1], an SM's are from of_sm[sm] up to of_sm[sm + 1]. tail: i64[n_sms, 2], the first two edges
    after its last k-step; then there is no tile left. An SM without one: from begin on. spent: i64[n_sms, 5], the
    ticks of FILL, L2, HBM, LOOP and DRAIN.
    """

    edges: np.ndarray
    waits_for: np.ndarray
    of_sm: np.ndarray
    tail: np.ndarray
    spent: np.ndarray


def gaps(timeline: CardTimeline, plan: Plan) -> Gaps:
    """Return the gaps of a run."""
    by_place = np.lexsort((timeline.begun, timeline.place))  # parts: a place's one after the other
    lengths = np.zeros(plan.n_sms, np.int64)
    np.add.at(lengths, timeline.place % plan.n_sms, plan.length)
    n_steps = int(lengths.sum())
    between = Gaps(
        edges=np.empty((n_steps, 3), np.int64),
        waits_for=np.empty(n_steps, np.uint8),
        of_sm=np.concatenate([[0], lengths.cumsum()]),
        tail=np.full((plan.n_sms, 2), plan.begin, np.int64),
        spent=np.zeros((plan.n_sms, 5), np.int64),
    )
    dealt = np.zeros(plan.n_parts, np.bool_)
    dealt[plan.blocks[:-1]] = True
    _walk(
        (plan.n_sms, plan.n_resident, plan.begin, plan.step, plan.overhead),
        (plan.tile, plan.first, plan.length, dealt),
        (timeline.place, timeline.begun, timeline.finished, timeline.started, timeline.source),
        (by_place, np.searchsorted(timeline.place[by_place], np.arange(plan.n_places + 1))),
        (between.edges, between.waits_for, between.of_sm, between.tail, between.spent),
    )
    return between


@kernel
def _walk(sizes, parts, times, order, results):
    n_sms, n_resident, begin, step, overhead = sizes
    tile_of, first_of, length_of, dealt = parts
    _, begun, finished, started, source = times
    by_place, of_place = order
    edges, waits_for, of_sm, tail, spent = results
    at = np.zeros(n_resident, np.int64)  # an SM's places: where in by_place, at which k-step, its last one computed
    at_step, computed = np.zeros(n_resident, np.int64), np.zeros(n_resident, np.int64)
    for sm in range(n_sms):
        ended, out = np.int64(begin), np.int64(begin)
        for r in range(n_resident):
            at[r], at_step[r], computed[r] = of_place[r * n_sms + sm], 0, 0
        for i in range(of_sm[sm], of_sm[sm + 1]):
            r, starts = -1, np.int64(0)
            for other in range(n_resident):
                if at[other] < of_place[other * n_sms + sm + 1]:
                    part = by_place[at[other]]
                    when = started[tile_of[part], first_of[part] + at_step[other]]
                    if r < 0 or when < starts:
                        r, starts = other, when
            part = by_place[at[r]]
            t, j = tile_of[part], first_of[part] + at_step[r]
            edges[i, 0] = edges[i, 1] = min(max(computed[r], ended), starts)
            waits_for[i] = HBM if (source[t, j, 0] | source[t, j, 1]) & LATE else L2
            if at_step[r] == 0:
                dealt_at = begun[part] - (TICKS if dealt[part] else 0)
                edges[i, 1] = min(max(dealt_at, edges[i, 0]), starts)
                waits_for[i] = FILL
            edges[i, 2] = starts
            spent[sm, LOOP] += edges[i, 0] - ended
            spent[sm, DRAIN] += edges[i, 1] - edges[i, 0]
            spent[sm, waits_for[i]] += starts - edges[i, 1]
            ended, computed[r] = starts + step, starts + step + overhead
            at_step[r] += 1
            if at_step[r] == length_of[part]:
                out = max(out, finished[part])
                at[r] += 1
                at_step[r] = 0
        if of_sm[sm] < of_sm[sm + 1]:
            tail[sm, 0] = ended + overhead
            tail[sm, 1] = max(out, ended + overhead)
            spent[sm, LOOP] += overhead
            spent[sm, DRAIN] += tail[sm, 1] - tail[sm, 0]
