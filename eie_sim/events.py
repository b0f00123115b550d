"""Wires the units of EIE, plays them in SimPy and records when everything happens: the engine to read."""

from __future__ import annotations

import numpy as np
import simpy

from eie_sim.capacity import Pauses
from eie_sim.image import Image
from eie_sim.spec import Spec
from eie_sim.timeline import DRAIN_CYCLES, Timeline
from eie_sim.units import Broadcaster, ProcessingElement


def timeline(image: Image, non_zero: np.ndarray, pauses: Pauses, spec: Spec) -> Timeline:
    """Return when everything happens in one run of the layer; non_zero: bool[in], the activations to broadcast."""
    env = simpy.Environment()
    return play(env, image, non_zero, pauses, spec)


def play(env: simpy.Environment, image: Image, non_zero: np.ndarray, pauses: Pauses, spec: Spec) -> Timeline:
    """Do the same in an environment of the caller's."""
    rows = [non_zero[start : start + spec.n_pes] for start in range(0, len(non_zero), spec.n_pes)]
    column = np.flatnonzero(non_zero)
    if image.n_columns > len(non_zero):  # the bias: a 1 in the first lane of a row of its own (R7)
        rows.append(np.array([True]))
        column = np.append(column, len(non_zero))
    record = Recorder(column.astype(np.int32), spec.n_pes)
    pes = [ProcessingElement(env, i, image.pointers[:, i], spec, record) for i in range(spec.n_pes)]
    broadcaster = Broadcaster(env, [row.tolist() for row in rows], pauses, pes, spec.broadcast_latency_cycles, record)
    for unit in (*pes, broadcaster):
        env.process(unit.run())
    record.env = env
    env.run()
    return record.timeline()


class Recorder:
    """The notebook that the units write cycle numbers into; no unit reads what another wrote."""

    def __init__(self, column: np.ndarray, n_pes: int):
        n_broadcasts = len(column)
        self.column = column
        self.paused, self.resumed, self.ready, self.sent = (np.zeros(n_broadcasts, np.int32) for _ in range(4))
        self.popped = np.zeros((n_broadcasts, n_pes), np.int32)
        self.row_reads = np.zeros(n_pes, np.int32)
        self.env: simpy.Environment
        self._n_ready = 0
        self._pause: tuple[int, int] | None = None
        self._last_write = 0

    def pause(self, start: int, end: int) -> None:
        self._pause = (start if self._pause is None else self._pause[0], end)

    def next_broadcast(self, now: int) -> int:
        k = self._n_ready
        self._n_ready += 1
        previous = int(self.sent[k - 1]) if k else 0
        self.paused[k], self.resumed[k] = self._pause or (previous, previous)
        self._pause = None
        self.ready[k] = now
        return k

    def retire(self, _entry: int) -> None:
        self._last_write = self.env.now

    def timeline(self) -> Timeline:
        cycles = max(self._last_write, DRAIN_CYCLES)
        return Timeline(
            self.column, self.paused, self.resumed, self.ready, self.sent, self.popped, self.row_reads, cycles
        )
