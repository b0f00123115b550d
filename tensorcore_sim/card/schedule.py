"""The rules of card_timeline.py as a jitted recurrence: the engine to sweep with.

Requests are worked out in order of (time, SM). An SM's next request is known once the one before is, so that one time
for each SM is all that is kept.
"""

from __future__ import annotations

import numpy as np

from cyclekit.jit import kernel
from tensorcore_sim.card.timeline import HBM, L2, LATE, SHARED, CardTimeline, Plan, empty
from tensorcore_sim.spec import TICKS

FAR = np.int64(2**62)  # later than anything
TAKE, LOAD, STORE = range(3)  # what an SM does next


def timeline(plan: Plan) -> CardTimeline:
    """Return when everything happens in one run of the plan."""
    arrays = empty(plan)
    sizes = (plan.n_sms, plan.n_sharing, plan.n_stages, plan.n_steps)
    times = (plan.begin, plan.step, plan.l2_latency, plan.hbm_latency, plan.l2_bytes)
    a, b = (plan.a_bytes, plan.a_l2, plan.a_hbm), (plan.b_bytes, plan.b_l2, plan.b_hbm)
    tiles = plan.row, plan.column, plan.store_l2, plan.store_hbm
    end = _play(sizes, times, tiles, a, b, tuple(arrays.values()))
    return CardTimeline(**arrays, end=-(-end // TICKS) * TICKS)


@kernel
def _play(sizes, times, tiles, a, b, arrays):
    """Fill the arrays of the CardTimeline; return the end of the kernel."""
    n_sms, n_sharing, n_stages, n_steps = sizes
    begin, step, l2_latency, hbm_latency, l2_bytes = times
    row, column, store_l2, store_hbm = tiles
    sm, begun, finished, requested, arrived, started, source = arrays
    n_rows, n_chunks = len(a[0]), (len(a[0]) + len(b[0])) * n_steps
    in_l2_since = np.full(n_chunks, np.int64(-1))  # when a chunk gets there; -1: it is not in L2
    chunk_bytes = np.zeros(n_chunks, np.int64)
    older, newer = np.full(n_chunks, np.int64(-1)), np.full(n_chunks, np.int64(-1))
    oldest, newest, used = np.int64(-1), np.int64(-1), np.int64(0)
    tile = np.full(n_sms, np.int64(-1))
    at_step = np.zeros(n_sms, np.int64)
    # When the chunks of an SM's tile arrive; only the lowest SMs ever have one.
    at_chunk = np.full((min(n_sms, len(row)), n_steps, 2), np.int64(-1))
    mode = np.full(n_sms, TAKE)
    next_time = np.full(n_sms, np.int64(begin))
    next_tile = np.int64(0)
    l2_free, hbm_free = np.int64(0), np.int64(0)
    while True:
        s = np.int64(0)
        for other in range(1, n_sms):
            if next_time[other] < next_time[s]:
                s = np.int64(other)
        now = next_time[s]
        if now == FAR:
            return max(hbm_free, finished.max())
        if mode[s] == TAKE:
            if next_tile == len(row):
                next_time[s] = FAR
                continue
            tile[s] = next_tile
            sm[next_tile] = s
            begun[next_tile] = next_time[s] = now + TICKS
            at_step[s] = 0
            at_chunk[s, :, :] = -1
            mode[s] = LOAD
            next_tile += 1
            continue
        t = tile[s]
        reached = now + TICKS
        if mode[s] == STORE:
            l2_free = max(reached, l2_free) + store_l2[t]
            hbm_free = max(reached, hbm_free) + store_hbm[t]
            finished[t] = next_time[s] = l2_free
            mode[s] = TAKE
            continue
        j = at_step[s]
        last = 1 if j == n_steps - 1 else 0
        requested[t, j] = now
        for side in range(2):
            place = row[t] if side == 0 else column[t]
            n_bytes, l2_ticks, hbm_ticks = a if side == 0 else b
            first = s // n_sharing * n_sharing
            arrives = np.int64(-1)
            for other in range(first, min(first + n_sharing, n_sms)):
                u = tile[other]
                same = other != s and u >= 0 and (row[u] if side == 0 else column[u]) == place
                if same and at_chunk[other, j, side] > reached:
                    arrives = at_chunk[other, j, side]
                    source[t, j, side] = source[u, j, side] | SHARED
            if arrives < 0:
                chunk = (place if side == 0 else n_rows + place) * n_steps + j
                l2_free = max(reached, l2_free) + l2_ticks[place, last]
                arrives = l2_free + l2_latency
                source[t, j, side] = L2
                if in_l2_since[chunk] >= 0:  # out of the list of use
                    if older[chunk] >= 0:
                        newer[older[chunk]] = newer[chunk]
                    else:
                        oldest = newer[chunk]
                    if newer[chunk] >= 0:
                        older[newer[chunk]] = older[chunk]
                    else:
                        newest = older[chunk]
                else:
                    hbm_free = max(reached, hbm_free) + hbm_ticks[place, last]
                    in_l2_since[chunk] = hbm_free + hbm_latency
                    source[t, j, side] = HBM
                    chunk_bytes[chunk] = n_bytes[place, last]
                    used += n_bytes[place, last]
                older[chunk], newer[chunk] = newest, -1
                if newest >= 0:
                    newer[newest] = chunk
                else:
                    oldest = chunk
                newest = chunk
                if in_l2_since[chunk] > arrives:
                    arrives = in_l2_since[chunk]
                    source[t, j, side] += LATE
                while used > l2_bytes:  # the oldest leave; a chunk larger than L2 does not stay either
                    gone = oldest
                    used -= chunk_bytes[gone]
                    in_l2_since[gone] = -1
                    oldest = newer[gone]
                    if oldest >= 0:
                        older[oldest] = -1
                    else:
                        newest = -1
            at_chunk[s, j, side] = arrives
        arrived[t, j] = max(at_chunk[s, j, 0], at_chunk[s, j, 1])
        started[t, j] = arrived[t, j] if j == 0 else max(arrived[t, j], started[t, j - 1] + step)
        at_step[s] = j + 1
        if j + 1 == n_steps:
            mode[s] = STORE
            next_time[s] = started[t, j] + step
        else:
            next_time[s] = now + TICKS
            if j + 1 >= n_stages:
                next_time[s] = max(next_time[s], started[t, j + 1 - n_stages] + step)
