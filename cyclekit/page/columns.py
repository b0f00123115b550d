"""What the page's views work on: the designs as columns of plain values for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cyclekit import machine as machines
from cyclekit.figures.colours import places_of_modules, places_of_states
from cyclekit.page.best import QUANTITIES, grouped, varied_fields
from cyclekit.sweep.results import Result
from cyclekit.views import Quantity

DECIMALS = 6  # of a share: a bar is a thousand pixels long
EXACT = 2**53  # beyond, a browser's numbers are not exact


def columns(results: Sequence[Result], fields: Mapping[str, Sequence[Any]], prices: str | None) -> dict[str, Any]:
    """Return the designs of a store as its page's views take them; all are feasible.

    fields: {field that is varied: its values}. A column holds one entry a design: of a dimension the place of its
    value among the values, -1 where its machine has no such field; of a quantity the value, or None.
    """
    return {
        "n": len(results),
        "prices": prices,
        "machines": {name: _machine(name, of) for name, of in grouped(results, lambda r: r.machine).items()},
        "inputs": [result.n_inputs for result in results],
        "dimensions": list(_dimensions(results, fields)),
        "quantities": [_quantity(quantity, results) for quantity in QUANTITIES],
        "parts": [*_states(results), *_modules(results)],
    }


def _machine(name: str, results: Sequence[Result]) -> dict[str, Any]:
    """Return what the command line of a design is made of; what all designs of the machine share stands in `spec`."""
    first = results[0].spec
    shared = {key: _plain(value) for key, value in first.items() if all(r.spec.get(key) == value for r in results)}
    if (machine := machines.find(name)) is None:  # then there is no command line
        return {"balance": "load balance", "spec": shared, "presets": {}, "engine": "", "batched": True}
    presets = {
        preset: {key: _plain(value) for key, value in spec.as_dict().items()}
        for preset, spec in machine.presets.items()
    }
    return {
        "balance": machine.balance,
        "spec": shared,
        "presets": presets,
        "engine": machine.engines[0],
        "batched": machine.batched,
    }


def _dimensions(results: Sequence[Result], fields: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for name in ("machine", "workload", "engine"):
        of = [getattr(result, name) for result in results]
        yield _dimension(name, list(dict.fromkeys(of)), of, None)
    by_machine = {name: varied_fields(of) for name, of in grouped(results, lambda r: r.machine).items()}
    for name, values in fields.items():
        of = [result.design.get(name) for result in results]
        yield _dimension(name, values, of, [machine for machine, names in by_machine.items() if name in names])


def _dimension(name: str, values: Sequence[Any], of: Sequence[Any], machines: Sequence[str] | None) -> dict[str, Any]:
    """Return a dimension as the page takes it. machines: in which it differs; None: it is no field of a design."""
    place = {value: place for place, value in enumerate(values)}
    return {
        "name": name,
        "differs_in": machines,
        "values": [_plain(value) for value in values],
        "numeric": all(isinstance(value, int | float) and not isinstance(value, bool) for value in values),
        "of": [place.get(value, -1) for value in of],
    }


def _quantity(quantity: Quantity, results: Sequence[Result]) -> dict[str, Any]:
    return {
        "name": quantity.name,
        "label": quantity.label,
        "unit": quantity.unit,
        "less": quantity.less_is_better,
        "values": [_plain(quantity.of(result)) for result in results],
    }


def _states(results: Sequence[Result]) -> Iterator[dict[str, Any]]:
    """Yield, for each kind of unit of each machine, the shares of its cycles by state."""
    for machine, kind in dict.fromkeys((result.machine, kind) for result in results for kind in result.states):
        having = [result.states.get(kind, {}) if result.machine == machine else {} for result in results]
        yield _parts("cycles", f"cycles of {machine}'s {kind}", "cycles", having)


def _modules(results: Sequence[Result]) -> Iterator[dict[str, Any]]:
    """Yield, for each machine, the shares of its energy by module."""
    for machine in dict.fromkeys(result.machine for result in results if result.module_pj):
        having = [result.module_pj if result.machine == machine else {} for result in results]
        known = machines.find(machine)
        yield _parts("energy", f"energy of {machine} by module", "energy_nj", having, known.modules if known else ())


def _parts(
    what: str, label: str, whole: str, having: Sequence[Mapping[str, float]], modules: Sequence[str] = ()
) -> dict[str, Any]:
    """Return parts of a whole; whole: the name of the quantity that says how much it is; modules: of known colours."""
    of_parts = dict.fromkeys(name for parts in having for name in parts)
    places = places_of_modules(of_parts, modules) if what == "energy" else places_of_states(of_parts)
    names = list(places)
    return {
        "what": what,
        "label": label,
        "whole": whole,
        "names": names,
        "colours": list(places.values()),
        "shares": [_shares([parts.get(name, 0.0) for name in names]) if parts else None for parts in having],
    }


def _shares(parts: Sequence[float]) -> list[float] | None:
    whole = sum(parts)
    return [_plain(round(part / whole, DECIMALS)) for part in parts] if whole else None


def _plain(value: Any) -> Any:
    """Return a value as JSON and a browser hold it: whole floats short, and whole numbers that are too long as text."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= EXACT else value
    if isinstance(value, int) and abs(value) > EXACT:
        return str(value)
    return value
