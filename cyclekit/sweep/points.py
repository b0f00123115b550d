"""The points of a sweep: which values which fields take, every value checked before anything runs."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from math import prod
from pathlib import Path
from typing import Any

from cyclekit.spec import Spec, checked
from cyclekit.sweep.presets import PRESET
from workloads.errors import BadInput, did_you_mean
from workloads.files import parse_toml

MOST_DIGITS = 300  # before the point or behind it: as many as a float has
MOST_VALUES = 1_000_000  # of one field: beyond, a slip of the pen is likelier than a wish
FILE_KEYS = (
    "machine",
    "workloads",
    "vary",
    "set",
    "engine",
    "inputs",
    "batch",
    "activation_density",
    "positions",
    "architecture",
    "workers",
    "maps",
    "into",
    "out",
    "dask",
)


@dataclass(frozen=True)
class Points:
    """All combinations of some fields' values on one design; the field named last changes fastest.

    Combinations that a Spec's own rules forbid are points too: infeasible ones. presets: {name: what it changes of the
    base}, of the names among the values of PRESET; all change the same fields, and none that varies by itself.
    """

    base: Spec
    values: Mapping[str, tuple[Any, ...]]
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return prod(map(len, self.values.values()))

    @property
    def fields(self) -> tuple[str, ...]:
        """What varies by itself."""
        return tuple(name for name in self.values if name != PRESET)

    def n_groups(self, fields: Sequence[str]) -> int:
        """Return how many combinations of these fields' values there are."""
        return prod(len(values) for name, values in self.values.items() if self._is_among(name, fields))

    def groups(self, fields: Sequence[str], step: int = 1) -> Iterator[tuple[dict[str, Any], Points]]:
        """Yield every step-th combination of these fields' values, each with the points that have them."""
        among = {name: values for name, values in self.values.items() if self._is_among(name, fields)}
        free = {name: values for name, values in self.values.items() if name not in among}
        for choice in replace(self, values=among).choices(step):
            group = replace(self, values={name: (value,) for name, value in choice.items()} | free)
            yield self.changed(choice), group

    def changes(self, step: int = 1) -> Iterator[dict[str, Any]]:
        """Yield what every step-th point changes of the base, field by field."""
        return map(self.changed, self.choices(step))

    def changed(self, choice: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a choice changes of the base, field by field."""
        own = {name: value for name, value in choice.items() if name != PRESET}
        return {**self.presets[choice[PRESET]], **own} if PRESET in choice else own

    def choices(self, step: int = 1) -> Iterator[dict[str, Any]]:
        """Yield what is chosen of the values for every step-th point; those between take no time."""
        if step > 1:
            yield from map(self._at, range(0, len(self), step))
            return
        for combination in itertools.product(*self.values.values()):
            yield dict(zip(self.values, combination, strict=True))

    def _at(self, place: int) -> dict[str, Any]:
        chosen = {}
        for name, values in reversed(self.values.items()):
            place, digit = divmod(place, len(values))
            chosen[name] = values[digit]
        return {name: chosen[name] for name in self.values}

    def _is_among(self, name: str, fields: Sequence[str]) -> bool:
        if name != PRESET:
            return name in fields
        return any(changed in fields for changes in self.presets.values() for changed in changes)


@dataclass(frozen=True)
class Chosen:
    """Some points, one or more, each once, with the face of Points: what they change of one design."""

    base: Spec
    chosen: Sequence[Mapping[str, Any]]

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def fields(self) -> tuple[str, ...]:
        """What varies."""
        return tuple(self.chosen[0])

    def n_groups(self, fields: Sequence[str]) -> int:
        """Return how many combinations of these fields' values there are."""
        return sum(1 for _ in self.groups(fields))

    def groups(self, fields: Sequence[str], step: int = 1) -> Iterator[tuple[dict[str, Any], Chosen]]:
        """Yield every step-th combination of these fields' values, each with the points that have them."""
        groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
        for changes in self.chosen:
            groups.setdefault(tuple(item for item in changes.items() if item[0] in fields), []).append(changes)
        for fixed, of_group in itertools.islice(groups.items(), 0, None, step):
            yield dict(fixed), Chosen(self.base, of_group)

    def changes(self) -> Iterator[Mapping[str, Any]]:
        """Yield what each point changes of the base."""
        return iter(self.chosen)


def preset_names(vary: Mapping[str, Any]) -> list[str]:
    """Return the presets that are varied, each once; none where presets are not. Raises BadInput."""
    wanted = vary.get(PRESET, ())
    named = _words(wanted) if isinstance(wanted, str) else [str(name) for name in wanted]
    if PRESET in vary and not named:
        raise BadInput(f"{PRESET} must have at least one value, got none")
    return list(dict.fromkeys(named))


def points(base: Spec, vary: Mapping[str, Any], designs: Mapping[str, Spec] | None = None) -> Points:
    """Return the points of a sweep.

    vary: {field: values}, the values a sequence, or a text: "1,2,5", "1,2,4,...,256", "2:256:x2", "8:64:+8" or "1:8";
    under PRESET presets' names. designs: {name: what it is here}, of each of those. Raises BadInput for an unknown
    field, a value that its field cannot take, an empty or reversed range, and presets that would be the same design.
    """
    declared = {entry.name: entry for entry in dataclasses.fields(base)}
    presets = _presets(base, vary, designs or {})
    values: dict[str, tuple[Any, ...]] = {}
    for name, wanted in vary.items():
        if name == PRESET:
            values[name] = tuple(presets)
            continue
        if name not in declared:
            raise BadInput(f"unknown field {name!r}{did_you_mean(name, declared)}")
        if isinstance(wanted, str):
            takes_words = "options" in declared[name].metadata
            wanted = _words(wanted) if takes_words else expanded(name, wanted)
        wanted = tuple(wanted) if isinstance(wanted, Iterable) else (wanted,)
        if not wanted:
            raise BadInput(f"{name} must have at least one value, got none")
        values[name] = tuple(dict.fromkeys(checked(declared[name], value) for value in wanted))
    if (n_points := prod(map(len, values.values()))) > sys.maxsize:
        raise BadInput(f"{n_points:.1e} points are too many: name fewer fields or values")
    return Points(base, values, presets)


def _presets(base: Spec, vary: Mapping[str, Any], designs: Mapping[str, Spec]) -> dict[str, dict[str, Any]]:
    """Return what each design changes of the base: of all fields in which one does, but for those that vary."""
    of_base = base.as_dict()
    own = {name: design.as_dict() for name, design in designs.items()}
    told = [f for f in of_base if f not in vary and any(fields[f] != of_base[f] for fields in own.values())]
    presets = {name: {f: fields[f] for f in told} for name, fields in own.items()}
    known: dict[tuple[Any, ...], str] = {}
    for name, changes in presets.items():
        if (other := known.setdefault(tuple(changes.values()), name)) != name:
            raise BadInput(f"presets {other} and {name} differ in nothing but what is set or varied: name one of them")
    return presets


def changes_of(settings: Sequence[str]) -> dict[str, str]:
    """Return {field: text} of a list of "field=value"."""
    pairs = {}
    for setting in settings:
        name, equals, value = (part.strip() for part in setting.partition("="))
        if not (name and equals and value):
            raise BadInput(f"--set must look like field=value, got {setting!r}")
        if name in pairs:
            raise BadInput(f"--set names {name} twice: say it once")
        pairs[name] = value
    return pairs


def vary_of(texts: Sequence[str]) -> dict[str, str]:
    """Return {field: values} of a list of "field=values", as from a command line."""
    vary: dict[str, str] = {}
    for text in texts:
        name, equals, values = (part.strip() for part in text.partition("="))
        if not (name and equals and values):
            raise BadInput(f"--vary must look like field=values, got {text!r}")
        if name in vary:
            raise BadInput(f"{name} is varied twice: once as {vary[name]!r}, once as {values!r}")
        vary[name] = values
    return vary


def read_file(path: str | Path) -> dict[str, Any]:
    """Return what a sweep's TOML file asks for; raises BadInput on what is no TOML, and on an unknown key."""
    try:
        settings = parse_toml(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise BadInput(f"sweep file {str(path)!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"sweep file {str(path)!r} is no TOML: {error}") from error
    except BadInput as error:
        raise BadInput(f"sweep file {str(path)!r} is {error}") from None
    for key, value in settings.items():
        if key == "preset":
            named = f"{settings.get('machine', 'MACHINE')}:{value}"
            raise BadInput(f"sweep file {str(path)!r} must name a preset with its machine, as machine = {named!r}")
        if key not in FILE_KEYS:
            raise BadInput(f"sweep file {str(path)!r} has an unknown key {key!r}{did_you_mean(key, FILE_KEYS)}")
        kind, want = {
            "workloads": (list, "a list of texts"),
            "vary": (dict, "a table"),
            "set": (dict, "a table"),
            "inputs": ((int, str), "a whole number, a file or random:SEED"),
            "activation_density": ((float, int, dict), "a number, or a table of globs and numbers"),
            "positions": (int, "a whole number"),
            "batch": (int, "a whole number"),
            "workers": (int, "a whole number"),
            "maps": (bool, "true or false"),
        }.get(key, (str, "a text"))
        fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        if not fits or (kind is list and not all(isinstance(name, str) for name in value)):
            raise BadInput(f"{key} must be {want} in sweep file {str(path)!r}, got {value!r}")
    return settings


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def expanded(name: str, text: str) -> Sequence[str]:
    """Return the values that a text such as "1,2,5" or "8:64:+8" stands for, still as texts. Raises BadInput."""
    values: list[str] = []
    words = _words(text)
    for place, word in enumerate(words):
        if word in ("...", "…"):
            if place < 2 or place != len(words) - 2:
                raise BadInput(f"... must stand behind two values or more and before the last of {name}, got {text!r}")
            values += _continued(name, text, [_number(name, known) for known in words[:place]], words[-1])
            break
        values += _range(name, word) if ":" in word else [word]
    return values


def _continued(name: str, text: str, known: Sequence[Decimal], last: str) -> list[str]:
    """Return what "1,2,4,...,256" leaves out, with its end: equal steps, or else equal factors."""
    end, step = _number(name, last), known[1] - known[0]
    pairs = list(itertools.pairwise(known))
    if all(b - a == step for a, b in pairs):
        values = _steps(name, text, known[-1], end, step) if step > 0 else []
    elif known[0] > 0 and all(b * known[0] == a * known[1] for a, b in pairs) and known[1] > known[0]:
        values = _factors(name, text, known[-1], end, known[1] / known[0])
    else:
        values = []
    if not values or values[-1] != end:
        raise BadInput(f"{name} must go on in equal steps or factors upwards to {last}, got {text!r}")
    return [format(value.normalize(), "f") for value in values[1:]]


def _range(name: str, text: str) -> list[str]:
    """Return the values of "a:b", "a:b:step", "a:b:+step" or "a:b:xfactor"; b is included where it is met."""
    parts = text.split(":")
    if len(parts) not in (2, 3):
        raise BadInput(f"a range of {name} must look like 2:256:x2, 8:64:+8 or 1:8, got {text!r}")
    start, end, by = (*parts, "+1")[:3]
    first, last, multiplies = _number(name, start), _number(name, end), by.startswith("x")
    if first > last:
        raise BadInput(f"range {text!r} of {name} is empty: it begins above its end")
    step = _number(name, by.removeprefix("x").removeprefix("+"))
    if multiplies and (step <= 1 or first <= 0):
        raise BadInput(f"range {text!r} of {name} must begin above 0 and multiply by more than 1")
    if not multiplies and step <= 0:
        raise BadInput(f"the step of range {text!r} of {name} must be above 0, got {step}")
    values = _factors(name, text, first, last, step) if multiplies else _steps(name, text, first, last, step)
    return [format(value.normalize(), "f") for value in values]


def _steps(name: str, text: str, first: Decimal, last: Decimal, step: Decimal) -> list[Decimal]:
    if (last - first) / step >= MOST_VALUES:
        raise BadInput(f"{text!r} gives {name} more than {MOST_VALUES:,} values")
    return [first + i * step for i in range(int((last - first) / step) + 1)]


def _factors(name: str, text: str, first: Decimal, last: Decimal, factor: Decimal) -> list[Decimal]:
    values = []
    while first <= last:
        values.append(first)
        first *= factor
        if len(values) > MOST_VALUES:
            raise BadInput(f"{text!r} gives {name} more than {MOST_VALUES:,} values")
    return values


def _number(name: str, text: str) -> Decimal:
    """Return a number without rounding: ten steps of 0.1 are 1."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite() or abs(number.adjusted()) > MOST_DIGITS:
        raise BadInput(f"{name} must be a number in a range, got {text!r}")
    return number
