"""The timing rules of a GEMM on a whole card in words, its Plan in ticks, and the Timeline that an engine fills.

Times are whole ticks of a tenth of a cycle. A chunk is a block's rows of A, or its columns of B, in one k-step.

G1 The kernel starts after launch_us. Tiles are dealt in bands of raster_tiles along m, in a band column by
   column; an SM works on one tile at a time, from 0 on. An SM that is free at a time gets the next tile a cycle later,
   of several the lowest SM first.
G2 An SM asks for the k-steps of its tile in order, one a cycle: k-step j when a stage is free, so the first n_stages at
   once and then each when k-step j - n_stages has been computed. The request reaches L2 a cycle later.
G3 L2 takes requests in the order in which they reach it, ties to the lowest SM, of a k-step A's chunk before B's. Each
   holds L2 for its bytes at l2_bytes_per_cycle; the data are in shared memory l2_latency_cycles later.
G4 A chunk that another SM of the same group (n_sms_sharing_reads neighbours) has asked for and that is still on its
   way is not served again: it arrives with that one.
G5 L2 keeps the chunks used last, l2_bytes of them. A chunk that is not there comes from HBM, which holds one at a time
   for its bytes at hbm_gb_per_s x hbm_share and takes hbm_latency_cycles; it arrives when both L2 and HBM are through.
   A chunk that is there but still on its way from HBM arrives no earlier than that.
G6 A k-step is computed when both chunks are there and the k-step before is done; it takes the time of its instructions
   (mainloop.py) and k_step_overhead_cycles.
G7 After its last k-step a tile's result goes through L2 like a request, and through HBM from when it reaches L2; the SM
   is free when L2 has taken it. The kernel ends, at a full cycle, when both have taken the last one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cyclekit.timeline import Compared

NEVER = -1
L2, HBM = 0, 1  # where a chunk came from
SHARED, LATE = 2, 4  # added to it: by another SM's request; HBM was through with it later than L2


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """A GEMM in ticks. Of tiles: row, column, and of its result store_bytes, store_l2, store_hbm, i64[tiles] each.

    Of chunks, by row (a) or column (b) of tiles and, last axis, a k-step before the last or the last one: bytes, ticks
    of L2, ticks of HBM i64[rows or columns, 2].
    """

    n_sms: int
    n_sharing: int
    n_stages: int
    n_steps: int
    begin: int
    step: int
    l2_latency: int
    hbm_latency: int
    l2_bytes: int
    row: np.ndarray
    column: np.ndarray
    store_bytes: np.ndarray
    store_l2: np.ndarray
    store_hbm: np.ndarray
    a_bytes: np.ndarray
    a_l2: np.ndarray
    a_hbm: np.ndarray
    b_bytes: np.ndarray
    b_l2: np.ndarray
    b_hbm: np.ndarray

    @property
    def n_tiles(self) -> int:
        return len(self.row)


@dataclass(frozen=True, eq=False)
class CardTimeline(Compared):
    """When everything happened, in ticks.

    sm, begun, finished: i64[tiles]. asked, arrived, started: i64[tiles, k-steps], of the request, of its later chunk
    and of computing. source: u8[tiles, k-steps, 2], where the chunks of A and B came from, and how. end: of the kernel.
    """

    sm: np.ndarray
    begun: np.ndarray
    finished: np.ndarray
    asked: np.ndarray
    arrived: np.ndarray
    started: np.ndarray
    source: np.ndarray
    end: int


def empty(plan: Plan) -> dict[str, np.ndarray]:
    """Return the arrays of a CardTimeline, not filled yet."""
    steps = plan.n_tiles, plan.n_steps
    of_tiles = {name: np.full(plan.n_tiles, NEVER, np.int64) for name in ("sm", "begun", "finished")}
    of_steps = {name: np.full(steps, NEVER, np.int64) for name in ("asked", "arrived", "started")}
    return {**of_tiles, **of_steps, "source": np.zeros((*steps, 2), np.uint8)}
