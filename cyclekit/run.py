"""The record of one run: what was asked, what was found; it checks itself and survives a trip through JSON."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from cyclekit.energy import Energy
from cyclekit.ledger import Ledger
from workloads.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class Run:
    """One input through one layer on one design. Raises ValueError where its own figures contradict each other."""

    # What was asked.
    machine: str
    workload: str
    input: int  # which of a batch, from 0
    engine: str
    spec: Mapping[str, Any]
    id: str  # hash of all that determines the result
    # What was found.
    cycles: int
    time_us: float
    load_balance: float  # share of the workers' cycles in which they handled work
    actions: Mapping[str, int]
    states: Mapping[str, Mapping[str, int]]  # unit kind -> state -> cycles, summed over the units of the kind
    output_sha256: str  # of the output values' bytes, little-endian
    check: Mapping[str, Any] | None = None  # how the values compared with the references; None: not asked
    measures: Mapping[str, float | str] = field(
        default_factory=dict
    )  # what this machine says besides, unit in the name
    energy: Energy | None = None  # by one table of prices; None: not asked
    notes: tuple[str, ...] = ()  # what the user should know: what did not fit, what saturated
    # What is not stored.
    outputs: np.ndarray | None = field(default=None, compare=False, repr=False)
    output_step: float = field(default=1.0, compare=False, repr=False)  # what 1 in the outputs stands for
    timeline: Any = field(default=None, compare=False, repr=False)
    ledger: Ledger | None = field(default=None, compare=False, repr=False)

    def __post_init__(self):
        if self.cycles < 0 or not 0 <= self.load_balance <= 1:
            raise ValueError(f"cycles must not be negative nor load_balance outside 0 to 1: {self}")
        for kind, spent in self.states.items():
            if min(spent.values()) < 0 or (sum(spent.values()) % self.cycles if self.cycles else sum(spent.values())):
                raise ValueError(f"the states of {kind} must sum to a multiple of {self.cycles} cycles, got {spent}")
        if negative := [action for action, count in self.actions.items() if count < 0]:
            raise ValueError(f"the counts of {negative} must not be negative")

    @property
    def values(self) -> np.ndarray:
        """The outputs as reals, f64."""
        return self.outputs * np.float64(self.output_step)

    def as_dict(self) -> dict[str, Any]:
        """Return what is stored, as plain values for JSON."""
        own = {entry.name: getattr(self, entry.name) for entry in _stored()}
        return own | {"notes": list(self.notes), "energy": self.energy and self.energy.as_dict()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Return the run that `as_dict` was called on, or that `zeroskip run --json` wrote.

        Raises BadInput on a missing or an unknown field.
        """
        stored = {name: value for name, value in stored.items() if name not in ("schema_version", "command")}
        names = {entry.name for entry in _stored()}
        if stored.keys() != names:
            raise BadInput(
                f"a stored run must have exactly the fields of this version, differs in {sorted(names ^ stored.keys())}"
            )
        energy = stored["energy"] and Energy.from_dict(stored["energy"])
        return cls(**{**stored, "notes": tuple(stored["notes"]), "energy": energy})

    def without_arrays(self) -> Self:
        """Return the run without what is not stored: a row that takes little memory."""
        return dataclasses.replace(self, outputs=None, timeline=None, ledger=None)


def _stored() -> list[dataclasses.Field]:
    return [entry for entry in dataclasses.fields(Run) if entry.compare]


def identity(*parts: Any) -> str:
    """Return the SHA-256 of arrays, texts and plain values, each with its kind and shape."""
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part))
        else:
            digest.update(json.dumps(part, sort_keys=True).encode())
        digest.update(b"\0")  # 1 and 23 are not 12 and 3; JSON holds no such byte, and an array says its length
    return digest.hexdigest()
