"""Wires the units of an SM, plays them in SimPy and records when everything happens: the engine to read."""

from __future__ import annotations

import numpy as np
import simpy

from tensorcore_sim.sm.program import Kind, Operation, Program
from tensorcore_sim.sm.timeline import NEVER, Timeline
from tensorcore_sim.sm.units import SharedMemoryPort, TensorCore, Warp, WarpScheduler


def timeline(program: Program) -> Timeline:
    """Return when everything happens in one run of the program."""
    return play(simpy.Environment(), program)


def play(env: simpy.Environment, program: Program) -> Timeline:
    """Do the same in an environment of the caller's."""
    record = Recorder(program.kind.shape)
    warps = {w: Warp(env, w, _operations(program, w), record) for w in range(len(program.length))}
    port = SharedMemoryPort(env, program.n_subcores, warps, record)
    env.process(port.run())
    for subcore in range(program.n_subcores):
        own = [warp for w, warp in warps.items() if w % program.n_subcores == subcore]
        env.process(WarpScheduler(env, own, TensorCore(env, warps, record), port).run())
    env.run()
    return Timeline(record.ready, record.issued, record.served, record.completed)


def _operations(program: Program, warp: int) -> list[Operation]:
    names = ("kind", "hold", "port", "latency", "needs")
    columns = [getattr(program, name)[warp, : program.length[warp]].tolist() for name in names]
    return [
        Operation(kind=Kind(kind), hold=hold, port=port, latency=latency, needs=needs)
        for kind, hold, port, latency, needs in zip(*columns, strict=True)
    ]


class Recorder:
    """The notebook that the units write times into."""

    def __init__(self, shape: tuple[int, int]):
        self.ready, self.issued, self.served, self.completed = (np.full(shape, NEVER, np.int64) for _ in range(4))

    def is_new(self, warp: int, instruction: int) -> bool:
        """Tell whether an instruction has not been ready before."""
        return self.ready[warp, instruction] == NEVER
