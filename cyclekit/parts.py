"""Clocked parts on top of SimPy: a clock edge, a Fifo and a Pipeline. Nothing crosses a part in zero cycles.

A cycle has two phases. At its edge (SimPy's urgent priority) registers take the values that units handed over in
earlier cycles; after it (normal priority) units decide, seeing registers only. What a unit does in a cycle is seen by
another at a later edge, so the order in which SimPy plays the events of one phase can never change a result.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from typing import Any

import simpy
from simpy.events import URGENT, Event


def at_edge(env: simpy.Environment, cycles: int, action: Callable[[Event], None], value: Any = None) -> None:
    """Call `action(event)` at the edge that opens the cycle `cycles` (at least 1) from now; event.value is `value`."""
    if cycles < 1:
        raise ValueError(f"cycles must be at least 1: nothing crosses a part in zero cycles, got {cycles}")
    edge = Event(env)
    edge._ok, edge._value = True, value
    edge.callbacks.append(action)
    env.schedule(edge, URGENT, cycles)


class Fifo:
    """A bounded queue whose two ends meet at clock edges only.

    The producer reserves a slot, sees that at once, and delivers the item at a later edge; the consumer pops what was
    there at the start of the cycle, and the producer sees the slot free in the next one.
    """

    def __init__(self, env: simpy.Environment, n_slots: int):
        self._env = env
        self._n_slots = n_slots
        self._n_reserved = 0
        self._items: deque = deque()
        self._popper: Event | None = None  # what the consumer waits on while the queue is empty
        self._consumer_waits = False  # the same, as the producer's side sees it: registered at an edge
        self._watcher: Event | None = None  # what the producer waits on

    def is_full(self) -> bool:
        """Tell the producer whether every slot is taken at the start of the cycle, or by itself since."""
        return self._n_reserved >= self._n_slots

    def at_rest(self) -> bool:
        """Tell the producer whether all it sent is consumed: at the start of the cycle the consumer waits for more."""
        return self._n_reserved == 0 and self._consumer_waits

    def changed(self) -> Event:
        """Return an event for the producer: the next cycle in which is_full() or at_rest() may have changed."""
        self._watcher = Event(self._env)
        return self._watcher

    def reserve(self) -> None:
        if self.is_full():
            raise RuntimeError("reserved a slot of a full Fifo: the producer must ask is_full() first")
        self._n_reserved += 1

    def deliver(self, item: Any) -> None:
        """Fill a reserved slot. To be called at an edge, as `at_edge` does: the item can be popped in that cycle."""
        self._items.append(item)
        if self._popper is not None and not self._popper.triggered:
            self._popper.succeed()

    def pop(self) -> Generator[Event, Any, Any]:
        """Wait until the queue is not empty at the start of a cycle, and take its head."""
        if not self._items:
            self._popper = Event(self._env)
            at_edge(self._env, 1, self._register_wait)
            yield self._popper
            self._popper = None
            self._consumer_waits = False
        at_edge(self._env, 1, self._free_slot)
        return self._items.popleft()

    def _register_wait(self, _edge: Event) -> None:
        self._consumer_waits = True
        self._wake_watcher()

    def _free_slot(self, _edge: Event) -> None:
        self._n_reserved -= 1
        self._wake_watcher()

    def _wake_watcher(self) -> None:
        if self._watcher is not None:
            self._watcher.succeed()
            self._watcher = None


class Pipeline:
    """Stages in a row without back-pressure: what is pushed leaves `n_stages` cycles later, into `sink(item)`."""

    def __init__(self, env: simpy.Environment, n_stages: int, sink: Callable[[Any], None]):
        self._env = env
        self._n_stages = n_stages
        self._sink = sink

    def push(self, item: Any) -> None:
        at_edge(self._env, self._n_stages, self._leave, item)

    def _leave(self, edge: Event) -> None:
        self._sink(edge.value)
