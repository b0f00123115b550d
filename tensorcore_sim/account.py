"""From a Timeline to the books of its run: what every unit did at every tick, one reason for each."""

from __future__ import annotations

import numpy as np

from cyclekit.ledger import Ledger
from tensorcore_sim.actions import Action, CoreState, PortState
from tensorcore_sim.program import NOTHING, Kind, Program
from tensorcore_sim.spec import TICKS
from tensorcore_sim.timeline import Timeline


def ledger(program: Program, timeline: Timeline) -> Ledger:
    """Return the books of one run, its `cycles` and all states in ticks.

    A tick in which a tensor core does nothing is charged to what its sub-core issues next.
    """
    cores = [_core(program, timeline, subcore) for subcore in range(program.n_subcores)]
    spent = np.array([np.bincount(core, minlength=len(CoreState)) for core in cores])
    is_there = np.arange(program.kind.shape[1]) < program.length[:, None]
    through_port = is_there & ((program.kind == Kind.LOAD) | (program.kind == Kind.WGMMA))
    ends = timeline.served + program.port
    port = np.full(max(timeline.ticks, int(ends[through_port].max(initial=0))), PortState.IDLE, np.int8)
    for begin, end in zip(timeline.served[through_port], ends[through_port], strict=True):
        port[begin:end] = PortState.BUSY
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
            "port": (PortState, np.bincount(port[: timeline.ticks], minlength=len(PortState))[None]),
        },
        actions={action: int((is_there & (program.kind == kind)).sum()) for action, kind in counts.items()}
        | {Action.PORT_TICKS: int(program.port[through_port].sum())},
    )


def _core(program: Program, timeline: Timeline, subcore: int) -> np.ndarray:
    """Return the state of a sub-core's tensor core at every tick, i8[ticks]; what is painted later counts."""
    state = np.full(timeline.ticks, CoreState.DONE, np.int8)
    own = range(subcore, len(program.length), program.n_subcores)
    order = sorted((int(timeline.issued[w, i]), w, i) for w in own for i in range(program.length[w]))
    previous = 0
    for issued, w, i in order:
        _paint_wait(state[previous:issued], previous, program, timeline, w, i)
        previous = issued
    wgmmas = [(w, i) for w, i in np.argwhere(program.kind == Kind.WGMMA).tolist() if i < program.length[w]]
    for w, i in wgmmas:  # of all sub-cores: each takes its share of every one
        state[timeline.issued[w, i] + TICKS : timeline.served[w, i]] = CoreState.PORT
    for w, i in [*wgmmas, *((w, i) for _, w, i in order if program.kind[w, i] in (Kind.MMA, Kind.CLOSE))]:
        begin = timeline.served[w, i]
        end = begin + program.hold[w, i]
        state[begin:end] = CoreState.CLOSE if program.kind[w, i] == Kind.CLOSE else CoreState.COMPUTE
        state[end - program.floor[w, i] : end] = CoreState.FLOOR
    return state


def _paint_wait(wait: np.ndarray, start: int, program: Program, timeline: Timeline, w: int, i: int) -> None:
    """Say why instruction i of warp w was not issued in the ticks of `wait`, the first of which is `start`."""
    needed = program.needs[w, i]
    wait[:] = CoreState.ISSUE
    if needed == NOTHING:
        return
    wait[: max(timeline.ready[w, i] - start, 0)] = CoreState.DEPENDENCY
    if program.kind[w, needed] in (Kind.LOAD, Kind.WGMMA):
        through = min(timeline.served[w, needed] + program.port[w, needed], timeline.ready[w, i])
        wait[: max(through - start, 0)] = CoreState.PORT
    slot = program.hold[w, i - 1] if program.kind[w, i - 1] == Kind.CLOSE else TICKS
    wait[: max(timeline.issued[w, i - 1] + slot - start, 0)] = CoreState.ISSUE
