"""What can be changed of a request to see what it buys: depth, widths, formats; each alone, and all together."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

from cyclekit.serving.serve import Request
from workloads.errors import BadInput, did_you_mean
from workloads.transformers.shape import CUTS, Transformer

SIZES = {"depth": "layers"} | {name: name for name in CUTS if name != "layers"}  # by the names of Transformer.cut
FORMATS = ("weights", "kv", "sparsity")
NUMBERS = ("batch",)
KNOBS = (*SIZES, *FORMATS, *NUMBERS)
MOST_POINTS = 1000


@dataclass(frozen=True, kw_only=True)
class Point:
    """A model and a request with some knobs turned: `changes`, {knob: value as text}; none of the base."""

    changes: Mapping[str, str]
    model: Transformer
    request: Request

    @property
    def label(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.changes.items()) or "as it is"


def points(
    model: Transformer, request: Request, knobs: Sequence[str], expanded: Callable[[str, str], Sequence[str]]
) -> list[Point]:
    """Return the base, every knob's values alone, then all combinations of more than one.

    knobs: "depth=64,48" each; a size of at most 1 is a share of the model's. expanded(name, text): what values a text
    stands for. Raises BadInput for an unknown knob, one named twice, a value that it cannot take, and too many points.
    """
    values: dict[str, Sequence[str]] = {}
    for text in knobs:
        name, equals, wanted = (part.strip() for part in text.partition("="))
        if not (equals and wanted):
            raise BadInput(f"--compare must look like {KNOBS[0]}=VALUES, got {text!r}")
        if name not in KNOBS:
            raise BadInput(f"unknown knob {name!r} to compare{did_you_mean(name, KNOBS)}")
        if name in values:
            raise BadInput(f"--compare names {name} twice: say it once")
        words = [word.strip() for word in wanted.split(",")] if name in FORMATS else expanded(name, wanted)
        values[name] = list(dict.fromkeys(words))
    if (n_points := prod(len(of_knob) + 1 for of_knob in values.values())) > MOST_POINTS:
        raise BadInput(f"--compare makes {n_points:,} points, at most {MOST_POINTS:,}: name fewer values")
    place = {name: place for place, name in enumerate(values)}
    by_number = sorted(_combinations(values), key=lambda changes: (len(changes), [place[name] for name in changes]))
    return list({point.label: point for point in (_turned(model, request, changes) for changes in by_number)}.values())


def _combinations(values: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    """Yield what is changed, where each knob has one of its values or stays."""
    for combination in itertools.product(*([None, *of_knob] for of_knob in values.values())):
        yield {name: value for name, value in zip(values, combination, strict=True) if value is not None}


def _turned(model: Transformer, request: Request, changes: Mapping[str, str]) -> Point:
    """Return the base with changes, without those that say what it is already."""
    sizes, requested, told = {}, {}, {}
    for name, text in changes.items():
        if name in SIZES:
            cut = SIZES[name]
            own = getattr(model, CUTS[cut])
            size = _size(name, text, own)
            if size != own:
                sizes[cut] = size
                told[name] = str(size)
        else:
            value = _whole(name, text) if name in NUMBERS else text
            if value != getattr(request, name):
                requested[name] = value
                told[name] = text
    if "weights" in requested:
        requested |= {"activations": None, "kv": requested.get("kv", request.kv)}
    return Point(changes=told, model=model.cut(**sizes), request=replace(request, **requested))


def _size(name: str, text: str, whole: int) -> int:
    """Return a size, which a number of at most 1 gives as a share of the whole, rounded."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not value > 0 or (value > 1 and value != int(value)):
        raise BadInput(f"{name} must be a share up to 1 or a whole number, got {text!r}")
    return max(1, round(value * whole)) if value <= 1 else int(value)


def _whole(name: str, text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise BadInput(f"{name} must be a whole number of at least 1, got {text!r}")
    return int(text)
