"""The rules of timeline.py as a jitted recurrence: the engine to sweep with.

With m(k) rows moved over since the last send:
sent(k) = max(sent(k-1) + 1 + m(k), max_p pop(p, k-D+1) + 1)
pop(p,k) = max(sent(k) + 1, pop(p,k-1) + max(1, n(p,k-1)))
and a pause between send k-1 and send k splits m(k) into the moves before and after it.
"""

from __future__ import annotations

import numpy as np

from cyclekit.jit import kernel
from eie_sim.capacity import Pauses
from eie_sim.image import Image
from eie_sim.spec import Spec
from eie_sim.timeline import DRAIN_CYCLES, Timeline

NO_PAUSE = -1


def timeline(image: Image, non_zero: np.ndarray, pauses: Pauses, spec: Spec, progress=None) -> Timeline:
    """Return when everything happens in one run of the layer; non_zero: bool[in], the activations to broadcast.

    progress, which every engine takes, is not called: this one is over at once.
    """
    column, row, moves = _walk(non_zero, spec.n_pes, image.n_columns > len(non_zero))
    if pauses.any:
        before, transfer, after, refill = _split_moves(row, moves, pauses)
    else:
        before, transfer, after = np.zeros_like(moves), np.full_like(moves, NO_PAUSE), moves
        refill = np.zeros(len(moves), bool)
    n_broadcasts = len(column)
    paused, resumed, ready, sent = (np.empty(n_broadcasts, np.int32) for _ in range(4))
    popped = np.empty((n_broadcasts, spec.n_pes), np.int32)
    row_reads = np.zeros(spec.n_pes, np.int32)
    last = _play(
        image.pointers,
        column,
        before,
        transfer,
        after,
        refill,
        spec.queue_depth - 1,
        spec.broadcast_latency_cycles,
        2 - spec.n_pointer_banks,
        spec.entries_per_row.bit_length() - 1,
        paused,
        resumed,
        ready,
        sent,
        popped,
        row_reads,
    )
    return Timeline(column, paused, resumed, ready, sent, popped, row_reads, int(last) + DRAIN_CYCLES)


def _split_moves(row: np.ndarray, moves: np.ndarray, pauses: Pauses) -> tuple[np.ndarray, ...]:
    """Return moves before the first pause since the last send, cycles in pauses (NO_PAUSE: none), moves after the last.

    Moves between two pauses of one gap count with the pauses. Also returns whether one of them is a refill.
    """
    opens = np.flatnonzero(pauses.cycles)
    previous = np.concatenate(([-1], row))[:-1]  # the layer's start enters row 0
    first, behind = np.searchsorted(opens, previous, "right"), np.searchsorted(opens, row, "right")
    has = behind > first
    first_row = opens[np.where(has, first, 0)]
    last_row = opens[np.where(has, behind - 1, 0)]
    cycles_up_to = np.cumsum(np.concatenate(([0], pauses.cycles[opens])))
    refills_up_to = np.cumsum(np.concatenate(([0], pauses.refill[opens])))
    after = np.where(has, row - last_row, moves)
    between = np.where(has, last_row - first_row, 0)
    before = moves - after - between
    transfer = np.where(has, cycles_up_to[behind] - cycles_up_to[first] + between, NO_PAUSE)
    refill = refills_up_to[behind] > refills_up_to[first]
    return before.astype(np.int32), transfer.astype(np.int32), after.astype(np.int32), refill


@kernel
def _walk(non_zero, n_pes, has_bias):
    """Return the broadcasts' columns, their rows of activations, and the moves before each; i32[K]."""
    n_broadcasts = np.count_nonzero(non_zero) + has_bias
    column, row, moves = (
        np.empty(n_broadcasts, np.int32),
        np.empty(n_broadcasts, np.int32),
        np.empty(n_broadcasts, np.int32),
    )
    k, lane, at_row, free = 0, 0, 0, False
    n_moves = 0
    for j in range(len(non_zero)):
        if non_zero[j]:
            column[k], row[k], moves[k] = j, at_row, n_moves
            k += 1
            n_moves = 0
            free = lane == n_pes - 1
        lane += 1
        if lane == n_pes or j == len(non_zero) - 1:
            n_moves += not free
            lane, free = 0, False
            at_row += 1
    if has_bias:  # R7
        column[k], row[k], moves[k] = len(non_zero), at_row, n_moves
    return column, row, moves


@kernel
def _play(
    pointers,
    column,
    before,
    transfer,
    after,
    refill,
    n_places,
    latency,
    extra,
    row_shift,
    paused,
    resumed,
    ready,
    sent,
    popped,
    row_reads,
):
    """Fill the arrays of the Timeline; return the last cycle in which a PE handles an entry."""
    n_pes = pointers.shape[1]
    last_busy = np.zeros(n_pes, np.int32)  # the last cycle of the PE's column so far
    latch = np.full(n_pes, -1, np.int32)
    latest_pop = np.empty(len(column), np.int32)
    previous, last_entry = np.int32(0), np.int32(0)
    for k in range(len(column)):
        paused[k] = previous
        resumed[k] = previous
        if transfer[k] != NO_PAUSE:
            paused[k] = previous + before[k]
            resumed[k] = max(paused[k], last_busy.max()) + transfer[k]
            if refill[k]:
                latch[:] = -1
        ready[k] = resumed[k] + 1 + after[k]
        sent[k] = ready[k]
        if k >= n_places:
            sent[k] = max(ready[k], latest_pop[k - n_places] + 1)
        previous = sent[k]
        arrival = np.int32(previous + 1 + latency)
        begin, end = pointers[column[k]], pointers[column[k] + 1]
        pop = popped[k]
        latest = 0
        # Short loops over few arrays each: so the compiler turns every one into vector instructions.
        for pe in range(n_pes):
            pop[pe] = max(arrival, last_busy[pe])
            latest = max(latest, pop[pe])
        for pe in range(n_pes):
            n = end[pe] - begin[pe]
            last_busy[pe] = pop[pe] + extra + max(n, 1)
            last_entry = max(last_entry, last_busy[pe] if n > 0 else 0)
        for pe in range(n_pes):
            first_row, last_row = begin[pe] >> row_shift, (end[pe] - 1) >> row_shift
            some = end[pe] > begin[pe]
            row_reads[pe] += last_row - first_row + (first_row != latch[pe]) if some else 0
            latch[pe] = last_row if some else latch[pe]
        latest_pop[k] = latest
    return last_entry
