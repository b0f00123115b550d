"""Where a best design lies at an end of the values that were tried, so that a better one may lie beyond."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cyclekit import machine as machines
from cyclekit.machine import Machine
from cyclekit.sweep.results import Result, varied

LEAST_VALUES = 3  # of a field: of two values each is an end
SAME = 1 + 1e-9  # designs that are equally good
QUANTITIES = {"time": "time_us", "energy": "energy_pj", "energy x time": "edp_nj_us"}  # least area is the least design


def ends(
    best: Sequence[Mapping[str, Any]], tried: Mapping[str, Iterable[Any]], machine: Machine | None = None
) -> dict[str, str]:
    """Return {field: "256, the most tried"} of the fields in which all of the best designs lie at one end.

    best: the fields of each; tried: {field: its values}. Words, switches and fields of fewer than LEAST_VALUES have no
    ends, and the most or the least that the machine's Spec allows is none: nothing lies beyond.
    """
    at = {}
    limits = _limits(machine)
    for name, values in tried.items():
        known = set(values)
        if len(known) < LEAST_VALUES or not all(_is_number(value) for value in known):
            continue
        own = {design.get(name) for design in best}
        for end, word, limit in ((min(known), "least", "minimum"), (max(known), "most", "maximum")):
            if own == {end} and limits.get(name, {}).get(limit) != end:
                at[name] = f"{end:.10g}, the {word} tried"
    return at


def at_the_ends(results: Sequence[Result]) -> list[str]:
    """Return a line for each workload on each machine whose best designs lie at an end, in the order of the results."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.workload, result.machine), []).append(result)
    lines = []
    for (workload, name), group in groups.items():
        told = best_at_the_ends(group, machines.find(name))
        if told:
            lines.append(f"{workload}: {told}")
    return lines


def best_at_the_ends(results: Sequence[Result], machine: Machine | None) -> str:
    """Return at which ends the results of one workload on one machine have their best; "" where at none."""
    names = [name for name in varied(results) if name in results[0].design]
    tried = {name: [result.design.get(name) for result in results] for name in names}
    parts: dict[str, list[str]] = {}
    for label, quantity in QUANTITIES.items():
        known = [(getattr(r, quantity), r) for r in results if r.reason is None and getattr(r, quantity) is not None]
        if known:
            least = min(value for value, _ in known)
            best = [result.design for value, result in known if value <= least * SAME]
            for field, end in ends(best, tried, machine).items():
                parts.setdefault(f"{field} = {end}", []).append(label)
    return sentence(parts)


def sentence(parts: Mapping[str, Sequence[str]]) -> str:
    """Return {end: quantities} in words; "" of none."""
    if not parts:
        return ""
    said = "; ".join(f"least {' and '.join(labels)} at {end}" for end, labels in parts.items())
    return f"{said}: beyond it may be better"


def _limits(machine: Machine | None) -> dict[str, Mapping[str, Any]]:
    return {field.name: field.metadata for field in dataclasses.fields(machine.spec)} if machine else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
