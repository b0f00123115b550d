"""Wires the units of PointAcc, plays them in SimPy and records when everything happens: the engine to read."""

from __future__ import annotations

import numpy as np
import simpy

from pointacc_sim.plan import Plan
from pointacc_sim.spec import Spec
from pointacc_sim.timeline import Timeline
from pointacc_sim.units import Board, Dram, MappingUnit, MatrixUnit, MemoryManagementUnit

EVERY = 64  # steps between two reports of progress


def timeline(plan: Plan, spec: Spec, progress=None) -> Timeline:
    """Return when everything happens in a layer."""
    return play(simpy.Environment(), plan, spec, progress)


def play(env: simpy.Environment, plan: Plan, spec: Spec, progress=None) -> Timeline:
    """Do the same in an environment of the caller's."""
    record = Recorder(env, plan, progress)
    dram, maps, data, done = Dram(env), Board(env), Board(env), Board(env)
    units = (
        dram,
        MappingUnit(env, plan, spec, dram, maps, record),
        MemoryManagementUnit(env, plan, spec, dram, maps, data, done, record),
        MatrixUnit(env, plan, spec, dram, data, done, record),
    )
    for unit in units:
        env.process(unit.run())
    env.run()
    return record.timeline()


class Recorder:
    """The notebook that the units write cycle numbers into; no unit reads what another wrote."""

    def __init__(self, env: simpy.Environment, plan: Plan, progress=None):
        self._env = env
        n_passes, n_steps = len(plan.passes), len(plan.steps)
        self.passed, self.read, self.mapped = (np.zeros((n_passes, 2), np.int64) for _ in range(3))
        self.looked, self.fetched, self.computed = (np.zeros((n_steps, 2), np.int64) for _ in range(3))
        self.written = np.zeros((plan.n_tiles, 2), np.int64)
        self._last = 0
        self._progress = progress

    def span(self, of: np.ndarray, number: int, n_cycles: int) -> None:
        """Note that something begins now and takes so many cycles."""
        of[number] = self._env.now, self._env.now + n_cycles - 1
        self.see(int(of[number, 1]))
        if self._progress is not None and of is self.computed and number % EVERY == 0:
            self._progress(number / len(self.computed))

    def see(self, cycle: int) -> None:
        """Note that something happens in a cycle: the last of them ends the run."""
        self._last = max(self._last, int(cycle))

    def timeline(self) -> Timeline:
        return Timeline(
            self.passed, self.read, self.mapped, self.looked, self.fetched, self.computed, self.written, self._last
        )
