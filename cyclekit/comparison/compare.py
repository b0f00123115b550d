"""What a layer costs each of the designs that a comparison puts side by side, and what it loses on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from math import fsum
from typing import Any

import numpy as np

from cyclekit import machine as machines
from cyclekit.comparison import report
from cyclekit.energy import Energy, edp_nj_us, power_mw
from cyclekit.machine import Machine
from cyclekit.run import Run
from workloads.errors import BadInput, did_you_mean
from workloads.points.convolution import SparseConvolution
from workloads.pruning import patterns
from workloads.pruning.prune import masked
from workloads.records import Model, Network, Shape, Workload


@dataclass(frozen=True, kw_only=True, eq=False)
class Entrant:
    """A design in a comparison. table: the prices asked for, if any. refused: why there is no such design, if so.

    spec: of one that is refused, its preset.
    """

    label: str
    machine: Machine
    preset: str
    changes: Mapping[str, Any]
    spec: Any
    table: str | None = None
    refused: str = ""
    _runs: dict = field(default_factory=dict, repr=False)  # of shapes: they hang on no values

    @property
    def pattern(self) -> str | None:
        """The N:M that its weights must obey."""
        return None if self.refused else self.machine.pattern(self.spec)

    @property
    def only_shape(self) -> bool:
        """Whether the machine's time hangs on the sizes alone, of matrices."""
        return self.machine.batched and not self.machine.needs_values

    def price(self, run: Run) -> Energy | str:
        """Return what a run costs, or why that is not known.

        By the table asked for, or the machine's default one, or where it has none the only one that can price the run.
        """
        named = self.table or self.machine.default_prices
        energies, refused = [], ""
        for table in [named] if named else self.machine.prices or [None]:
            try:
                energies.append(self.machine.price(run, table))
            except BadInput as error:
                refused = refused or str(error)
        if len(energies) > 1:
            return f"it takes one table of prices: --prices {' or '.join(cost.prices for cost in energies)}"
        return energies[0] if energies else refused

    def inputs(self, layer: Workload, batch: int) -> Workload:
        """Return the layer with its inputs for a batch, repeated where the machine takes them all at once."""
        if not self.machine.batched or isinstance(layer, SparseConvolution):
            return layer.first(batch)
        return replace(layer, activations=np.resize(layer.activations, (batch * layer.rows_of_input, layer.n_in)))

    def played(self, layer: Workload, batch: int, check: bool) -> tuple[dict[str, float], list[Run]]:
        """Return a layer's bytes by part, and its runs of a batch: of the shape alone where nothing else counts."""
        if check or not self.only_shape or isinstance(layer, SparseConvolution):
            return report.played(self.machine, self.inputs(layer, batch), self.spec, check=check)
        shape = layer.n_out, layer.n_in, layer.positions, layer.groups, batch
        if shape not in self._runs:
            self._runs[shape] = report.played(self.machine, Shape.of(layer, batch), self.spec)
        return self._runs[shape]


def entrants(names: str | None = None, prices: str | None = None, takes: type = Workload) -> list[Entrant]:
    """Return the designs of a comparison.

    names: "MACHINE,MACHINE:PRESET,..." (None: every machine that is installed and takes such layers, its default
    preset). prices: tables, "T,T"; a machine takes the first that it has. Of a machine's designs those that a preset
    cannot be, such as 2:4 on a card without it, are refused. Raises BadInput for what is unknown or named twice.
    """
    if names is None:
        words = [chosen.name for chosen in machines.all_installed(takes)]
    else:
        words = [word.strip() for word in names.split(",")]
    tables = [] if prices is None else [word.strip() for word in prices.split(",")]
    designs: dict[str, Entrant] = {}
    known: dict[str, None] = {}
    for word in words:
        chosen = machines.load(word)
        known |= dict.fromkeys(chosen.prices)
        for entry, changes in chosen.entrants.items():
            label = f"{word} {entry}".strip()
            if label in designs:
                raise BadInput(f"--machines must name each design once, got {word!r} twice")
            own, refused = chosen.design(None, {}), ""
            try:
                own = own.replace(**changes)
            except BadInput as error:
                refused = str(error)
            designs[label] = Entrant(
                label=label,
                machine=chosen,
                preset=chosen.preset,
                changes=changes,
                spec=own,
                refused=refused,
                table=next((table for table in tables if table in chosen.prices), None),
            )
    for table in tables:
        if table not in known:
            raise BadInput(f"unknown prices {table!r}{did_you_mean(table, known)}")
    return list(designs.values())


def layers_of(work: Workload | Network | Model | Shape, n_inputs: int | None = None) -> list[Workload]:
    """Return the layers of a workload, each with what reaches it in the network as it is. Raises BadInput.

    n_inputs: of each, only so many.
    """
    if isinstance(work, Shape):
        raise BadInput(
            f"workload {work.name!r} is a shape without values: what can be skipped or pruned hangs on them, name a "
            "layer or a file"
        )
    if isinstance(work, Model):
        return [layer.first(n_inputs) for layer in work.layers]
    return machines.layers_and_inputs(work, n_inputs)[0]


def beyond(layer: Workload, pattern: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns, int[n] each, of the weights that an N:M pattern has no place for (None: none).

    Of a group with too many weights the N largest in magnitude stay; a row's last group is filled up with zeros.
    """
    none = np.zeros(0, int)
    if pattern is None or isinstance(layer, SparseConvolution):
        return none, none
    kind = patterns.pattern(pattern)
    if not kind.m:
        raise BadInput(f"the pattern of a design must be N:M, got {pattern!r}")
    blocks = layer.blocks
    n_in, present = blocks.shape[1], blocks != 0
    if short := -n_in % kind.m:
        present = np.pad(present, ((0, 0), (0, short)))
    width = present.shape[1]
    n_present = sum(present[:, i :: kind.m].astype(np.uint16) for i in range(kind.m))
    full = np.flatnonzero(n_present > kind.n)
    if not len(full):
        return none, none
    places = full[:, None] * kind.m + np.arange(kind.m)
    rows, columns = places // width, places % width
    sizes = np.abs(blocks[rows, np.minimum(columns, n_in - 1)])
    sizes[columns >= n_in] = 0
    lost = ~patterns.mask(sizes, kind) & (sizes > 0)
    rows, columns = rows[lost], columns[lost]
    return rows, columns + rows // (layer.n_out // layer.groups) * n_in  # each group's block lies beside the others'


def without(layer: Workload, places: tuple[np.ndarray, np.ndarray]) -> Workload:
    """Return the layer with zeros in those rows and columns."""
    if not len(places[0]):
        return layer
    mask = np.ones(layer.weights.shape, bool)
    mask[places] = False
    return masked(layer, mask)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a layer, or several of them, costs an entrant for a batch.

    energy_pj: by the table `prices`; None where `unpriced` says why. n_bytes: of the weights in the machine's format;
    off_chip_bytes: moved, None where not known. utilisation: what the machine calls its balance, by the cycles;
    states: cycles by kind of unit and state. n_dropped: of n_weights, for the pattern; error: of the outputs for it, as
    a share of their norm, None where not known. reason: why the design cannot take the layer; then nothing else counts.
    """

    batch: int
    cycles: float = 0.0
    time_us: float = 0.0
    energy_pj: float | None = None
    prices: str = ""
    unpriced: str = ""
    area_mm2: float | None = None
    n_bytes: float = 0.0
    off_chip_bytes: float | None = None
    utilisation: float = 0.0
    states: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    n_weights: int = 0
    n_dropped: int = 0
    error: float | None = None
    checked: bool | None = None
    notes: tuple[str, ...] = ()
    reason: str = ""

    @property
    def time_of_input_us(self) -> float | None:
        return None if self.reason else self.time_us / self.batch

    @property
    def energy_of_input_pj(self) -> float | None:
        return None if self.energy_pj is None else self.energy_pj / self.batch

    @property
    def power_mw(self) -> float | None:
        """Mean power over the batch."""
        return power_mw(self.energy_pj, self.time_us)

    @property
    def edp_nj_us(self) -> float | None:
        """Energy-delay product of the batch."""
        return edp_nj_us(self.energy_pj, self.time_us)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        derived = {"power_mw": self.power_mw, "edp_nj_us": self.edp_nj_us}
        return asdict(self) | derived | {"notes": list(self.notes)}


class Trial:
    """One layer on one entrant: what a batch of it costs, of inputs that are the layer's own, repeated as needed."""

    def __init__(self, entrant: Entrant, layer: Workload):
        self.entrant, self._original = entrant, layer
        self._n_weights, self._beyond = int(np.count_nonzero(layer.weights)), beyond(layer, entrant.pattern)
        self._one_by_one: tuple[dict[str, float], list[Run]] = {}, []

    @cached_property
    def layer(self) -> Workload:
        """The layer as the entrant takes it."""
        return without(self._original, self._beyond)

    @property
    def n_dropped(self) -> int:
        return len(self._beyond[0])

    def cost(self, batch: int, *, check: bool = False) -> Cost:
        """Return what a batch costs."""
        if self.entrant.refused:
            return Cost(batch=batch, reason=self.entrant.refused)
        try:
            parts, runs, times = self._runs(batch, check)
        except BadInput as error:
            return Cost(batch=batch, reason=str(error))
        costs = [self.entrant.price(run) for run in runs]
        unpriced = next((cost for cost in costs if isinstance(cost, str)), "")
        cycles = _sum(times, [run.cycles for run in runs])
        moved = self.entrant.machine.off_chip_bytes
        notes = [note for run in runs for note in run.notes]
        checks = [run.check["passed"] for run in runs if run.check is not None]  # not every machine has any
        priced = {}
        if not unpriced:
            priced = {
                "energy_pj": _sum(times, [cost.total_pj for cost in costs]),
                "prices": costs[0].prices,
                "area_mm2": costs[0].total_area_mm2 if costs[0].area_um2 else None,
            }
            known = self.entrant.machine.prices.get(costs[0].prices)  # of the table, whatever the run
            notes += [f"prices {cost.prices}: {note}" for cost in costs for note in cost.notes if note != known]
        return Cost(
            batch=batch,
            cycles=cycles,
            time_us=_sum(times, [run.time_us for run in runs]),
            unpriced=unpriced,
            n_bytes=fsum(parts.values()),
            off_chip_bytes=None if moved is None else _sum(times, [moved(run) for run in runs]),
            utilisation=_sum(times, [run.load_balance * run.cycles for run in runs]) / cycles if cycles else 0.0,
            states=_states([run.states for run in runs], times),
            n_weights=self._n_weights,
            n_dropped=self.n_dropped,
            checked=all(checks) if checks and check else None,
            notes=tuple(dict.fromkeys(notes)),
            **priced,
        )

    def _runs(self, batch: int, check: bool) -> tuple[dict[str, float], list[Run], Sequence[int]]:
        """Return the bytes of the weights, the runs that a batch is made of, and how often each is in it."""
        if self.entrant.machine.batched:
            layer = self._original if self.entrant.only_shape and not check else self.layer  # the latter takes memory
            return *self.entrant.played(layer, batch, check), [1]
        n = min(batch, self.layer.batch)
        if check or len(self._one_by_one[1]) < n:
            self._one_by_one = self.entrant.played(self.layer, n, check)
        parts, runs = self._one_by_one
        return parts, runs[:n], [batch // n + (place < batch % n) for place in range(n)]


def total(costs: Sequence[Cost]) -> Cost:
    """Return the sum over layers that run one after the other; what one of them lacks, all lack."""
    if refused := next((cost for cost in costs if cost.reason), None):
        return refused
    cycles = sum(cost.cycles for cost in costs)
    energies = [cost.energy_pj for cost in costs]
    moved = [cost.off_chip_bytes for cost in costs]
    checks = [cost.checked for cost in costs]
    return Cost(
        batch=costs[0].batch,
        cycles=cycles,
        time_us=fsum(cost.time_us for cost in costs),
        energy_pj=None if None in energies else fsum(energies),
        prices=costs[0].prices,
        unpriced=next((cost.unpriced for cost in costs if cost.unpriced), ""),
        area_mm2=costs[0].area_mm2,
        n_bytes=fsum(cost.n_bytes for cost in costs),
        off_chip_bytes=None if None in moved else fsum(moved),
        utilisation=sum(cost.utilisation * cost.cycles for cost in costs) / cycles if cycles else 0.0,
        states=_states([cost.states for cost in costs], [1] * len(costs)),
        n_weights=sum(cost.n_weights for cost in costs),
        n_dropped=sum(cost.n_dropped for cost in costs),
        checked=None if None in checks else all(checks),
        notes=tuple(dict.fromkeys(note for cost in costs for note in cost.notes)),
    )


def _states(every: Sequence[Mapping[str, Mapping[str, float]]], times: Sequence[int]) -> dict[str, dict[str, float]]:
    """Return the sums of cycles by kind of unit and state."""
    sums: dict[str, dict[str, float]] = {}
    for states, n in zip(every, times, strict=True):
        for kind, spent in states.items():
            of_kind = sums.setdefault(kind, {})
            for state, cycles in spent.items():
                of_kind[state] = of_kind.get(state, 0) + n * cycles
    return sums


def _sum(times: Sequence[int], values: Sequence[float]) -> float:
    return fsum(n * value for n, value in zip(times, values, strict=True))
