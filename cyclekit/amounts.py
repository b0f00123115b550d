"""Units by size: the step of a unit in which a number is shown, in tables and on axes."""

from __future__ import annotations

from collections.abc import Iterable

STEPS = {  # of a unit: what it is shown in, from the finest to the coarsest
    "pJ": {"pJ": 1.0, "nJ": 1e3, "uJ": 1e6, "mJ": 1e9, "J": 1e12},
    "us": {"us": 1.0, "ms": 1e3, "s": 1e6},
    "mW": {"mW": 1.0, "W": 1e3},
}


def scale(unit: str, value: float) -> tuple[str, float]:
    """Return the coarsest step of a unit in which a value is at least 1, and its size: of an axis the largest value."""
    steps = STEPS.get(unit, {unit: 1.0})
    fitting = [step for step in steps.items() if value >= step[1]]
    return fitting[-1] if fitting else next(iter(steps.items()))


def scale_of_all(unit: str, values: Iterable[float | None]) -> tuple[str, float]:
    """Return the step for a column: the coarsest in which the least of its values, zeros apart, is at least 1."""
    return scale(unit, min((value for value in values if value), default=0.0))


def amount(value: float, unit: str) -> str:
    """Return a value to four digits with the unit that suits its size: 12.96 us, 7.45 uJ."""
    step, size = scale(unit, value)
    number = value / size
    return f"{number:,.0f} {step}" if abs(number) >= 1000 else f"{number:.4g} {step}"
