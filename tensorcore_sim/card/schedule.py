"""The rules of card/timeline.py as a jitted recurrence: the engine to sweep with.

Every place has a time for each thing that it can do next; what comes first of all is found in a tournament tree.
"""

from __future__ import annotations

import numpy as np

from cyclekit.jit import kernel
from tensorcore_sim.card.timeline import HBM, L2, LATE, SHARED, CardTimeline, Plan, empty
from tensorcore_sim.spec import TICKS

FAR = np.int64(2**62)  # later than anything
ASK, STORE, TAKE, MULTIPLY = range(4)  # what a place can do next, in the order in which it does them at one time


def timeline(plan: Plan) -> CardTimeline:
    """Return when everything happens in one run of the plan."""
    arrays = empty(plan)
    sizes = (plan.n_sms, plan.n_resident, plan.n_sharing, plan.n_stages, plan.n_steps)
    times = (plan.begin, plan.step, plan.overhead, plan.turn, plan.l2_latency, plan.hbm_latency, plan.l2_bytes)
    a, b = (plan.a_bytes, plan.a_l2, plan.a_hbm), (plan.b_bytes, plan.b_l2, plan.b_hbm)
    tiles = plan.row, plan.column, plan.store_l2, plan.store_hbm, plan.sums_l2
    parts = plan.tile, plan.first, plan.length, plan.blocks
    end = _play(sizes, times, tiles, parts, a, b, plan.in_l2, tuple(arrays.values()))
    return CardTimeline(**arrays, end=-(-end // TICKS) * TICKS)


@kernel
def _play(sizes, times, tiles, parts, a, b, in_l2, arrays):
    """Fill the arrays of the CardTimeline; return the end of the kernel."""
    n_sms, n_resident, n_sharing, n_stages, n_steps = sizes
    begin, step, overhead, turn, l2_latency, hbm_latency, l2_bytes = times
    row, column, store_l2, store_hbm, sums_l2 = tiles
    tile_of, first_of, length_of, blocks = parts
    place_of, begun, finished, requested, arrived, started, source = arrays
    n_rows, n_chunks, n_blocks = len(a[0]), (len(a[0]) + len(b[0])) * n_steps, len(blocks) - 1
    n_places = min(n_sms * n_resident, n_blocks)  # only the lowest ever have a block
    alone = n_resident == 1

    # L2: a list of the chunks in it by use, and since when each is there (-1: it is not)
    in_l2_since = np.full(n_chunks, np.int64(-1))
    chunk_bytes = np.zeros(n_chunks, np.int64)
    older, newer = np.full(n_chunks, np.int64(-1)), np.full(n_chunks, np.int64(-1))
    oldest, newest, used = np.int64(-1), np.int64(-1), np.int64(0)
    for chunk in in_l2:
        last = 1 if chunk % n_steps == n_steps - 1 else 0
        line = chunk // n_steps
        chunk_bytes[chunk] = a[0][line, last] if line < n_rows else b[0][line - n_rows, last]
        used += chunk_bytes[chunk]
        in_l2_since[chunk] = 0
        older[chunk] = newest
        if newest >= 0:
            newer[newest] = chunk
        else:
            oldest = chunk
        newest = chunk

    left = np.zeros(len(row), np.int64)  # parts of a tile whose results are not at L2 yet
    for t in tile_of:
        left[t] += 1
    n_of_tile = left.copy()
    next_block = np.int64(0)
    l2_free, hbm_free = np.int64(0), np.int64(0)
    cores_free = np.zeros(n_sms, np.int64)

    # Of a place: its block's last part, where asking and multiplying are, and how many k-steps they have behind them
    until = np.zeros(n_places, np.int64)
    ask_part, ask_step, n_asked = (
        np.zeros(n_places, np.int64),
        np.zeros(n_places, np.int64),
        np.zeros(n_places, np.int64),
    )
    at_part, at_step, n_begun = np.zeros(n_places, np.int64), np.zeros(n_places, np.int64), np.zeros(n_places, np.int64)
    asked_at, free_at = np.zeros(n_places, np.int64), np.zeros(n_places, np.int64)
    storing = np.zeros(n_places, np.bool_)
    # Of the last n_stages k-steps: chunks, when and how they come, when the k-step is computed
    ring_chunk = np.full((n_places, n_stages, 2), np.int64(-1))
    ring_arrival = np.full((n_places, n_stages, 2), np.int64(-1))
    ring_source = np.zeros((n_places, n_stages, 2), np.uint8)
    ring_computed = np.zeros((n_places, n_stages), np.int64)

    due = np.full((n_places, 4), FAR)
    due[:, TAKE] = begin
    size = 1
    while size < n_places:
        size *= 2
    when = np.full(size, FAR)
    when[:n_places] = begin
    tree = np.zeros(2 * size, np.int64)  # the place of the least time below each node, ties to the lowest
    for i in range(size):
        tree[size + i] = i
    for node in range(size - 1, 0, -1):
        one, other = tree[2 * node], tree[2 * node + 1]
        tree[node] = other if when[other] < when[one] else one

    while True:
        p = tree[1]
        now = when[p]
        if now == FAR:
            return max(hbm_free, finished.max())
        s = p % n_sms
        w = p  # whose times change
        starts = np.int64(-1)
        reached = now + TICKS
        if due[p, ASK] == now:
            part = ask_part[p]
            t, j = tile_of[part], first_of[part] + ask_step[p]
            last = 1 if j == n_steps - 1 else 0
            slot = n_asked[p] % n_stages
            requested[t, j] = asked_at[p] = now
            lowest = s // n_sharing * n_sharing
            for side in range(2):
                place = row[t] if side == 0 else column[t]
                n_bytes, l2_ticks, hbm_ticks = a if side == 0 else b
                chunk = (place if side == 0 else n_rows + place) * n_steps + j
                arrives = np.int64(-1)
                for neighbour in range(lowest, min(lowest + n_sharing, n_sms)):
                    for other in range(neighbour, n_places, n_sms):
                        for one in range(n_stages):
                            if ring_chunk[other, one, side] == chunk and ring_arrival[other, one, side] > reached:
                                arrives = ring_arrival[other, one, side]
                                source[t, j, side] = ring_source[other, one, side] | SHARED
                if arrives < 0:
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
                ring_chunk[p, slot, side] = chunk
                ring_arrival[p, slot, side] = arrives
                ring_source[p, slot, side] = source[t, j, side]
            arrived[t, j] = max(ring_arrival[p, slot, 0], ring_arrival[p, slot, 1])
            n_asked[p] += 1
            ask_step[p] += 1
            if ask_step[p] == length_of[part]:
                ask_part[p] += 1
                ask_step[p] = 0
            due[p, ASK] = FAR
        elif due[p, STORE] == now:
            part = at_part[p]
            t = tile_of[part]
            left[t] -= 1
            l2_free = max(reached, l2_free)
            if left[t] > 0:
                l2_free += sums_l2[t]
                finished[part] = l2_free
            else:
                l2_free += (n_of_tile[t] - 1) * sums_l2[t] + store_l2[t]
                hbm_free = max(reached, hbm_free) + store_hbm[t]
                finished[part] = l2_free + (l2_latency if n_of_tile[t] > 1 else 0)
            free_at[p] = finished[part]
            storing[p] = False
            at_part[p] += 1
            due[p, STORE] = FAR
            if at_part[p] == until[p]:
                due[p, TAKE] = finished[part]
            else:
                begun[at_part[p]] = finished[part]
                place_of[at_part[p]] = p
        elif due[p, TAKE] == now:
            due[p, TAKE] = FAR
            if next_block < n_blocks:
                ask_part[p] = at_part[p] = blocks[next_block]
                until[p] = blocks[next_block + 1]
                next_block += 1
                ask_step[p] = at_step[p] = n_asked[p] = n_begun[p] = 0
                free_at[p] = 0
                begun[at_part[p]] = reached
                place_of[at_part[p]] = p
                asked_at[p] = now
        elif max(due[p, MULTIPLY], cores_free[s]) == now:
            for other in range(s, n_places, n_sms):
                if due[other, MULTIPLY] < due[w, MULTIPLY] or (due[other, MULTIPLY] == due[w, MULTIPLY] and other < w):
                    w = other
            starts = now
        # What it multiplies, at once where no other block can come between; what it can ask for next
        while True:
            if starts < 0 and n_begun[w] < n_asked[w] and not storing[w]:
                slot = n_begun[w] % n_stages
                ready = max(max(ring_arrival[w, slot, 0], ring_arrival[w, slot, 1]), free_at[w])
                if alone:
                    starts = ready
                else:
                    due[w, MULTIPLY] = ready
            if starts < 0:
                break
            part = at_part[w]
            started[tile_of[part], first_of[part] + at_step[w]] = starts
            cores_free[s] = starts + step
            free_at[w] = ring_computed[w, n_begun[w] % n_stages] = starts + step + overhead
            due[w, MULTIPLY] = FAR
            n_begun[w] += 1
            at_step[w] += 1
            if at_step[w] == length_of[part]:
                at_step[w] = 0
                storing[w] = True
                due[w, STORE] = free_at[w] + turn
            starts = np.int64(-1)
        if due[w, ASK] == FAR and ask_part[w] < until[w] and n_asked[w] - n_begun[w] < n_stages:
            due[w, ASK] = asked_at[w] + TICKS
            if n_asked[w] >= n_stages:
                due[w, ASK] = max(due[w, ASK], ring_computed[w, n_asked[w] % n_stages])
        for place in (p, w):
            multiply = due[place, MULTIPLY]
            if multiply < FAR:
                multiply = max(multiply, cores_free[s])
            when[place] = min(min(due[place, ASK], due[place, STORE]), min(due[place, TAKE], multiply))
            node = (size + place) // 2
            while node:
                one, other = tree[2 * node], tree[2 * node + 1]
                tree[node] = other if when[other] < when[one] else one
                node //= 2
            if w == p:
                break
