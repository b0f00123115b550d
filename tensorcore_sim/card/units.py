"""The units of a card as SimPy processes: the dispatcher of blocks, the SMs, L2 and HBM.

They move no data: what is computed is arithmetic.py's. Rules G1 to G7 in card_timeline.py; times are ticks.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Generator

import simpy
from simpy.events import Event

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
    """Deals the tiles to the SMs that are free (G1)."""

    def __init__(self, env: simpy.Environment, n_tiles: int):
        self._tiles = iter(range(n_tiles))
        self.inbox = Inbox(env, self._give)

    def _give(self, _sm: int, answer: Event) -> None:
        answer.succeed(next(self._tiles, None))


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
    """L2, which serves the SMs' requests and keeps the chunks used last (G3 to G5), and HBM behind it."""

    def __init__(self, env: simpy.Environment, plan: Plan, record):
        self._env = env
        self._plan = plan
        self._record = record
        self._l2, self.hbm = Channel(env), Channel(env)
        self._kept: OrderedDict[tuple, tuple[int, int]] = OrderedDict()  # chunk -> (bytes, since when it is there)
        self._n_kept = 0
        self._on_the_way: dict[tuple, tuple[int, list[Callable]]] = {}  # (group, chunk) -> (source, who waits for it)
        self.inbox = Inbox(env, self._serve)

    def _serve(self, sm: int, tile: int, step: int | None, receive: Callable) -> None:
        if step is None:
            self.hbm.take(int(self._plan.store_hbm[tile]))
            at_edge(self._env, self._l2.take(int(self._plan.store_l2[tile])), receive)
            return
        for side in (A, B):
            self._load(sm // self._plan.n_sharing, tile, step, side, receive)

    def _load(self, group: int, tile: int, step: int, side: int, receive: Callable) -> None:
        plan = self._plan
        place = int((plan.row, plan.column)[side][tile])
        chunk = side, place, step
        if (group, chunk) in self._on_the_way:
            source, receivers = self._on_the_way[group, chunk]
            self._record.source[tile, step, side] = source | SHARED
            receivers.append(receive)
            return
        last = int(step == plan.n_steps - 1)
        n_bytes, l2_ticks, hbm_ticks = (
            int(sizes[place, last])
            for sizes in ((plan.a_bytes, plan.a_l2, plan.a_hbm), (plan.b_bytes, plan.b_l2, plan.b_hbm))[side]
        )
        delay = self._l2.take(l2_ticks) + plan.l2_latency
        source = L2 if chunk in self._kept else HBM
        if source == L2:
            self._kept.move_to_end(chunk)
            in_l2_since = self._kept[chunk][1]
        else:
            in_l2_since = self._env.now + self.hbm.take(hbm_ticks) + plan.hbm_latency
            self._kept[chunk] = n_bytes, in_l2_since
            self._n_kept += n_bytes
            while self._n_kept > plan.l2_bytes:
                _, (size, _) = self._kept.popitem(last=False)
                self._n_kept -= size
        source += LATE * (in_l2_since > self._env.now + delay)
        self._record.source[tile, step, side] = source
        self._on_the_way[group, chunk] = source, [receive]
        at_edge(self._env, max(delay, in_l2_since - self._env.now), self._arrive, (group, chunk))

    def _arrive(self, edge: Event) -> None:
        _, (_, _, step) = edge.value
        _, receivers = self._on_the_way.pop(edge.value)
        for receive in receivers:
            receive(step)


class StreamingMultiprocessor:
    """Takes a tile, asks for its k-steps when stages are free, computes them, stores the result (G2, G6, G7)."""

    def __init__(self, env: simpy.Environment, index: int, plan: Plan, dispatcher: Dispatcher, l2: L2Cache, record):
        self._env = env
        self._index = index
        self._plan = plan
        self._dispatcher = dispatcher
        self._l2 = l2
        self._record = record

    def run(self) -> Generator:
        yield self._env.timeout(self._plan.begin)
        while True:
            answer = Event(self._env)
            self._dispatcher.inbox.send(self._index, answer)
            self._tile = yield answer
            if self._tile is None:
                return
            self._record.sm[self._tile] = self._index
            self._record.begun[self._tile] = self._env.now
            self._missing = [2] * self._plan.n_steps  # chunks of each k-step
            self._arrived = [Event(self._env) for _ in self._missing]
            self._computed = [Event(self._env) for _ in self._missing]
            self._env.process(self._load())
            yield self._env.process(self._compute())
            stored = Event(self._env)
            self._l2.inbox.send(self._index, self._tile, None, lambda _edge, stored=stored: stored.succeed())
            yield stored
            self._record.finished[self._tile] = self._env.now

    def _load(self) -> Generator:
        for step in range(self._plan.n_steps):
            if step:
                yield self._env.timeout(TICKS)
            if step >= self._plan.n_stages and not self._computed[step - self._plan.n_stages].processed:
                yield self._computed[step - self._plan.n_stages]
            self._record.asked[self._tile, step] = self._env.now
            self._l2.inbox.send(self._index, self._tile, step, self._receive)

    def _receive(self, step: int) -> None:
        self._missing[step] -= 1
        if not self._missing[step]:
            self._record.arrived[self._tile, step] = self._env.now
            self._arrived[step].succeed()

    def _compute(self) -> Generator:
        for arrived, computed, step in zip(self._arrived, self._computed, range(self._plan.n_steps), strict=True):
            if not arrived.processed:
                yield arrived
            self._record.started[self._tile, step] = self._env.now
            yield self._env.timeout(self._plan.step)
            computed.succeed()
