"""The rules of timeline.py as a jitted recurrence: the engine to sweep with.

Issues are worked out in order of (time, sub-core). That is also the order in which they reach the port, so all times of
an instruction are known when it is issued, and no sub-core's next issue depends on what another one does at that time.
"""

from __future__ import annotations

import numpy as np

from cyclekit.jit import kernel
from tensorcore_sim.sm.program import Kind, Program
from tensorcore_sim.sm.timeline import NEVER, Timeline
from tensorcore_sim.spec import TICKS

MMA, LOAD, CLOSE, WGMMA = (int(Kind[name]) for name in ("MMA", "LOAD", "CLOSE", "WGMMA"))
FAR = np.int64(2**62)  # later than anything


def timeline(program: Program) -> Timeline:
    """Return when everything happens in one run of the program."""
    ready, issued, served, completed = (np.full(program.kind.shape, NEVER, np.int64) for _ in range(4))
    _play(
        program.n_subcores,
        program.length,
        program.kind,
        program.hold,
        program.port,
        program.latency,
        program.needs,
        ready,
        issued,
        served,
        completed,
    )
    return Timeline(ready, issued, served, completed)


@kernel
def _play(n_subcores, length, kind, hold, port, latency, needs, ready, issued, served, completed):
    """Fill the arrays of the Timeline."""
    n_warps = len(length)
    head = np.zeros(n_warps, np.int64)
    last_issue = np.full(n_warps, -1, np.int64)
    warp_free = np.zeros(n_warps, np.int64)
    scheduler_free, core_free = np.zeros(n_subcores, np.int64), np.zeros(n_subcores, np.int64)
    next_time, next_warp = np.full(n_subcores, FAR), np.full(n_subcores, -1, np.int64)
    port_free, cores_free = np.int64(0), np.int64(0)
    stale = np.ones(n_subcores, np.bool_)
    while True:
        best = -1
        for s in range(n_subcores):
            if stale[s]:
                stale[s] = False
                next_time[s], next_warp[s] = FAR, -1
                for w in range(s, n_warps, n_subcores):
                    i = head[w]
                    if i == length[w]:
                        continue
                    ready[w, i] = warp_free[w]
                    if needs[w, i] >= 0:
                        ready[w, i] = max(warp_free[w], completed[w, needs[w, i]])
                    time = max(ready[w, i], scheduler_free[s])
                    if kind[w, i] == MMA or kind[w, i] == CLOSE:
                        time = max(time, core_free[s])
                    earlier = time < next_time[s]
                    if earlier or (time == next_time[s] and last_issue[w] < last_issue[next_warp[s]]):
                        next_time[s], next_warp[s] = time, w
            if next_warp[s] >= 0 and (best < 0 or next_time[s] < next_time[best]):
                best = s
        if best < 0:
            return
        now, w = next_time[best], next_warp[best]
        i = head[w]
        issued[w, i] = now
        slot = np.int64(TICKS)
        if kind[w, i] == MMA or kind[w, i] == CLOSE:
            core_free[best] = now + hold[w, i]
            served[w, i] = now
            if kind[w, i] == CLOSE:
                slot = hold[w, i]
        else:
            start = max(now + TICKS, port_free)
            if kind[w, i] == WGMMA:
                start = max(start, cores_free)
                cores_free = start + hold[w, i]
            port_free = start + port[w, i]
            served[w, i] = start
        completed[w, i] = served[w, i] + latency[w, i]
        head[w] += 1
        last_issue[w] = now
        warp_free[w] = now + slot
        scheduler_free[best] = now + slot
        stale[best] = True
