"""The timing rules of a GEMM on a whole card in words, its Plan in ticks, and the Timeline that an engine fills.

Times are whole ticks of a tenth of a cycle. A chunk is a tile's rows of A, or its columns of B, in one k-step. A part
is a tile, or a run of its k-steps. A block is a list of parts; an SM has places for one block or more.

G1 The kernel starts after launch_us. Blocks are dealt in order; a place that is free at a time gets the next one a
   cycle later, of several the lowest first. The first place of every SM is lower than the second of any.
G2 A block asks for the k-steps of its parts in order, one a cycle: k-step j when a stage is free, so the first n_stages
   at once and then each when k-step j - n_stages has been computed. It runs on into its next part while the result of
   the one before is on its way. The request reaches L2 a cycle later.
G3 L2 takes requests in the order in which they reach it, ties to the lowest place, of a place to a k-step before a
   result, of a k-step to A's chunk before B's. Each holds L2 for its bytes at l2_bytes_per_cycle; the data are in
   shared memory l2_latency_cycles later.
G4 A chunk that a block on an SM of the same group (n_sms_sharing_reads neighbours) has asked for and that is still on
   its way is not served again: it arrives with that one.
G5 L2 keeps the chunks used last, l2_bytes of them. A chunk that is not there comes from HBM, which holds one at a time
   for its bytes at hbm_gb_per_s x hbm_share and takes hbm_latency_cycles; it arrives when both L2 and HBM are through.
   A chunk that is there but still on its way from HBM arrives no earlier than that.
G6 A k-step is ready when both chunks are there, k_step_overhead_cycles after the block's one before was multiplied, and
   of a later part when the result of the one before is out. The tensor cores of an SM multiply one k-step at a time,
   the one that has been ready longest, ties to the lowest place; it takes the time of its instructions (mainloop.py),
   and is computed k_step_overhead_cycles later.
G7 After its last k-step the result of a part is turned round in shared memory and goes through L2 like a request: of a
   whole tile as output_bytes an element, which go through HBM too from when they reach L2; of a part of a tile as the
   f32 sums, which stay in L2. The part that reaches L2 last of a tile's reads the others' sums there,
   l2_latency_cycles more, and stores the tile. The block's place is free when L2 has taken its last. The kernel ends,
   at a full cycle, when L2 and HBM have taken all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cyclekit.timeline import Compared

NEVER = -1
L2, HBM = 0, 1  # where a chunk came from
SHARED, LATE = 2, 4  # added to it: by another block's request; HBM was through with it later than L2


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """A GEMM in ticks. Of tiles: row, column, of the result store_bytes, store_l2, store_hbm, of its f32 sums sums_l2.

    Of parts: tile, first k-step and length, i64[parts] each; block i has the parts from blocks[i] up to blocks[i + 1].
    Of chunks, by row (a) or column (b) of tiles and, last axis, a k-step before the last or the last one: bytes, ticks
    of L2, ticks of HBM i64[rows or columns, 2]. A chunk's number: its row, or rows + its column, x n_steps + k-step.
    in_l2: the numbers of the chunks that L2 holds at the start, the one used longest ago first.
    """

    n_sms: int
    n_resident: int
    n_sharing: int
    n_stages: int
    n_steps: int
    begin: int
    step: int
    overhead: int
    turn: int
    l2_latency: int
    hbm_latency: int
    l2_bytes: int
    row: np.ndarray
    column: np.ndarray
    store_bytes: np.ndarray
    store_l2: np.ndarray
    store_hbm: np.ndarray
    sums_l2: np.ndarray
    tile: np.ndarray
    first: np.ndarray
    length: np.ndarray
    blocks: np.ndarray
    a_bytes: np.ndarray
    a_l2: np.ndarray
    a_hbm: np.ndarray
    b_bytes: np.ndarray
    b_l2: np.ndarray
    b_hbm: np.ndarray
    in_l2: np.ndarray

    @property
    def n_tiles(self) -> int:
        return len(self.row)

    @property
    def n_parts(self) -> int:
        return len(self.tile)

    @property
    def n_places(self) -> int:
        """Return how many places there are; place p is on SM p modulo n_sms."""
        return self.n_sms * self.n_resident


@dataclass(frozen=True, eq=False)
class CardTimeline(Compared):
    """When everything happened, in ticks.

    place, begun, finished: i64[parts]: where; dealt, or the part before in the block finished; through L2. asked,
    arrived, started: i64[tiles, k-steps], of the request, of its later chunk and of multiplying. source: u8[tiles,
    k-steps, 2], where the chunks of A and B came from, and how. end: of the kernel.
    """

    place: np.ndarray
    begun: np.ndarray
    finished: np.ndarray
    asked: np.ndarray
    arrived: np.ndarray
    started: np.ndarray
    source: np.ndarray
    end: int


def empty(plan: Plan) -> dict[str, np.ndarray]:
    """Return the arrays of a CardTimeline that are filled as it is played."""
    steps = plan.n_tiles, plan.n_steps
    of_parts = {name: np.full(plan.n_parts, NEVER, np.int64) for name in ("place", "begun", "finished")}
    of_steps = {name: np.full(steps, NEVER, np.int64) for name in ("asked", "arrived", "started")}
    return {**of_parts, **of_steps, "source": np.zeros((*steps, 2), np.uint8)}
