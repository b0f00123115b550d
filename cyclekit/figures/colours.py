"""Which of a theme's colours a name has: the same in every figure, whatever it is drawn with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count

STATES = {  # those that units of several kinds are in; work first, own losses, starvation, the end
    "compute": 0, "padding": 1, "floor": 2, "port": 3, "issue": 4, "blocked": 4, "memory": 4, "map": 5, "move": 5,
    "lookup": 6, "l2": 6, "load": 7, "hbm": 7, "done": 8, "fill": 8, "drain": 9, "idle": 10, "wave": 10, "launch": 11,
}  # fmt: skip
OPERATORS = (
    "embedding",
    "norm",
    "qkv",
    "attention",
    "output projection",
    "gate and up",
    "activation",
    "down",
    "logits",
    "rope",
    "norm of q and k",
    "up",
    "all-reduce",
    "add",
    "last norm",
    "sampling",
)  # of a language model: those that take long have the plain colours
KINDS = ("as published", "calibrated")  # of workloads that figures are held against


def places(names: Iterable[str], known: Sequence[str]) -> dict[str, int]:
    """Return the place of each name's colour: that among the known names, else the first that nobody takes."""
    return _placed(names, {name: place for place, name in enumerate(known)})


def places_of_states(names: Iterable[str]) -> dict[str, int]:
    """Return the place of each state's colour; names: all states of a kind of unit, in their order."""
    return _placed(names, STATES)


def places_of_modules(names: Iterable[str], modules: Sequence[str]) -> dict[str, int]:
    """Return the place of each module's colour, in their order: those known to the machine, then the others."""
    placed = places(sorted(names), modules)
    return dict(sorted(placed.items(), key=lambda item: item[1]))


def _placed(names: Iterable[str], known: dict[str, int]) -> dict[str, int]:
    names = list(names)
    taken = {known[name] for name in names if name in known}
    free = (place for place in count() if place not in taken)
    return {name: known[name] if name in known else next(free) for name in names}
