"""From a Timeline to the books and the tracks: how often each action was done, one reason for every cycle of a unit.

A PE that starves in cycle c does so because of what the broadcaster did when c's item would have had to be sent:
1 + broadcast_latency_cycles earlier. Between two sends the broadcaster moves, perhaps pauses and moves on, then is
blocked; `_edges` gives the last cycle of each, as the PEs feel it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cyclekit.jit import kernel
from cyclekit.ledger import Ledger
from cyclekit.trace.tracks import Track
from eie_sim.actions import Action, BroadcasterState, PeState
from eie_sim.capacity import Pauses
from eie_sim.image import PADDING_ENTRY, Image
from eie_sim.spec import Spec
from eie_sim.timeline import DRAIN_CYCLES, Timeline

# Plain numbers for the kernels, which freeze what they find at compile time.
N_STATES = len(PeState)
WEIGHT, PADDING, BUBBLE, POINTER, BLOCKED, MOVE, ARRIVAL, LOAD, DONE, DRAIN = (int(state) for state in PeState)
N_BROADCASTER_STATES = len(BroadcasterState)
B_SEND, B_MOVE, B_BLOCKED, B_LOAD, B_DONE = (int(state) for state in BroadcasterState)
# The states between two pops, in order; interval i ends with the i-th edge, the last with the pop itself.
GAP_STATES = (ARRIVAL, MOVE, LOAD, MOVE, BLOCKED, ARRIVAL)


def account(timeline: Timeline, image: Image, pauses: Pauses, spec: Spec) -> Ledger:
    """Return the books of one run."""
    spent = _count(*_arguments(timeline, image, spec), image.paddings)
    broadcaster = _count_broadcaster(timeline.paused, timeline.resumed, timeline.ready, timeline.sent, timeline.cycles)
    n_broadcasts = len(timeline.column)
    macs, paddings = int(spent[:, PeState.WEIGHT].sum()), int(spent[:, PeState.PADDING].sum())
    actions = {
        Action.BROADCASTS: n_broadcasts,
        Action.ACT_READS: n_broadcasts - (image.layer.bias is not None),
        Action.QUEUE_PUSHES: n_broadcasts * spec.n_pes,
        Action.PTR_READS: timeline.popped.size,
        Action.SPMAT_ROW_READS: int(timeline.row_reads.sum(dtype=np.int64)),
        Action.ENTRIES: macs + paddings,
        Action.PADDINGS: paddings,
        Action.MACS: macs,
        Action.OUTPUTS: image.layer.n_out,
        Action.ACT_SRAM_READS: pauses.act_sram_reads,
        Action.DMA_BITS: pauses.dma_bits,
    }
    states = {"pe": (PeState, spent), "broadcaster": (BroadcasterState, broadcaster)}
    return Ledger(timeline.cycles, states, {action.value: count for action, count in actions.items()})


def states_by_cycle(timeline: Timeline, image: Image, spec: Spec) -> np.ndarray:
    """Return u8[P, cycles]: the PeState of every PE in every cycle, for pictures."""
    spans = (_spans_of_pe(timeline, image, spec, pe, 0, timeline.cycles) for pe in range(spec.n_pes))
    return np.stack([np.repeat(state, np.diff(edges)) for state, edges in spans])


def spans(
    timeline: Timeline, image: Image, spec: Spec, *, begin: int, end: int, n_units: int | None
) -> Iterator[Track]:
    """Yield what the broadcaster and the PEs (None: all, else the first) did after cycle `begin`, up to cycle `end`."""
    sends = np.append(0, timeline.sent)
    gaps = (sends[:-1], timeline.paused, timeline.resumed, timeline.ready - 1, timeline.sent - 1)
    edges = np.append(np.stack(gaps, axis=1), [sends[-1], timeline.cycles])
    state = np.append(np.tile([B_MOVE, B_LOAD, B_MOVE, B_BLOCKED, B_SEND], len(timeline.sent)), B_DONE)
    name = {"kind": "broadcaster", "name": "broadcaster", "states": BroadcasterState}
    yield Track.within(begin, end, state=state, edges=edges, **name)
    for pe in range(min(n_units or spec.n_pes, spec.n_pes)):
        state, edges = _spans_of_pe(timeline, image, spec, pe, begin, end)
        yield Track(kind="pe", name=f"PE {pe}", states=PeState, state=state, edges=edges)


def _spans_of_pe(timeline: Timeline, image: Image, spec: Spec, pe: int, begin: int, end: int):
    """Return the states u8[n] of one PE and their edges i64[n + 1]; entries of two columns are two spans."""
    arguments = *_arguments(timeline, image, spec), image.entries, image.pe_start, pe, begin, end
    n_spans = _spans(*arguments, np.empty(0, np.uint8), np.empty(0, np.int64))  # no room: only counted
    state, edges = np.empty(n_spans, np.uint8), np.empty(n_spans, np.int64)
    _spans(*arguments, state, edges)
    return state, np.append(edges, end)


def _arguments(timeline: Timeline, image: Image, spec: Spec) -> tuple:
    return (
        timeline.column,
        timeline.paused,
        timeline.resumed,
        timeline.ready,
        timeline.sent,
        timeline.popped,
        np.int32(timeline.cycles),
        image.pointers,
        np.int32(1 + spec.broadcast_latency_cycles),
        np.int32(2 - spec.n_pointer_banks),
    )


@kernel
def _edges(k, paused, resumed, ready, sent, delay, cycles):
    """Return the last cycle, as a PE feels it, of: the send before; moves; pause; moves; being blocked."""
    previous = sent[k - 1] if k else 0
    return (
        min(previous + delay, cycles),
        min(paused[k] + delay, cycles),
        min(resumed[k] + delay, cycles),
        min(ready[k] - 1 + delay, cycles),
        min(sent[k] - 1 + delay, cycles),
    )


@kernel
def _count(column, paused, resumed, ready, sent, popped, cycles, pointers, delay, extra, paddings):
    """Count the cycles of every PE in every state, i64[P, states]; what comes after the run's last entry is cut off."""
    n_pes = pointers.shape[1]
    spent = np.zeros((N_STATES, n_pes), np.int32)
    n_entries, n_paddings, n_bubbles = spent[WEIGHT], spent[PADDING], spent[BUBBLE]
    n_blocked, n_arriving = spent[BLOCKED], spent[ARRIVAL]
    busy = np.zeros(n_pes, np.int32)  # the last cycle of the PE's latest column
    for k in range(len(column)):
        begin, end, pads, pops = pointers[column[k]], pointers[column[k] + 1], paddings[column[k]], popped[k]
        edge0, edge1, edge2, edge3, edge4 = _edges(k, paused, resumed, ready, sent, delay, cycles)
        # Many short loops over few arrays each: so the compiler turns every one into vector instructions.
        for pe in range(n_pes):
            n_entries[pe] += end[pe] - begin[pe]
        for pe in range(n_pes):
            n_paddings[pe] += pads[pe]
        for pe in range(n_pes):
            n_bubbles[pe] += (begin[pe] == end[pe]) & (pops[pe] + extra < cycles)
        for pe in range(n_pes):
            n_blocked[pe] += max(0, edge4 - max(edge3, busy[pe]))
        for pe in range(n_pes):
            n_arriving[pe] += max(0, edge0 - busy[pe]) + max(0, min(pops[pe], cycles) - max(edge4, busy[pe]))
        if edge1 > edge0 or edge3 > edge2:
            for pe in range(n_pes):
                spent[MOVE, pe] += max(0, edge1 - max(edge0, busy[pe])) + max(0, edge3 - max(edge2, busy[pe]))
        if edge2 > edge1:
            for pe in range(n_pes):
                spent[LOAD, pe] += max(0, edge2 - max(edge1, busy[pe]))
        if extra:
            for pe in range(n_pes):
                spent[POINTER, pe] += min(pops[pe] + extra, cycles) - min(pops[pe], cycles)
        for pe in range(n_pes):
            busy[pe] = pops[pe] + extra + max(1, end[pe] - begin[pe])
    for pe in range(n_pes):
        spent[WEIGHT, pe] = n_entries[pe] - n_paddings[pe]
        rest = max(0, cycles - busy[pe])
        spent[DRAIN, pe] = min(rest, DRAIN_CYCLES)
        spent[DONE, pe] = rest - spent[DRAIN, pe]
    return np.ascontiguousarray(spent.T).astype(np.int64)


@kernel
def _count_broadcaster(paused, resumed, ready, sent, cycles):
    """Count the cycles of the broadcaster in every state, i64[1, states]; cut off as above."""
    spent = np.zeros((1, N_BROADCASTER_STATES), np.int64)
    previous = 0
    for k in range(len(sent)):
        before, pause, after = min(paused[k], cycles), min(resumed[k], cycles), min(ready[k] - 1, cycles)
        blocked, send = min(sent[k] - 1, cycles), min(sent[k], cycles)
        spent[0, B_MOVE] += before - previous + after - pause
        spent[0, B_LOAD] += pause - before
        spent[0, B_BLOCKED] += blocked - after
        spent[0, B_SEND] += send - blocked
        previous = send
    spent[0, B_DONE] = cycles - previous
    return spent


@kernel
def _put(n, what, since, until, begin, end, state, edges):
    """Note a span, cut to (begin, end], as the n-th if there is room; return how many there are now."""
    since, until = max(since, begin), min(until, end)
    if since >= until:
        return n
    if n < len(state):
        state[n], edges[n] = what, since
    return n + 1


@kernel
def _spans(
    column, paused, resumed, ready, sent, popped, cycles, pointers, delay, extra, entries, pe_start, pe, begin, end,
    state, edges,
):  # fmt: skip
    """Fill in one PE's spans after cycle begin up to cycle end; return their number, with no room only that."""
    n, busy = 0, 0
    for k in range(len(column)):
        if busy >= end:
            return n
        pop = popped[k, pe]
        first, last = pointers[column[k], pe], pointers[column[k] + 1, pe]
        since = busy
        busy = pop + extra + max(1, last - first)
        if busy <= begin:
            continue
        gap_edges = _edges(k, paused, resumed, ready, sent, delay, cycles)
        for i in range(5):
            n = _put(n, GAP_STATES[i], since, gap_edges[i], begin, end, state, edges)
            since = max(since, gap_edges[i])
        n = _put(n, GAP_STATES[5], since, pop, begin, end, state, edges)
        n = _put(n, POINTER, pop, pop + extra, begin, end, state, edges)
        since = pop + extra
        if first == last:
            n = _put(n, BUBBLE, since, busy, begin, end, state, edges)
        for i in range(first, last):
            pads = entries[pe_start[pe] + i] == PADDING_ENTRY
            if i + 1 == last or (entries[pe_start[pe] + i + 1] == PADDING_ENTRY) != pads:
                until = pop + extra + i + 1 - first
                n = _put(n, PADDING if pads else WEIGHT, since, until, begin, end, state, edges)
                since = until
    drained = max(busy, cycles - DRAIN_CYCLES)
    n = _put(n, DONE, busy, drained, begin, end, state, edges)
    return _put(n, DRAIN, drained, cycles, begin, end, state, edges)
