"""Everything of a result that a user could edit, edited."""

from collections.abc import MutableMapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import partial

import numpy as np

from cyclekit.machine import Machine

PACKAGES = ("zeroskip", "workloads", "cyclekit", "eie_sim", "pointacc_sim", "tensorcore_sim")


def spoil(thing, seen: set[int] | None = None) -> int:
    """Zero every array and empty every dictionary and list that can be reached; return how many there were.

    Left alone: functions, and machines, which are no part of a result.
    """
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, type | Enum | Machine):
        return 0
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        if thing.flags.writeable:
            thing[...] = thing.dtype.type(0)
        return int(thing.flags.writeable)
    if isinstance(thing, MutableMapping):
        n_spoiled = sum(spoil(value, seen) for value in thing.values())
        thing.clear()
        return n_spoiled + 1
    if isinstance(thing, tuple | list | set | frozenset):
        n_spoiled = sum(spoil(value, seen) for value in thing)
        if isinstance(thing, list | set):
            thing.clear()
        return n_spoiled
    if isinstance(thing, partial):
        return sum(spoil(value, seen) for value in (*thing.args, *thing.keywords.values()))
    if type(thing).__module__.partition(".")[0] in PACKAGES:
        named = {field.name for field in fields(thing)} if is_dataclass(thing) else set()
        named |= set(getattr(thing, "__dict__", ()))  # with what a cached_property keeps
        return sum(spoil(getattr(thing, name), seen) for name in sorted(named))
    return 0
