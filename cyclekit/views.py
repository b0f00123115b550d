"""What a machine can say about its figures: which field of its Spec is worth a view, and of which quantities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any


@dataclass(frozen=True)
class Quantity:
    """A number of a `cyclekit.sweep.results.Result`; None where the result does not have it.

    unit: "" for a count. over_smallest: show it as the factor by which it is less than at the smallest x. name: its key
    in the data of a report's page.
    """

    label: str
    unit: str
    of: Callable[[Any], float | None]
    over_smallest: bool = False
    _: KW_ONLY
    name: str = ""
    less_is_better: bool = True

    @property
    def head(self) -> str:
        """The label with the unit, as an axis or a column has it."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label


@dataclass(frozen=True)
class View:
    """Quantities against a field of the Spec, or against another quantity, beside each other in one figure.

    label: what the field is called in a figure (""; its own name). lines: the field that the lines differ in (None: the
    workload, or where there is one only, a second field that varies).
    """

    over: str | Quantity
    panels: tuple[Quantity, ...]
    label: str = ""
    lines: str | None = None

    @property
    def name(self) -> str:
        """What the view is over, as a word of a file's name."""
        return self.over if isinstance(self.over, str) else self.over.label.replace(" ", "-")


TIME = Quantity("time", "us", lambda result: result.time_us, name="time_us")
SPEED_UP = Quantity("speed-up", "times", lambda result: result.time_us, over_smallest=True)
LOAD_BALANCE = Quantity(
    "load balance", "%", lambda result: 100 * result.load_balance, name="load_balance", less_is_better=False
)
ENERGY = Quantity("energy", "pJ", lambda result: result.energy_pj)


def count(action: str, label: str) -> Quantity:
    """How often an action happened."""
    return Quantity(label, "", lambda result: result.actions.get(action))


def energy_of(module: str, label: str) -> Quantity:
    """What a module took, standing power included."""
    return Quantity(label, "pJ", lambda result: result.module_pj.get(module))


def energy_per(module: str, action: str, label: str) -> Quantity:
    """What a module took, by how often an action happened."""

    def of(result: Any) -> float | None:
        pj, times = result.module_pj.get(module), result.actions.get(action)
        return pj / times if pj is not None and times else None

    return Quantity(label, "pJ", of)


def measure(name: str, label: str, unit: str) -> Quantity:
    """A machine's own measure."""
    return Quantity(label, unit, lambda result: result.measures.get(name))
