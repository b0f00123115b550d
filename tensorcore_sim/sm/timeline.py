"""The timing rules of an SM in words, and the Timeline: the arrays of times that an engine fills.

Times are whole ticks of a tenth of a cycle, counted from 0; "a cycle" below is ten of them.

S1 Two phases: what a unit decides at a time rests on what was registered before it or at its edge.
S2 Warp w belongs to sub-core w mod n_subcores. It issues its instructions in order, at most one a cycle.
S3 An instruction is ready when the one before it was issued a cycle ago (S7: is closed) and the one whose result it
   needs has completed.
S4 A sub-core issues at most one instruction a cycle: among the warps whose instruction is ready and whose unit is
   free, that of the warp which issued longest ago. A warp that has not issued yet comes first; ties go to the lowest
   warp.
S5 mma, mma.sp: holds its sub-core's tensor core for its issue interval: pass_cycles for each pass, and at least
   sparse_floor_cycles when sparse. It completes first_pass_latency_cycles after its issue and
   further_pass_latency_cycles later for each further pass. A sparse instruction has the passes of the dense one with
   half its k; the selection of B by the metadata is a stage of the pipeline that adds no time.
S6 A load (ldmatrix.xN: N passes; ld.shared with n-way bank conflicts: n) reaches the SM's one shared-memory port a
   cycle after its issue. The port serves in order of arrival, ties to the lowest sub-core, one pass a cycle. A load
   that does not wait there completes load_latency_cycles + load_latency_per_pass_cycles for each pass after its
   issue.
S7 Closing an iteration of a loop waits for the result that the next one begins with and for the sub-core's tensor
   core, then holds that, the scheduler and the warp: loop_overhead_one_warp_cycles where the sub-core has one warp,
   else the warp's share of loop_overhead_more_warps_cycles.
S8 wgmma, wgmma.sp (Hopper; a warp group counts as one warp): asynchronous, the warp goes on. It reaches the port a
   cycle after its issue and waits there, in order among loads, until both the port and the tensor cores are free. It
   then holds the port for its bytes of shared memory (SS: A as stored, so compressed when sparse, and B; RS: B) and
   the tensor cores for its multiply-adds, with RS at least wgmma_rs_floor_cycles. It completes when both are free
   again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cyclekit.timeline import Compared

NEVER = -1  # in places behind a warp's last instruction


@dataclass(frozen=True, eq=False)
class Timeline(Compared):
    """When everything happened: i64[warps, instructions] each, in ticks, NEVER behind a warp's last instruction.

    ready: S3 is met. issued: the scheduler sent it. served: its unit begins on it; for what goes through the port the
    first pass, for the rest the issue. completed: its result can be used.
    """

    ready: np.ndarray
    issued: np.ndarray
    served: np.ndarray
    completed: np.ndarray

    @property
    def ticks(self) -> int:
        """The time at which the last result is there."""
        return int(max(self.completed.max(initial=0), 0))
