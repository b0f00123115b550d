"""By which presets designs are told apart, where their names say more than the fields that differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

PRESET = "preset"  # in place of a field: presets' names, each of which stands for several fields' values


def by_presets(
    specs: Sequence[Mapping[str, Any]], presets: Mapping[str, Mapping[str, Any]]
) -> list[Mapping[str, Any] | None]:
    """Return what each design is called: {PRESET: name} and its fields, without those that presets say.

    Presets say fields, as many as can be, in which every design is as one of them; of several such a design is called
    by the one that it differs least from elsewhere. None for all where presets say fewer than two of the fields that
    differ: then the field itself is the shorter name.
    """
    differing = [name for name in _shared(specs) if len({spec[name] for spec in specs}) > 1]
    said = _said(differing, specs, presets)
    if len(said) < 2:
        return [None] * len(specs)
    names: dict[tuple[Any, ...], str] = {}
    called: list[Mapping[str, Any] | None] = []
    for spec in specs:
        values = _values(spec, said)
        if values not in names:
            names[values] = _nearest(spec, said, presets)
        called.append({PRESET: names[values]} | {name: own for name, own in spec.items() if name not in said})
    return called


def _said(
    differing: Sequence[str], specs: Sequence[Mapping[str, Any]], presets: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Return the most of these fields that one can find in which every design is as one of the presets."""
    candidates = [name for name in differing if _all_known([name], specs, presets)]
    best: list[str] = []
    for place in range(len(candidates)):
        chosen: list[str] = []
        for name in candidates[place:] + candidates[:place]:
            if _all_known([*chosen, name], specs, presets):
                chosen.append(name)
        best = max(best, chosen, key=len)
        if len(best) == len(candidates):
            break
    return best


def _all_known(
    fields: Sequence[str], specs: Sequence[Mapping[str, Any]], presets: Mapping[str, Mapping[str, Any]]
) -> bool:
    known = {_values(preset, fields) for preset in presets.values()}
    return all(_values(spec, fields) in known for spec in specs)


def _nearest(spec: Mapping[str, Any], said: Sequence[str], presets: Mapping[str, Mapping[str, Any]]) -> str:
    like = [name for name, preset in presets.items() if _values(preset, said) == _values(spec, said)]
    return min(like, key=lambda name: sum(own != presets[name].get(field) for field, own in spec.items()))


def _values(design: Mapping[str, Any], fields: Sequence[str]) -> tuple[Any, ...]:
    return tuple(design.get(name) for name in fields)


def _shared(specs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the fields that all designs have; a store may hold those of an older version."""
    return [name for name in specs[0] if all(name in spec for spec in specs)] if specs else []
