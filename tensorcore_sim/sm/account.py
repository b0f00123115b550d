"""From a Timeline to the books of its run: what every unit did at every tick, one reason for each."""

from __future__ import annotations

import numpy as np

from cyclekit.jit import kernel
from cyclekit.ledger import Ledger
from tensorcore_sim.actions import Action, CoreState, PortState
from tensorcore_sim.sm.program import NOTHING, Kind, Program
from tensorcore_sim.sm.timeline import Timeline
from tensorcore_sim.spec import TICKS

MMA, LOAD, CLOSE, WGMMA = (int(Kind[name]) for name in ("MMA", "LOAD", "CLOSE", "WGMMA"))
COMPUTE, FLOOR, CLOSED, ISSUE, PORT, DEPENDENCY, DONE = (
    int(CoreState[name]) for name in ("COMPUTE", "FLOOR", "CLOSE", "ISSUE", "PORT", "DEPENDENCY", "DONE")
)


def ledger(program: Program, timeline: Timeline) -> Ledger:
    """Return the books of one run, its `cycles` and all states in ticks.

    A tick in which a tensor core does nothing is charged to what its sub-core issues next.
    """
    cores = [_core(program, timeline, subcore) for subcore in range(program.n_subcores)]
    spent = np.array([np.bincount(core, minlength=len(CoreState)) for core in cores])
    is_there = np.arange(program.kind.shape[1]) < program.length[:, None]
    through_port = is_there & ((program.kind == Kind.LOAD) | (program.kind == Kind.WGMMA))
    ends = timeline.served + program.port
    # The port serves one at a time, so what it serves never overlaps; its last pass may end after the last result.
    busy = int((np.minimum(ends, timeline.ticks) - np.minimum(timeline.served, timeline.ticks))[through_port].sum())
    counts = {
        Action.MMAS: Kind.MMA,
        Action.WGMMAS: Kind.WGMMA,
        Action.LOADS: Kind.LOAD,
        Action.CLOSES: Kind.CLOSE,
    }
    return Ledger(
        cycles=timeline.ticks,
        states={
            "core": (CoreState, spent),
            "port": (PortState, np.array([[busy, timeline.ticks - busy]])),
        },
        actions={action: int((is_there & (program.kind == kind)).sum()) for action, kind in counts.items()}
        | {Action.PORT_TICKS: int(program.port[through_port].sum())},
    )


def _core(program: Program, timeline: Timeline, subcore: int) -> np.ndarray:
    """Return the state of a sub-core's tensor core at every tick, i8[ticks]."""
    is_there = np.arange(program.kind.shape[1]) < program.length[:, None]
    wgmmas = np.argwhere(is_there & (program.kind == Kind.WGMMA))
    is_there[np.arange(len(program.length)) % program.n_subcores != subcore] = False
    own = np.argwhere(is_there)
    own = own[np.argsort(timeline.issued[is_there], kind="stable")]
    state = np.full(timeline.ticks, DONE, np.int8)
    arrays = program.kind, program.hold, program.floor, program.port, program.needs
    _paint(state, own, wgmmas, *arrays, timeline.ready, timeline.issued, timeline.served)
    return state


@kernel
def _paint(state, own, wgmmas, kind, hold, floor, port, needs, ready, issued, served):
    """Fill a sub-core's states; what is painted later counts. own: its instructions in the order of their issue."""
    previous = np.int64(0)
    for w, i in own:
        # Why it was not issued before: of the ticks since the last issue, from the front.
        begin, end = previous, issued[w, i]
        state[begin:end] = ISSUE
        needed = needs[w, i]
        if needed != NOTHING:
            state[begin : min(max(ready[w, i], begin), end)] = DEPENDENCY
            if kind[w, needed] == LOAD or kind[w, needed] == WGMMA:
                through = min(served[w, needed] + port[w, needed], ready[w, i])
                state[begin : min(max(through, begin), end)] = PORT
            slot = hold[w, i - 1] if kind[w, i - 1] == CLOSE else TICKS
            state[begin : min(max(issued[w, i - 1] + slot, begin), end)] = ISSUE
        previous = end
    for w, i in wgmmas:  # of all sub-cores: each takes its share of every one
        state[issued[w, i] + TICKS : served[w, i]] = PORT
    for w, i in wgmmas:
        end = served[w, i] + hold[w, i]
        state[served[w, i] : end] = COMPUTE
        state[end - floor[w, i] : end] = FLOOR
    for w, i in own:
        if kind[w, i] == MMA or kind[w, i] == CLOSE:
            end = served[w, i] + hold[w, i]
            state[served[w, i] : end] = CLOSED if kind[w, i] == CLOSE else COMPUTE
            state[end - floor[w, i] : end] = FLOOR
