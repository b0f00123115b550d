"""The timing rules of PointAcc in words, and Timeline: the arrays of cycle numbers that an engine fills.

H = elements that enter the merger in a cycle, half its width. Cycles count from 1. A plan (plan.py) says what there is
to do and how long each piece takes by itself; the rules say when.

R1 Two phases: what a unit decides in a cycle rests on what was registered before that cycle.
R2 The Mapping Unit runs the passes of its program in order. A pass over n and m elements takes ceil(n / H) +
   ceil(m / H) cycles, a block a cycle; its last result is out `latency` cycles after its last block. The next pass
   begins in the cycle after its last block, or, where it needs the results, after its latency.
R3 A pass that streams its coordinates from DRAM asks for them when it could begin, begins when the first arrive
   (latency of the DRAM), and takes no fewer cycles than their transfer.
R4 A pass's map entries are written to DRAM when its last result is out; the map is there when the write has ended. An
   offset whose map an earlier layer has computed, and the centre of a submanifold layer, wait for none.
R5 The Memory Management Unit takes the steps in order and looks up an entry a cycle, not before the step's map is
   there, nor before the step `steps_ahead` before it has been computed. Behind the last lookup it asks DRAM for all
   that the step lacks: weights, map entries, blocks of features. What lacks nothing is there with the last lookup.
R6 The DRAM moves one request at a time, in the order in which they arrive (the cycle after they were asked for); of
   those that arrive together first coordinates, then maps, steps, outputs. Data are there `dram_latency_cycles` later.
R7 The Matrix Unit takes the steps in order: a row of features a cycle, and no fewer cycles than the array has rows, in
   which the next weights shift in. A step begins behind the arrival of its data and the end of the step before.
R8 Two sets of accumulators: the first step of a tile begins behind the end of the write of the tile before the last.
R9 The sums of a tile are written when those of its last row have left the array: rows + columns cycles after it.
R10 The run ends with its last event.

R2's rate is that of the standard streaming merger, tried on real clouds; the rest is this project's (docs/pointacc.md).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cyclekit.timeline import Compared

NEVER = 0  # in place of a cycle where nothing is moved


@dataclass(frozen=True, eq=False)
class Timeline(Compared):
    """When everything happened; a cycle number each, i64, the first and the last cycle of what it names.

    passed: [passes, 2], blocks entering, waits for coordinates among them; read: [passes, 2], the transfer of
    coordinates; mapped: [passes, 2], that of map entries; looked: [steps, 2], lookups; fetched: [steps, 2], the
    transfer; computed: [steps, 2], rows and the wait for weights behind them; written: [tiles, 2], the transfer of
    outputs. NEVER where there is none. cycles: the length of the run (R10).
    """

    passed: np.ndarray
    read: np.ndarray
    mapped: np.ndarray
    looked: np.ndarray
    fetched: np.ndarray
    computed: np.ndarray
    written: np.ndarray
    cycles: int
