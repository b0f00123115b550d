"""Where in a comparison which design wins: ladders over the batch, the weights kept and a machine's size, computed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isclose
from typing import Any

import numpy as np

from cyclekit.comparison import report
from cyclekit.comparison.compare import Cost, Entrant, Trial, total
from cyclekit.machine import Progress, quiet
from workloads.errors import BadInput
from workloads.graphs.lowering import block_diagonal
from workloads.points.convolution import SparseConvolution
from workloads.pruning.patterns import mask
from workloads.pruning.prune import masked
from workloads.pruning.scores import magnitude
from workloads.records import Shape, Workload

MOST_BATCH = 2**24
BATCHES = tuple(2**i for i in range(11))
KEPT = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)  # at most this share of each layer's weights
SIZES = (1 / 4, 1 / 2, 1, 2, 4, 8, 16)  # times a design's own
SHARE = "share of the weights kept"
LADDER_POSITIONS = 16  # of a layer that run on the ladders over shares and sizes, drawn: all of them would take long
TIME, ENERGY = "time_of_input_us", "energy_of_input_pj"
PRUNE_S = 3e-8  # seconds a weight that pruning a layer to one density takes, measured on alex-7 and vgg-6


@dataclass(frozen=True)
class Reign:
    """The stretch of a ladder on which the same designs are best; the next one's value over theirs, least and most."""

    best: tuple[str, ...]
    first: float
    last: float
    least_lead: float
    most_lead: float

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; a lead over nobody is None."""
        fields = dataclasses.asdict(self)
        return {name: None if value == inf else value for name, value in fields.items()} | {"best": list(self.best)}


def reigns(points: Sequence[float], values: Mapping[str, Sequence[float | None]]) -> list[Reign]:
    """Return who has the least value on which stretch of the points; points where nobody has one are left out.

    values: by design; None where it has none. Designs that are equal to nine digits win together.
    """
    stretches: list[Reign] = []
    for place, point in enumerate(points):
        here = {label: of[place] for label, of in values.items() if of[place] is not None}
        if not here:
            continue
        least = min(here.values())
        best = tuple(label for label, value in here.items() if isclose(value, least, rel_tol=1e-9))
        others = [value for label, value in here.items() if label not in best]
        lead = min(others) / least if others and least else inf
        if stretches and stretches[-1].best == best:
            leads = min(lead, stretches[-1].least_lead), max(lead, stretches[-1].most_lead)
            stretches[-1] = Reign(best, stretches[-1].first, point, *leads)
        else:
            stretches.append(Reign(best, point, point, lead, lead))
    return stretches


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """What a workload costs every design at each point of one quantity, `over`; costs by design, one a point."""

    over: str
    points: Sequence[float]
    costs: Mapping[str, Sequence[Cost]]

    def values(self, quantity: str) -> dict[str, list[float | None]]:
        """Return {design: TIME or ENERGY at each point}."""
        return {label: [getattr(cost, quantity) for cost in costs] for label, costs in self.costs.items()}

    def reigns(self, quantity: str) -> list[Reign]:
        """Return who has the least TIME or ENERGY where."""
        return reigns(self.points, self.values(quantity))

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        dropped = {label: [cost.n_dropped for cost in costs] for label, costs in self.costs.items()}
        fields: dict[str, Any] = {"over": self.over, "points": list(self.points), "n_dropped": dropped}
        for quantity, name in ((TIME, "fastest"), (ENERGY, "least_energy")):
            fields |= {quantity: self.values(quantity), name: [reign.as_dict() for reign in self.reigns(quantity)]}
        return fields


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One workload on all designs: each layer's costs and their sums by design, and the ladders of the sums."""

    workload: str
    batch: int
    layers: Sequence[Workload]
    costs: Sequence[Mapping[str, Cost]]  # a layer each
    total: Mapping[str, Cost]
    ladders: Sequence[Ladder]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        layers = [
            {
                "layer": layer.name,
                "n_out": layer.n_out,
                "n_in": layer.n_in,
                "density": int(layer.mask.sum()) / _size(layer),
                "activation_density": float((layer.activations != 0).mean()),
                "provenance": layer.provenance,
                "costs": {label: cost.as_dict() for label, cost in costs.items()},
            }
            for layer, costs in zip(self.layers, self.costs, strict=True)
        ]
        return {
            "workload": self.workload,
            "batch": self.batch,
            "layers": layers,
            "total": {label: cost.as_dict() for label, cost in self.total.items()},
            "ladders": [ladder.as_dict() for ladder in self.ladders],
        }


def batch_of(name: str, layers: Sequence[Workload], batch: int | None) -> int:
    """Return the batch asked for, or else the layers' own. Raises BadInput where they differ, or for a huge one."""
    if batch is not None and batch > MOST_BATCH:
        raise BadInput(f"--batch must be at most {MOST_BATCH:,}, got {batch:,}")
    if isinstance(layers[0], SparseConvolution) and (batch or 1) > 1:
        raise BadInput(f"--batch must be 1 for {name}, which is one cloud, got {batch}")
    own = {layer.batch for layer in layers}
    if batch is None and len(own) > 1:
        raise BadInput(f"--batch must be given for {name}, whose layers have batches of {sorted(own)}")
    return batch or own.pop()


def compare(
    name: str,
    layers: Sequence[Workload],
    entrants: Sequence[Entrant],
    *,
    batch: int | None = None,
    check: bool = False,
    progress: Progress = quiet,
) -> Comparison:
    """Put a workload's layers on every design, each layer alone in it, at a batch (None: their own) and on ladders.

    Every design gets the same weights and inputs; where one takes an N:M pattern only, what is beyond it is dropped,
    and the costs say so. A design that cannot take a layer has a reason there. On the ladders over shares and sizes, a
    layer of many positions runs LADDER_POSITIONS of them. Raises BadInput.
    """
    batch = batch_of(name, layers, batch)
    batches = batches_of(layers, batch)
    shares = shares_of(layers)
    sized = [
        (entrant, sizes_of(entrant))
        for entrant in entrants
        if entrant.machine.size_field and isinstance(layers[0], entrant.machine.takes) and not entrant.refused
    ]
    labels = [entrant.label for entrant in entrants]
    at_batch: list[dict[str, list[Cost]]] = []  # a layer each, as the next ones
    at_share: list[dict[str, list[Cost]]] = []
    at_size: list[dict[str, list[Cost]]] = []
    base: list[dict[str, Cost]] = []
    n_kept = [0] * len(shares)
    n_steps = len(layers) * (len(shares) + 1 + len(sized))
    steps = iter(range(1, n_steps + 1))

    def done(what: str) -> None:
        progress(what, next(steps), n_steps)

    for layer in layers:
        base.append({})
        at_batch.append({})
        for entrant in entrants:
            trial = Trial(entrant, layer)
            by_batch = {n: trial.cost(n) for n in reversed(batches)}  # the most first: it has run the others' inputs
            cost = trial.cost(batch, check=True) if check else by_batch[batch]
            if entrant.pattern is not None:
                cost = replace(cost, error=report.error(layer, trial.layer) if trial.n_dropped else 0.0)
            base[-1][entrant.label] = cost
            at_batch[-1][entrant.label] = [cost if n == batch else by_batch[n] for n in batches]
        done(f"{layer.name}: batches")
        at_share.append({label: [] for label in labels})
        some = layer.sample(LADDER_POSITIONS)
        for place, share in enumerate(shares):
            pruned = at_most(some, share)
            n_left = int(pruned.mask.sum())
            n_kept[place] += n_left
            for entrant in entrants:
                cost = base[-1][entrant.label] if pruned is layer else Trial(entrant, pruned).cost(batch)
                at_share[-1][entrant.label].append(cost)
            done(f"{layer.name}: {n_left / _size(some):.3g} of the weights left")
        at_size.append({})
        for entrant, sizes in sized:
            at_size[-1][entrant.label] = [
                base[-1][entrant.label] if other is entrant and some is layer else Trial(other, some).cost(batch)
                for other in sizes.values()
            ]
            done(f"{layer.name}: sizes")
    n_weights = sum(_size(layer) for layer in layers)
    whole = {label: total([costs[label] for costs in base]) for label in labels}
    if len(layers) == 1:
        whole = base[0]

    def ladder(over: str, points: Sequence[float], costs: Sequence[Mapping[str, list[Cost]]]) -> Ladder:
        sums = {
            label: [total(at) for at in zip(*(of_layer[label] for of_layer in costs), strict=True)]
            if label in costs[0]
            else [whole[label]] * len(points)
            for label in labels
        }
        return Ladder(over=over, points=points, costs=sums)

    ladders = [ladder("batch", batches, at_batch)]
    if len(shares) > 1:
        ladders.append(ladder(SHARE, [n / n_weights for n in n_kept], at_share))
    for entrant, sizes in sized:
        own = [{entrant.label: costs[entrant.label]} for costs in at_size]
        ladders.append(ladder(f"{entrant.machine.size_field} of {entrant.label}", list(sizes), own))
    return Comparison(workload=name, batch=batch, layers=layers, costs=base, total=whole, ladders=ladders)


def batches_of(layers: Sequence[Workload], batch: int) -> list[int]:
    """Return the batches of a ladder, a layer's own among them; a cloud is one input."""
    return [1] if isinstance(layers[0], SparseConvolution) else sorted({*BATCHES, batch})


def shares_of(layers: Sequence[Workload]) -> list[float]:
    """Return the shares of KEPT that take a tenth of all weights or more and leave some in every layer; at last 1.

    1 alone for layers on a cloud: they stay as they are.
    """
    if isinstance(layers[0], SparseConvolution):
        return [1.0]
    counts = [(int(layer.mask.sum()), _size(layer)) for layer in layers]
    most = 0.9 * sum(n for n, _ in counts)
    shares = [
        share
        for share in KEPT
        if 0 < sum(min(n, round(share * size)) for n, size in counts) <= most
        and all(round(share * size) for _, size in counts)
    ]
    return [*shares, 1.0]


def at_most(layer: Workload, share: float) -> Workload:
    """Return the layer with at most that share of its weights, the largest; as it is where it has no more."""
    if layer.mask.sum() <= round(share * _size(layer)):
        return layer
    largest = mask(magnitude(layer.blocks), "element", share)
    return masked(layer, block_diagonal(largest, layer.groups))


def _size(layer: Workload) -> int:
    """Return how many weights a layer has, without the zeros beside its groups' blocks."""
    return layer.weights.size // layer.groups


def sizes_of(entrant: Entrant) -> dict[int, Entrant]:
    """Return {size: the same design in that size}, those that it can have; its own is the entrant itself."""
    field = entrant.machine.size_field
    own = getattr(entrant.spec, field)
    designs = {}
    for size in sorted({max(1, round(own * factor)) for factor in SIZES}):
        try:
            spec = entrant.spec.replace(**{field: size})
        except BadInput:
            continue
        designs[size] = entrant if size == own else replace(entrant, spec=spec, _runs={})
    return designs


def expected(
    comparisons: Sequence[tuple[Sequence[Workload], int]], entrants: Sequence[Entrant], check: bool
) -> tuple[float, int]:
    """Return about how many seconds and bytes the comparisons of (layers, batch) take."""
    able = [entrant for entrant in entrants if not entrant.refused]
    estimates = [estimate for entrant in able for estimate in _estimates(comparisons, entrant, check)]
    seconds = sum(PRUNE_S * _size(layer) * len(shares_of(layers)) for layers, _ in comparisons for layer in layers)
    sizes = [layer.weights.nbytes for layers, _ in comparisons for layer in layers]
    return seconds + sum(s for s, _ in estimates), max((n for _, n in estimates), default=0) + sum(sizes) + 3 * max(
        sizes
    )


def _estimates(
    comparisons: Sequence[tuple[Sequence[Workload], int]], entrant: Entrant, check: bool
) -> Iterator[tuple[float, int]]:
    """Yield the machine's own estimates of all that `compare` asks of it."""
    chosen = entrant.machine

    def estimate(work: Workload, own: Entrant = entrant, checked: bool = False) -> tuple[float, int]:
        return report.estimated(chosen, [work], own.spec, check=checked)

    if entrant.only_shape:
        shapes = [
            Shape.of(layer, n)
            for layers, batch in comparisons
            for layer in layers
            if not isinstance(layer, SparseConvolution)
            for n in batches_of(layers, batch)
        ]
        yield report.estimated(chosen, shapes, entrant.spec)
    for layers, batch in comparisons:
        shares, sizes = shares_of(layers), sizes_of(entrant).values() if chosen.size_field else []
        for layer in layers:
            if isinstance(layer, SparseConvolution):
                yield estimate(layer, checked=check)
                continue
            if check:
                yield estimate(entrant.inputs(layer, batch), checked=True)
            if entrant.only_shape:
                continue
            some = entrant.inputs(layer.sample(LADDER_POSITIONS), batch)
            yield from (estimate(some, other) for other in sizes)
            whole, nothing = (
                estimate(some),
                estimate(replace(some, weights=0 * some.weights, codes=None, codebook=None)),
            )
            density = max(1, np.count_nonzero(some.weights)) / _size(layer)
            for share in shares:  # what takes time is in proportion to the weights left, or hangs on none of them
                left = min(1.0, share / density)
                yield nothing[0] + left * (whole[0] - nothing[0]), whole[1]
            most, n_bytes = estimate(entrant.inputs(layer, max(BATCHES)))
            yield most * (len(BATCHES) if chosen.batched else 1), n_bytes
