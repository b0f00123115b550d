"""Wires the units of a card, plays them in SimPy and records when everything happens: the engine to read."""

from __future__ import annotations

from types import SimpleNamespace

import simpy

from tensorcore_sim.card.timeline import CardTimeline, Plan, empty
from tensorcore_sim.card.units import Dispatcher, L2Cache, Place, TensorCores
from tensorcore_sim.spec import TICKS


def timeline(plan: Plan) -> CardTimeline:
    """Return when everything happens in one run of the plan."""
    return play(simpy.Environment(), plan)


def play(env: simpy.Environment, plan: Plan) -> CardTimeline:
    """Do the same in an environment of the caller's."""
    record = SimpleNamespace(**empty(plan))
    dispatcher, l2 = Dispatcher(env, len(plan.blocks) - 1), L2Cache(env, plan, record)
    env.process(dispatcher.inbox.run())
    env.process(l2.inbox.run())
    cores = [TensorCores(env) for _ in range(plan.n_sms)]
    for index in range(plan.n_places):
        env.process(Place(env, index, plan, dispatcher, l2, cores[index % plan.n_sms], record).run())
    env.run()
    end = max(l2.hbm.free, int(record.finished.max()))
    return CardTimeline(**vars(record), end=-(-end // TICKS) * TICKS)
