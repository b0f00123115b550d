"""The units of a card as SimPy processes: the dispatcher, the places and tensor cores of the SMs, L2 and HBM.

They move no data: what is computed is arithmetic.py's. Rules G1 to G7 in card/timeline.py; times are ticks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator
from functools import partial
from heapq import heappop, heappush

import numpy as np
import simpy
from simpy.events import NORMAL, Event

from cyclekit.parts import at_edge
from tensorcore_sim.card.timeline import HBM, L2, LATE, SHARED, Plan
from tensorcore_sim.spec import TICKS

A, B = range(2)


class Inbox:
    """What reaches a unit: delivered a cycle after it is sent, and taken in order of the senders' numbers."""

    def __init__(self, env: simpy.Environment, handle: Callable):
        self._env = env
        self._handle = handle
        self._items: list = []
        self._waits: Event | None = None

    def send(self, sender: int, *message) -> None:
        at_edge(self._env, TICKS, self._arrive, (sender, message))

    def run(self) -> Generator:
        while True:
            if not self._items:
                self._waits = Event(self._env)
                yield self._waits
            items, self._items = sorted(self._items, key=lambda item: item[0]), []
            for sender, message in items:
                self._handle(sender, *message)

    def _arrive(self, edge: Event) -> None:
        self._items.append(edge.value)
        if self._waits is not None and not self._waits.triggered:
            self._waits.succeed()


class Dispatcher:
    """Deals the blocks to the places that are free (G1)."""

    def __init__(self, env: simpy.Environment, n_blocks: int):
        self._blocks = iter(range(n_blocks))
        self.inbox = Inbox(env, self._give)

    def _give(self, _place: int, answer: Event) -> None:
        answer.succeed(next(self._blocks, None))


class Channel:
    """A path that holds one transfer at a time, in the order in which they come."""

    def __init__(self, env: simpy.Environment):
        self._env = env
        self.free = 0

    def take(self, ticks: int) -> int:
        """Take the path for a transfer; return in how many ticks it is through."""
        self.free = max(self.free, self._env.now) + ticks
        return self.free - self._env.now


class L2Cache:
    """L2, which serves the blocks' requests and keeps the chunks used last (G3 to G5, G7), and HBM behind it."""

    def __init__(self, env: simpy.Environment, plan: Plan, record):
        self._env = env
        self._plan = plan
        self._record = record
        self._l2, self.hbm = Channel(env), Channel(env)
        self._kept: OrderedDict[int, tuple[int, int]] = OrderedDict()  # chunk -> (bytes, since when it is there)
        self._n_kept = 0
        self._on_the_way: dict[tuple, tuple[int, list[Callable]]] = {}  # (group, chunk) -> (source, who waits for it)
        self._n_parts = np.bincount(plan.tile, minlength=plan.n_tiles)
        self._left = self._n_parts.copy()  # parts of a tile whose results are not here yet
        self.inbox = Inbox(env, self._serve)
        for chunk in plan.in_l2:
            side, (line, step) = A, divmod(int(chunk), plan.n_steps)
            if line >= len(plan.a_bytes):
                side, line = B, line - len(plan.a_bytes)
            self._keep(int(chunk), self._sizes(side, line, step)[0], since=0)

    def load(self, place: int, tile: int, step: int, receive: Callable) -> None:
        """Ask for the chunks of a k-step; `receive()` is called for each."""
        self.inbox.send(2 * place, self._load, place, tile, step, receive)

    def store(self, place: int, tile: int, receive: Callable) -> None:
        """Hand in the result of a part; `receive(edge)` is called when L2 has taken it."""
        self.inbox.send(2 * place + 1, self._store, tile, receive)

    def _serve(self, _sender: int, do: Callable, *message) -> None:
        do(*message)

    def _store(self, tile: int, receive: Callable) -> None:
        self._left[tile] -= 1
        sums, n_parts = int(self._plan.sums_l2[tile]), int(self._n_parts[tile])
        if self._left[tile]:
            delay = self._l2.take(sums)
        else:
            delay = self._l2.take((n_parts - 1) * sums + int(self._plan.store_l2[tile]))
            delay += self._plan.l2_latency if n_parts > 1 else 0
            self.hbm.take(int(self._plan.store_hbm[tile]))
        at_edge(self._env, delay, receive)

    def _load(self, place: int, tile: int, step: int, receive: Callable) -> None:
        plan = self._plan
        group = place % plan.n_sms // plan.n_sharing
        for side, line in ((A, int(plan.row[tile])), (B, int(plan.column[tile]))):
            chunk = (line + side * len(plan.a_bytes)) * plan.n_steps + step
            if (group, chunk) in self._on_the_way:
                source, receivers = self._on_the_way[group, chunk]
                self._record.source[tile, step, side] = source | SHARED
                receivers.append(receive)
                continue
            source, delay = self._fetch(chunk, *self._sizes(side, line, step))
            self._record.source[tile, step, side] = source
            self._on_the_way[group, chunk] = source, [receive]
            at_edge(self._env, delay, self._arrive, (group, chunk))

    def _sizes(self, side: int, line: int, step: int) -> list[int]:
        """Return the bytes of a chunk, and the ticks for which it holds L2 and HBM."""
        plan = self._plan
        of_side = ((plan.a_bytes, plan.a_l2, plan.a_hbm), (plan.b_bytes, plan.b_l2, plan.b_hbm))[side]
        return [int(sizes[line, int(step == plan.n_steps - 1)]) for sizes in of_side]

    def _fetch(self, chunk: int, n_bytes: int, l2_ticks: int, hbm_ticks: int) -> tuple[int, int]:
        """Return where a chunk comes from, and in how many ticks it is there."""
        delay = self._l2.take(l2_ticks) + self._plan.l2_latency
        if chunk in self._kept:
            source, in_l2_since = L2, self._kept[chunk][1]
            self._kept.move_to_end(chunk)
        else:
            source, in_l2_since = HBM, self._env.now + self.hbm.take(hbm_ticks) + self._plan.hbm_latency
            self._keep(chunk, n_bytes, in_l2_since)
        late = in_l2_since > self._env.now + delay
        return source + LATE * late, max(delay, in_l2_since - self._env.now)

    def _keep(self, chunk: int, n_bytes: int, since: int) -> None:
        self._kept[chunk] = n_bytes, since
        self._n_kept += n_bytes
        while self._n_kept > self._plan.l2_bytes:
            _, (size, _) = self._kept.popitem(last=False)
            self._n_kept -= size

    def _arrive(self, edge: Event) -> None:
        _, receivers = self._on_the_way.pop(edge.value)
        for receive in receivers:
            receive()


class TensorCores:
    """Those of an SM: one k-step at a time, the one that has been ready longest, ties to the lowest place (G6)."""

    def __init__(self, env: simpy.Environment):
        self._env = env
        self._ready: list[tuple[int, int, Event]] = []  # (since when, place, what tells it to start)
        self._busy = False

    def start(self, place: int) -> Event:
        """Return what happens when a k-step that is ready now is to start."""
        granted = Event(self._env)
        heappush(self._ready, (self._env.now, place, granted))
        self._choose()
        return granted

    def end(self) -> None:
        self._busy = False
        self._choose()

    def _choose(self) -> None:
        """Choose after everything else that happens at this time: whoever is ready now is known then."""
        chooses = Event(self._env)
        chooses._ok, chooses._value = True, None
        chooses.callbacks.append(self._grant)
        self._env.schedule(chooses, NORMAL + 1)

    def _grant(self, _event: Event) -> None:
        if self._ready and not self._busy:
            self._busy = True
            heappop(self._ready)[-1].succeed()


class Place:
    """Room for one block on an SM: takes a block, asks for its k-steps when stages are free, multiplies them, stores
    the result of each part (G2, G6, G7)."""

    def __init__(self, env, index: int, plan: Plan, dispatcher: Dispatcher, l2: L2Cache, cores: TensorCores, record):
        self._env = env
        self._index = index
        self._plan = plan
        self._dispatcher = dispatcher
        self._l2 = l2
        self._cores = cores
        self._record = record

    def run(self) -> Generator:
        plan, record = self._plan, self._record
        yield self._env.timeout(plan.begin)
        while True:
            answer = Event(self._env)
            self._dispatcher.inbox.send(self._index, answer)
            block = yield answer
            if block is None:
                return
            parts = range(plan.blocks[block], plan.blocks[block + 1])
            lengths = plan.length[parts]
            self._missing = [2] * int(lengths.sum())  # chunks of each k-step
            self._arrived = [Event(self._env) for _ in self._missing]
            self._computed = [Event(self._env) for _ in self._missing]
            self._env.process(self._load(parts))
            done = 0
            for part, length in zip(parts, lengths.tolist(), strict=True):
                record.place[part], record.begun[part] = self._index, self._env.now
                yield self._env.process(self._compute(part, done))
                done += length
                if plan.turn:
                    yield self._env.timeout(plan.turn)
                stored = Event(self._env)
                self._l2.store(self._index, int(plan.tile[part]), lambda _edge, stored=stored: stored.succeed())
                yield stored
                record.finished[part] = self._env.now

    def _load(self, parts: range) -> Generator:
        number = 0
        for part in parts:
            for step in range(self._plan.first[part], self._plan.first[part] + self._plan.length[part]):
                if number:
                    yield self._env.timeout(TICKS)
                if number >= self._plan.n_stages and not self._computed[number - self._plan.n_stages].processed:
                    yield self._computed[number - self._plan.n_stages]
                tile = int(self._plan.tile[part])
                self._record.asked[tile, step] = self._env.now
                self._l2.load(self._index, tile, step, partial(self._receive, number, tile, step))
                number += 1

    def _receive(self, number: int, tile: int, step: int) -> None:
        self._missing[number] -= 1
        if not self._missing[number]:
            self._record.arrived[tile, step] = self._env.now
            self._arrived[number].succeed()

    def _compute(self, part: int, done: int) -> Generator:
        for step in range(int(self._plan.length[part])):
            if not self._arrived[done + step].processed:
                yield self._arrived[done + step]
            yield self._cores.start(self._index)
            self._record.started[self._plan.tile[part], self._plan.first[part] + step] = self._env.now
            yield self._env.timeout(self._plan.step)
            self._cores.end()
            if self._plan.overhead:
                yield self._env.timeout(self._plan.overhead)
            self._computed[done + step].succeed()
