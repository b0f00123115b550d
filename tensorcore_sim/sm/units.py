"""The hardware units of an SM as SimPy processes, from the warp scheduler to the write-back.

Units decide when; they compute no values (arithmetic.py does). Times are ticks of a tenth of a cycle (timeline.py).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import simpy
from simpy.events import Event

from cyclekit.parts import Pipeline, at_edge
from tensorcore_sim.sm.program import NOTHING, Kind, Operation
from tensorcore_sim.spec import TICKS


class Warp:
    """One warp's instructions, in order, and which of its results are there (S2, S3)."""

    def __init__(self, env: simpy.Environment, index: int, operations: Sequence[Operation], record):
        self.index = index
        self.issued_at = NOTHING  # the time of the last issue
        self._env = env
        self._operations = operations
        self._completed = [False] * len(operations)
        self._head = 0
        self._slot_over = True  # the instruction before the head no longer occupies the warp
        self._changed: Callable[[], None] | None = None
        self._record = record

    def attach(self, changed: Callable[[], None]) -> None:
        """Name what to call when the head becomes ready."""
        self._changed = changed
        self._look()

    def is_done(self) -> bool:
        return self._head == len(self._operations)

    def ready(self) -> Operation | None:
        """Return the head if it is ready."""
        if self.is_done() or not self._slot_over:
            return None
        head = self._operations[self._head]
        return head if head.needs == NOTHING or self._completed[head.needs] else None

    def issue(self, slot: int) -> tuple[int, int]:
        """Take the head, which occupies the warp for `slot` ticks; return its place (warp, instruction)."""
        place = self.index, self._head
        self._record.issued[place] = self.issued_at = self._env.now
        self._head += 1
        self._slot_over = False
        at_edge(self._env, slot, self._free)
        return place

    def complete(self, instruction: int) -> None:
        """Note that a result is there; to be called at an edge."""
        self._completed[instruction] = True
        self._record.completed[self.index, instruction] = self._env.now
        self._look()

    def _free(self, _edge: Event) -> None:
        self._slot_over = True
        self._look()

    def _look(self) -> None:
        if self.ready() is not None and self._record.is_new(self.index, self._head):
            self._record.ready[self.index, self._head] = self._env.now
            self._changed()


class WarpScheduler:
    """A sub-core's scheduler: the warp that issued longest ago among those that can (S4)."""

    def __init__(self, env: simpy.Environment, warps: Sequence[Warp], tensor_core: TensorCore, port: SharedMemoryPort):
        self._env = env
        self._warps = warps
        self._tensor_core = tensor_core
        self._port = port
        self._waits: Event | None = None
        for warp in warps:
            warp.attach(self.wake)
        tensor_core.attach(self.wake)

    def wake(self) -> None:
        """Look again: a warp is ready or the tensor core is free; to be called at an edge."""
        if self._waits is not None and not self._waits.triggered:
            self._waits.succeed()

    def run(self) -> Generator:
        while not all(warp.is_done() for warp in self._warps):
            able = [(warp.issued_at, warp.index, warp) for warp in self._warps if self._can_issue(warp)]
            if not able:
                self._waits = Event(self._env)
                yield self._waits
                self._waits = None
                continue
            *_, warp = min(able)
            operation = warp.ready()
            slot = operation.hold if operation.kind == Kind.CLOSE else TICKS
            place = warp.issue(slot)
            if operation.kind in (Kind.MMA, Kind.CLOSE):
                self._tensor_core.take(place, operation)
            else:
                self._port.send(place, operation)
            yield self._env.timeout(slot)

    def _can_issue(self, warp: Warp) -> bool:
        operation = warp.ready()
        if operation is None:
            return False
        return operation.kind in (Kind.LOAD, Kind.WGMMA) or not self._tensor_core.busy


class OperandCollector(Pipeline):
    """Reads A, B, C and the metadata from the registers: the first cycle."""

    def __init__(self, env: simpy.Environment, sink: Callable):
        super().__init__(env, TICKS - 1, sink)


class SelectionMux(Pipeline):
    """Picks, by the metadata, the two rows of B of every four that meet a kept value; dense A takes all as they are.

    The last tick of the collector's cycle: selection adds no time (S5).
    """

    def __init__(self, env: simpy.Environment, sink: Callable):
        super().__init__(env, 1, sink)


class DotProductUnit:
    """The fused adds, pass after pass; takes what the instruction's latency leaves."""

    def __init__(self, env: simpy.Environment, sink: Callable):
        self._env = env
        self._sink = sink

    def push(self, item: tuple[tuple[int, int], Operation]) -> None:
        _, operation = item
        at_edge(self._env, operation.latency - 2 * TICKS, lambda edge: self._sink(edge.value), item)


class WriteBack(Pipeline):
    """Writes the accumulator: the last cycle."""

    def __init__(self, env: simpy.Environment, sink: Callable):
        super().__init__(env, TICKS, sink)


class TensorCore:
    """A sub-core's tensor core: its issue interval, and the pipeline to the write-back (S5, S7)."""

    def __init__(self, env: simpy.Environment, warps: dict[int, Warp], record):
        self.busy = False
        self._env = env
        self._warps = warps
        self._record = record
        self._freed: Callable[[], None] | None = None
        write = WriteBack(env, self._complete)
        dot_product = DotProductUnit(env, write.push)
        mux = SelectionMux(env, dot_product.push)
        self._collector = OperandCollector(env, mux.push)

    def attach(self, freed: Callable[[], None]) -> None:
        """Name what to call when the next instruction can come."""
        self._freed = freed

    def take(self, place: tuple[int, int], operation: Operation) -> None:
        """Begin on an instruction, or be held by the end of an iteration."""
        self.busy = True
        self._record.served[place] = self._env.now
        at_edge(self._env, operation.hold, self._free)
        if operation.kind == Kind.MMA:
            self._collector.push((place, operation))
        else:
            at_edge(self._env, operation.latency, lambda edge: self._complete(edge.value), (place, operation))

    def _free(self, _edge: Event) -> None:
        self.busy = False
        self._freed()

    def _complete(self, item: tuple[tuple[int, int], Operation]) -> None:
        (warp, instruction), _ = item
        self._warps[warp].complete(instruction)


class SharedMemoryPort:
    """The SM's one port to shared memory, and Hopper's asynchronous tensor cores that stream through it (S6, S8)."""

    def __init__(self, env: simpy.Environment, n_subcores: int, warps: dict[int, Warp], record):
        self._env = env
        self._n_subcores = n_subcores
        self._warps = warps
        self._record = record
        self._queue: list[tuple[int, int, tuple[int, int], Operation]] = []
        self._port_busy = self._cores_busy = False
        self._waits: Event | None = None

    def send(self, place: tuple[int, int], operation: Operation) -> None:
        """Take what a scheduler issues; it arrives a cycle later."""
        at_edge(self._env, TICKS, self._arrive, (place, operation))

    def run(self) -> Generator:
        while True:
            self._queue.sort(key=lambda entry: entry[:2])
            if not self._queue or not self._can_serve(self._queue[0][-1]):
                self._waits = Event(self._env)
                yield self._waits
                self._waits = None
                continue
            _, _, place, operation = self._queue.pop(0)
            self._record.served[place] = self._env.now
            self._port_busy = True
            at_edge(self._env, operation.port, self._free_port)
            if operation.kind == Kind.WGMMA:
                self._cores_busy = True
                at_edge(self._env, operation.hold, self._free_cores)
            at_edge(self._env, operation.latency, self._complete, place)

    def _can_serve(self, operation: Operation) -> bool:
        return not self._port_busy and not (operation.kind == Kind.WGMMA and self._cores_busy)

    def _arrive(self, edge: Event) -> None:
        place, operation = edge.value
        self._queue.append((self._env.now, place[0] % self._n_subcores, place, operation))
        self._wake()

    def _free_port(self, _edge: Event) -> None:
        self._port_busy = False
        self._wake()

    def _free_cores(self, _edge: Event) -> None:
        self._cores_busy = False
        self._wake()

    def _complete(self, edge: Event) -> None:
        warp, instruction = edge.value
        self._warps[warp].complete(instruction)

    def _wake(self) -> None:
        if self._waits is not None and not self._waits.triggered:
            self._waits.succeed()
