"""The hardware units of PointAcc as SimPy processes: Mapping Unit, Memory Management Unit, Matrix Unit and DRAM.

Units decide when; they record cycle numbers and compute no values (mapping.py and arithmetic.py do).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator

import simpy
from simpy.events import Event

from cyclekit.parts import Pipeline, at_edge
from pointacc_sim.plan import Plan
from pointacc_sim.spec import Spec

COORDINATES, MAPS, FETCH, OUTPUTS = range(4)  # who asks the DRAM; of those that ask together the first is served first


class Board:
    """What has become available by number, a map, a step's data, a tile's accumulators: seen from the next edge on."""

    def __init__(self, env: simpy.Environment):
        self._env = env
        self._events: dict[int, Event] = {}

    def wait(self, number: int) -> Event:
        return self._events.setdefault(number, Event(self._env))

    def post(self, cycles: int, number: int) -> None:
        """Have a number seen at the edge that opens the cycle `cycles` from now."""
        at_edge(self._env, cycles, lambda _edge: self.wait(number).succeed())


class Dram:
    """One request at a time in the order of their arrival (R6)."""

    def __init__(self, env: simpy.Environment):
        self._env = env
        self._queue: list[tuple[int, int, int, int, Callable[[], None]]] = []
        self._n_asked = 0
        self._arrived: Event | None = None

    def ask(self, who: int, n_cycles: int, begins: Callable[[], None]) -> None:
        """Have so many cycles of transfer; begins() is called in the first of them."""
        self._n_asked += 1
        at_edge(self._env, 1, self._arrive, (self._env.now + 1, who, self._n_asked, n_cycles, begins))

    def _arrive(self, edge: Event) -> None:
        heapq.heappush(self._queue, edge.value)
        if self._arrived is not None and not self._arrived.triggered:
            self._arrived.succeed()

    def run(self) -> Generator:
        while True:
            if not self._queue:
                self._arrived = Event(self._env)
                yield self._arrived
                self._arrived = None
            _, _, _, n_cycles, begins = heapq.heappop(self._queue)
            begins()
            yield self._env.timeout(n_cycles)


class MappingUnit:
    """Sorter, merger and intersection: the passes of a program, a block a cycle (R2 to R4)."""

    def __init__(self, env: simpy.Environment, plan: Plan, spec: Spec, dram: Dram, maps: Board, record):
        self._env, self._plan, self._dram, self._maps, self._record = env, plan, dram, maps, record
        self._dram_latency = spec.dram_latency_cycles

    def run(self) -> Generator:
        env, plan, passes = self._env, self._plan, self._plan.passes
        yield env.timeout(1)  # cycles count from 1
        for k in range(len(passes)):
            length = int(passes.blocks[k])
            if n_cycles := int(plan.read_cycles[k]):
                first_data = Event(env)
                self._dram.ask(COORDINATES, n_cycles, lambda k=k, n=n_cycles, e=first_data: self._reading(k, n, e))
                yield first_data
                length = max(length, n_cycles)
            self._record.span(self._record.passed, k, length)
            latency = int(passes.latency[k])
            # Behind the last block the results go through the columns of compare-exchanges.
            Pipeline(env, length - 1 + latency, self._out).push(k)
            is_awaited = k + 1 < len(passes) and passes.waits[k + 1]
            yield env.timeout(length + (latency if is_awaited else 0))

    def _reading(self, k: int, n_cycles: int, first_data: Event) -> None:
        self._record.span(self._record.read, k, n_cycles)
        at_edge(self._env, self._dram_latency, lambda _edge: first_data.succeed())

    def _out(self, k: int) -> None:
        self._record.see(self._env.now)
        if n_cycles := int(self._plan.write_cycles[k]):
            self._dram.ask(MAPS, n_cycles, lambda: self._writing(k, n_cycles))
        else:
            self._maps.post(1, k)

    def _writing(self, k: int, n_cycles: int) -> None:
        self._record.span(self._record.mapped, k, n_cycles)
        self._maps.post(n_cycles, k)


class MemoryManagementUnit:
    """Looks up what each step needs, ahead of the array, and asks DRAM for what the cache lacks (R5)."""

    def __init__(self, env: simpy.Environment, plan: Plan, spec: Spec, dram: Dram, maps, data, done, record):
        self._env, self._plan, self._dram, self._record = env, plan, dram, record
        self._maps, self._data, self._done = maps, data, done
        self._ahead, self._dram_latency = spec.steps_ahead, spec.dram_latency_cycles

    def run(self) -> Generator:
        env, plan, steps = self._env, self._plan, self._plan.steps
        yield env.timeout(1)
        for s in range(len(steps)):
            if steps.map_pass[s] >= 0:
                yield self._maps.wait(int(steps.map_pass[s]))
            if s >= self._ahead:
                yield self._done.wait(s - self._ahead)
            n_rows = int(steps.rows[s])
            self._record.span(self._record.looked, s, n_rows)
            if n_rows > 1:
                yield env.timeout(n_rows - 1)
            if n_cycles := int(plan.fetch_cycles[s]):
                self._dram.ask(FETCH, n_cycles, lambda s=s, n=n_cycles: self._fetching(s, n))
            else:
                self._data.post(1, s)
            yield env.timeout(1)

    def _fetching(self, s: int, n_cycles: int) -> None:
        self._record.span(self._record.fetched, s, n_cycles)
        self._data.post(n_cycles + self._dram_latency, s)


class MatrixUnit:
    """The weight-stationary array with its accumulators: a row of features a cycle, tile after tile (R7 to R9)."""

    def __init__(self, env: simpy.Environment, plan: Plan, spec: Spec, dram: Dram, data, done, record):
        self._env, self._plan, self._dram, self._record = env, plan, dram, record
        self._data, self._done = data, done
        self._written = Board(env)
        self._shift_cycles, self._drain_cycles = spec.n_rows, spec.n_rows + spec.n_columns

    def run(self) -> Generator:
        env, steps = self._env, self._plan.steps
        yield env.timeout(1)
        tiles = steps.tile.tolist()
        for s, tile in enumerate(tiles):
            yield self._data.wait(s)
            if tile >= 2 and tiles[s - 1] != tile:
                yield self._written.wait(tile - 2)
            n_rows = int(steps.rows[s])
            length = max(n_rows, self._shift_cycles)
            self._record.span(self._record.computed, s, length)
            self._done.post(length, s)
            if s + 1 == len(tiles) or tiles[s + 1] != tile:
                Pipeline(env, n_rows - 1 + self._drain_cycles, self._out).push(tile)
            yield env.timeout(length)

    def _out(self, tile: int) -> None:
        self._record.see(self._env.now)
        if n_cycles := int(self._plan.out_cycles[tile]):
            self._dram.ask(OUTPUTS, n_cycles, lambda: self._writing(tile, n_cycles))
        else:
            self._written.post(1, tile)

    def _writing(self, tile: int, n_cycles: int) -> None:
        self._record.span(self._record.written, tile, n_cycles)
        self._written.post(n_cycles, tile)
