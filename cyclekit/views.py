"""Quantities: in which step of their unit they are shown, and which of them a machine's figures show over what."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY, dataclass
from typing import Any

LONGEST = 5
COUNTED = ("B", "FLOP", "cycles")
STEPS = {  # of a unit: what it is shown in, from the finest to the coarsest
    "pJ": {"pJ": 1.0, "nJ": 1e3, "uJ": 1e6, "mJ": 1e9, "J": 1e12},
    "uJ": {"pJ": 1e-6, "nJ": 1e-3, "uJ": 1.0, "mJ": 1e3, "J": 1e6},
    "B": {"B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9},
    "FLOP": {"FLOP": 1.0, "kFLOP": 1e3, "MFLOP": 1e6, "GFLOP": 1e9, "TFLOP": 1e12},
    "us": {"us": 1.0, "ms": 1e3, "s": 1e6},
    "mW": {"mW": 1.0, "W": 1e3},
}


def scale(unit: str, value: float) -> tuple[str, float]:
    """Return the coarsest step of a unit in which a value is at least 1, and its size: of an axis the largest value."""
    steps = STEPS.get(unit, {unit: 1.0})
    fitting = [step for step in steps.items() if value >= step[1]]
    return fitting[-1] if fitting else next(iter(steps.items()))


def scale_of_all(unit: str, values: Iterable[float | None]) -> tuple[str, float]:
    """Return the step for a column: the coarsest in which the least of its values, zeros apart, is at least 1.

    A coarser one where the largest would have more than LONGEST digits before the point.
    """
    known = [value for value in values if value]
    step, size = scale(unit, min(known, default=0.0))
    for coarser in STEPS.get(unit, {}).items():
        if coarser[1] > size and max(known, default=0.0) >= 10**LONGEST * size:
            step, size = coarser
    return step, size


def style_of(step: str) -> str:
    """Return how the numbers of a column in that step are written: three places, but of what is counted none."""
    return ",.0f" if step in COUNTED else ",.3f"


def amount(value: float, unit: str) -> str:
    """Return a value to four digits with the unit that suits its size: 12.96 us, 7.45 uJ."""
    step, size = scale(unit, value)
    number = value / size
    return f"{number:,.0f} {step}" if abs(number) >= 1000 else f"{number:.4g} {step}"


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


UNITS = ("bits", "bytes", "cycles", "mhz", "nm", "us")


def field_label(name: str, views: Iterable[View] = ()) -> str:
    """Return what a field is called on an axis: by a machine's view over it, or else its name, its unit in brackets.

    clock_mhz is "clock [MHz]", n_sms "number of sms".
    """
    if label := next((view.label for view in views if view.over == name and view.label), ""):
        return label
    words, _, unit = name.rpartition("_")
    if words and unit in UNITS:
        return f"{words.replace('_', ' ')} [{'MHz' if unit == 'mhz' else unit}]"
    return ("number of " if name.startswith("n_") else "") + name.removeprefix("n_").replace("_", " ")


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
