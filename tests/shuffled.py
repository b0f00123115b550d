"""A SimPy environment that plays the events of one time and priority in an order drawn from a seed."""

import heapq
import random

import simpy
from simpy.events import NORMAL


class ShuffledEnvironment(simpy.Environment):
    """An environment whose ties are broken at random instead of by the order of scheduling."""

    def __init__(self, seed: int):
        self._random = random.Random(seed)
        super().__init__()

    def schedule(self, event, priority=NORMAL, delay=0) -> None:
        heapq.heappush(self._queue, (self._now + delay, priority, self._random.random(), event))
