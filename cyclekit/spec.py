"""The frozen, checked, self-describing record of numbers that a machine's Spec is made of."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from workloads.errors import BadInput, did_you_mean

LARGEST = 2**63 - 1  # kernels hold whole numbers in 64 bits


CHOSEN = "chosen"  # in place of a number: the machine chooses it


def number(
    default: float | str, meaning: str, *, source: str, minimum: float = 0, maximum: float = LARGEST, power_of_two=False
):
    """Declare a numeric field; its type is its default's, its unit stands in its name.

    With the default CHOSEN it is a whole number or CHOSEN.
    """
    limits = {"minimum": minimum, "maximum": maximum, "power_of_two": power_of_two}
    return field(default=default, metadata={"meaning": meaning, "source": source, **limits})


def switch(default: bool, meaning: str, *, source: str):
    """Declare a yes-or-no field."""
    return field(default=default, metadata={"meaning": meaning, "source": source})


def choice(default: str, meaning: str, *, source: str, options: tuple[str, ...]):
    """Declare a field that takes one of a few words."""
    return field(default=default, metadata={"meaning": meaning, "source": source, "options": options})


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Base of every machine's Spec: checks each field against its declaration.

    Raises BadInput: "queue_depth must be at least 2, got 1"; from `replace`: "unknown field 'n_pe', did you mean
    'n_pes'?".
    """

    def __post_init__(self):
        for declared in dataclasses.fields(self):
            value = checked(declared, getattr(self, declared.name))
            object.__setattr__(self, declared.name, value)

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed; values may be text, as from a command line."""
        known = [declared.name for declared in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise BadInput(f"unknown field {name!r}{did_you_mean(name, known)}")
        return dataclasses.replace(self, **changes)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Return the Spec that `as_dict` was called on; raises BadInput on a missing or an unknown field."""
        names = {declared.name for declared in dataclasses.fields(cls)}
        if stored.keys() != names:
            raise BadInput(
                f"a stored design must have exactly the fields of this version, differs in "
                f"{sorted(names ^ stored.keys())}"
            )
        return cls(**stored)

    def as_dict(self) -> dict[str, Any]:
        """Return {field: value}, in order of declaration."""
        return {declared.name: getattr(self, declared.name) for declared in dataclasses.fields(self)}


@dataclass(frozen=True, kw_only=True)
class Chip:
    """What a design is made in, and the area of its die where that is published and not a matter of prices.

    source: of the area, in a few words. note: what a comparison's reader must know that its figures do not show.
    """

    process: str
    area_mm2: float | None = None
    source: str = ""
    note: str = ""


def checked(declared: dataclasses.Field, value: Any) -> Any:
    """Return a value, perhaps a text, as a field holds it. Raises BadInput where its declaration does not allow it."""
    name, rules = declared.name, declared.metadata
    if isinstance(declared.default, bool):
        return _as_bool(name, value)
    if "options" in rules:
        if value not in rules["options"]:
            raise BadInput(f"{name} must be one of {', '.join(rules['options'])}, got {value!r}")
        return str(value)
    may_be_chosen = declared.default == CHOSEN
    if may_be_chosen and isinstance(value, str) and value == CHOSEN:
        return CHOSEN
    value = _as_number(name, value, whole=not isinstance(declared.default, float), may_be_chosen=may_be_chosen)
    if value < rules["minimum"]:
        raise BadInput(f"{name} must be at least {rules['minimum']}, got {value}")
    if value > rules["maximum"]:
        raise BadInput(f"{name} must be at most {rules['maximum']}, got {value}")
    if rules["power_of_two"] and value & (value - 1):
        raise BadInput(f"{name} must be a power of two, got {value}")
    return value


def _as_bool(name: str, value: Any) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    try:
        return words[str(value).lower()]
    except KeyError:
        raise BadInput(f"{name} must be true or false, got {value!r}") from None


def _as_number(name: str, value: Any, *, whole: bool, may_be_chosen: bool) -> int | float:
    kind, want = (int, "a whole number") if whole else (float, "a number")
    want += f" or {CHOSEN}" if may_be_chosen else ""
    try:
        if isinstance(value, bool) or not isinstance(value, str | numbers.Real):
            raise ValueError
        number = kind(value)
        # int() cuts a float short without a word, and a NaN passes every comparison below.
        if number != (value if not isinstance(value, str) else number) or number - number != 0:
            raise ValueError
    except (ValueError, OverflowError):
        raise BadInput(f"{name} must be {want}, got {value!r}") from None
    return number
