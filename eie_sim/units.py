"""The hardware units of EIE as SimPy processes, named as in the paper (section IV, Figure 4).

Units decide when; they record cycle numbers and compute no values (arithmetic.py does, in the order of broadcasts).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import numpy as np
import simpy

from cyclekit.parts import Fifo, Pipeline, at_edge
from eie_sim.capacity import Pauses

FAN_IN = 4  # children of an LNZD node, and PEs that share one (section IV)


class LeadingNonZeroDetector:
    """The LNZD quadtree: every node tells its parent whether and where its first non-zero is."""

    def __init__(self):
        self._levels: list[list[bool]] = []  # lanes first, the root's single flag last

    def load(self, lanes: Sequence[bool]) -> None:
        """Take a row of activations: which lanes hold a non-zero."""
        self._levels = [list(lanes)]
        while len(below := self._levels[-1]) > 1:
            self._levels.append([any(below[i : i + FAN_IN]) for i in range(0, len(below), FAN_IN)])

    def take(self) -> int | None:
        """Return the first lane that holds a non-zero and clear it; None when there is none left."""
        if not self._levels[-1][0]:
            return None
        lane = 0
        for level in reversed(self._levels[:-1]):
            lane = level.index(True, lane * FAN_IN)
        self._levels[0][lane] = False
        node = lane
        for below, level in zip(self._levels, self._levels[1:], strict=False):
            node //= FAN_IN
            level[node] = any(below[node * FAN_IN : (node + 1) * FAN_IN])
        return lane


class Broadcaster:
    """The central control unit: walks the rows of activations and sends each non-zero to every PE (R2, R7, R8)."""

    def __init__(
        self,
        env: simpy.Environment,
        rows: Sequence[tuple[int, Sequence[bool]]],
        pauses: Pauses,
        pes: Sequence[ProcessingElement],
        latency_cycles: int,
        record,
    ):
        self._env = env
        self._rows = rows
        self._pauses = pauses
        self._pes = pes
        self._queues = [pe.queue for pe in pes]
        self._latency_cycles = 1 + latency_cycles
        self._lnzd = LeadingNonZeroDetector()
        self._record = record

    def run(self) -> Generator:
        env, record = self._env, self._record
        yield env.timeout(1)  # cycles count from 1
        for index, (first_column, lanes) in enumerate(self._rows):
            if self._pauses.cycles[index]:
                yield from self._pause(index)
            self._lnzd.load(lanes)
            lane = None
            while (next_lane := self._lnzd.take()) is not None:
                lane = next_lane
                k = record.next_broadcast(first_column + lane)
                for queue in self._queues:
                    while queue.is_full():
                        yield queue.changed()
                record.sent[k] = env.now
                for queue in self._queues:
                    queue.reserve()
                at_edge(env, self._latency_cycles, self._arrive, (k, first_column + lane))
                yield env.timeout(1)
            if lane != len(self._pes) - 1:  # moving on is free behind the last lane
                yield env.timeout(1)

    def _arrive(self, edge: simpy.Event) -> None:
        for queue in self._queues:
            queue.deliver(edge.value)

    def _pause(self, index: int) -> Generator:
        start = self._env.now - 1
        for queue in self._queues:
            while not queue.at_rest():
                yield queue.changed()
        if self._pauses.refill[index]:
            for pe in self._pes:
                pe.spmat_read.invalidate()
        yield self._env.timeout(int(self._pauses.cycles[index]))
        self._record.pause(start, self._env.now - 1)


class ActivationQueue(Fifo):
    """A PE's queue of broadcast activations: a ring of D places that signals "full" with one to spare (R2, R3)."""

    def __init__(self, env: simpy.Environment, depth: int):
        super().__init__(env, depth - 1)


class PointerRead:
    """The pointer SRAM: column j lies between pointers j and j+1, one in the even bank, one in the odd (R3, R11)."""

    def __init__(self, env: simpy.Environment, pointers: np.ndarray, n_banks: int):
        self._env = env
        self._banks = [pointers[bank::n_banks].tolist() for bank in range(n_banks)]

    def read(self, column: int) -> Generator:
        """Take the cycles that the two reads need, one a bank and cycle; return where the column begins and ends."""
        n_banks = len(self._banks)
        begin, end = column % n_banks, (column + 1) % n_banks
        yield self._env.timeout(2 if begin == end else 1)
        return self._banks[begin][column // n_banks], self._banks[end][(column + 1) // n_banks]


class SpmatRead:
    """The sparse-matrix SRAM and its row latch: one entry a cycle, a row read when the latch lacks it (R4, R5)."""

    def __init__(self, env: simpy.Environment, entries_per_row: int, hand_on: Callable[[int], None]):
        self._env = env
        self._entries_per_row = entries_per_row
        self._hand_on = hand_on
        self._latch: int | None = None

    def invalidate(self) -> None:
        """Forget the latched row: the SRAM has been refilled."""
        self._latch = None

    def stream(self, begin: int, end: int) -> Generator:
        """Pass the entries [begin, end), from this cycle to the column's last, and return there the rows read."""
        n_reads = 0
        while begin < end:
            row = begin // self._entries_per_row
            if row != self._latch:
                self._latch = row
                n_reads += 1
            stop = min(end, (row + 1) * self._entries_per_row)
            n_cycles = stop - begin if stop < end else stop - begin - 1
            if n_cycles:
                yield self._env.timeout(n_cycles)
            begin = stop
            if begin == end:
                self._hand_on(end - 1)
        return n_reads


class WeightDecoder(Pipeline):
    """ALU stage 1: looks the 4-bit code up in the codebook; beside it the row address is accumulated."""

    def __init__(self, env: simpy.Environment, sink: Callable):
        super().__init__(env, 1, sink)


class ArithmeticUnit(Pipeline):
    """ALU stages 2 and 3: multiply while the accumulator is read, then shift and add.

    The adder's output bypasses to its input when two successive entries hit one accumulator, so no hazard stalls it.
    """

    def __init__(self, env: simpy.Environment, sink: Callable):
        super().__init__(env, 2, sink)


class ActReadWrite(Pipeline):
    """ALU stage 4: writes the destination register file. The broadcaster reads the other, so they never collide."""

    def __init__(self, env: simpy.Environment, sink: Callable):
        super().__init__(env, 1, sink)


class OutputLnzd(Pipeline):
    """ReLU and non-zero detection of what was written: from here on it can be an activation of the next layer."""

    def __init__(self, env: simpy.Environment, sink: Callable):
        super().__init__(env, 1, sink)


class ProcessingElement:
    """One PE: activation queue, pointer read, sparse-matrix read, then the pipeline to the output."""

    def __init__(self, env: simpy.Environment, index: int, pointers: np.ndarray, spec, record):
        self._env = env
        self._index = index
        self._record = record
        self.queue = ActivationQueue(env, spec.queue_depth)
        self._pointer_read = PointerRead(env, pointers, spec.n_pointer_banks)
        output = OutputLnzd(env, record.retire)
        write = ActReadWrite(env, output.push)
        arithmetic = ArithmeticUnit(env, write.push)
        decoder = WeightDecoder(env, arithmetic.push)
        sram_output = Pipeline(env, 1, decoder.push)
        self.spmat_read = SpmatRead(env, spec.entries_per_row, sram_output.push)

    def run(self) -> Generator:
        while True:
            k, column = yield from self.queue.pop()
            self._record.popped[k, self._index] = self._env.now
            begin, end = yield from self._pointer_read.read(column)
            self._record.row_reads[self._index] += yield from self.spmat_read.stream(begin, end)
