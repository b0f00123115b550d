"""Wires the units of EIE, plays them in SimPy and records when everything happens: the engine to read."""

from __future__ import annotations

import numpy as np
import simpy

from eie_sim.capacity import Pauses
from eie_sim.image import Image
from eie_sim.spec import Spec
from eie_sim.timeline import DRAIN_CYCLES, Timeline
from eie_sim.units import Broadcaster, ProcessingElement

EVERY = 64  # broadcasts between two reports of progress


def timeline(image: Image, non_zero: np.ndarray, pauses: Pauses, spec: Spec, progress=None) -> Timeline:
    """Return when everything happens in one run of the layer; non_zero: bool[in], the activations to broadcast."""
    env = simpy.Environment()
    return play(env, image, non_zero, pauses, spec, progress)


def play(
    env: simpy.Environment, image: Image, non_zero: np.ndarray, pauses: Pauses, spec: Spec, progress=None
) -> Timeline:
    """Do the same in an environment of the caller's."""
    rows = [(start, non_zero[start : start + spec.n_pes].tolist()) for start in range(0, len(non_zero), spec.n_pes)]
    if image.n_columns > len(non_zero):  # the bias: a 1 in the first lane of a row of its own (R7)
        rows.append((len(non_zero), [True]))
    record = Recorder(env, sum(sum(lanes) for _, lanes in rows), spec.n_pes, progress)
    pes = [ProcessingElement(env, i, image.pointers[:, i], spec, record) for i in range(spec.n_pes)]
    broadcaster = Broadcaster(env, rows, pauses, pes, spec.broadcast_latency_cycles, record)
    for unit in (*pes, broadcaster):
        env.process(unit.run())
    env.run()
    return record.timeline()


class Recorder:
    """The notebook that the units write cycle numbers into; no unit reads what another wrote."""

    def __init__(self, env: simpy.Environment, n_broadcasts: int, n_pes: int, progress=None):
        self._env = env
        self.column, self.paused, self.resumed, self.ready, self.sent = np.zeros((5, n_broadcasts), np.int32)
        self.popped = np.zeros((n_broadcasts, n_pes), np.int32)
        self.row_reads = np.zeros(n_pes, np.int32)
        self._n_ready = 0
        self._pause: tuple[int, int] | None = None
        self._last_write = 0
        self._progress = progress

    def pause(self, start: int, end: int) -> None:
        self._pause = (start if self._pause is None else self._pause[0], end)

    def next_broadcast(self, column: int) -> int:
        k = self._n_ready
        self._n_ready += 1
        if self._progress is not None and k % EVERY == 0:
            self._progress(k / len(self.sent))
        previous = int(self.sent[k - 1]) if k else 0
        self.paused[k], self.resumed[k] = self._pause or (previous, previous)
        self._pause = None
        self.column[k], self.ready[k] = column, self._env.now
        return k

    def retire(self, _entry: int) -> None:
        self._last_write = self._env.now

    def timeline(self) -> Timeline:
        cycles = max(self._last_write, DRAIN_CYCLES)
        return Timeline(
            self.column, self.paused, self.resumed, self.ready, self.sent, self.popped, self.row_reads, cycles
        )
