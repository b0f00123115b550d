"""The timing rules of EIE in words, and the Timeline: the arrays of cycle numbers that an engine fills.

n(p,k) = entries of PE p in the column of the k-th broadcast; N = PEs; D = queue_depth. Cycles count from 1.

R1 Two phases: what a unit decides in a cycle rests on what was registered before that cycle.
R2 The activations stand in rows of N lanes. Each cycle the broadcaster sends the row's next non-zero to every PE, if no
   queue holds D-1 items at the start of the cycle. Moving on to the next row takes one cycle, except when the row's
   last non-zero was in the last lane, when it is free; a row without non-zeros takes that one cycle. Moving does not
   wait for queues.
R3 A PE pops when its queue is not empty at the start of the cycle and it is idle or in the last cycle of its column;
   the pop reads both pointers, one from each bank.
R4 A popped column occupies the PE for the following max(1, n) cycles, one entry a cycle, padding included; an empty
   column is one bubble.
R5 A Spmat row is read when the entry's row is not the one held in the latch; the latch survives from column to column.
R6 The run takes until the last cycle in which any PE handles an entry, plus 6 (fill and drain).
R7 A bias is one more column after the inputs, broadcast as 1 from the first lane of a row of its own.

Beyond the paper's simulator, each switched by a field of the Spec and off by default:
R8 Pause: on entering a row that opens a batch (batches), a refill (refills) or the layer (load_phase), after the move,
   the broadcaster waits until every PE has finished all that was sent; then the transfer takes its cycles. A refill
   empties the latches.
R9 lnzd_latency_cycles are added to each pause, and make one at the start of the layer.
R10 A broadcast arrives broadcast_latency_cycles later; it holds its place in the queue from the cycle of its sending.
R11 With one pointer bank the second pointer is read in the cycle after the pop, and the column starts a cycle later.

R1-R7 are those of the authors' public C++ simulator; R8-R11 are this project's (docs/eie.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cyclekit.timeline import Compared

DRAIN_CYCLES = 6  # R6: from the last entry's cycle to the end of the run (authors' simulator)


@dataclass(frozen=True, eq=False)
class Timeline(Compared):
    """When everything happened. K broadcasts, P PEs; cycle numbers count from 1.

    column: i32[K], the column broadcast, n_in standing for the bias.
    paused: i32[K], the last cycle before the pause that precedes the send (of the send before it, where there is none).
    resumed: i32[K], the last cycle of that pause.
    ready: i32[K], the first cycle in which the broadcaster was ready to send.
    sent: i32[K], the cycle of the send.
    popped: i32[K, P], the cycle in which the PE popped it.
    row_reads: i32[P], rows of the Spmat SRAM that the PE has read.
    cycles: the length of the run (R6).
    """

    column: np.ndarray
    paused: np.ndarray
    resumed: np.ndarray
    ready: np.ndarray
    sent: np.ndarray
    popped: np.ndarray
    row_reads: np.ndarray
    cycles: int
