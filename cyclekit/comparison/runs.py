"""A workload's runs on one design: what runs apart, encoded and played, judged against float weights and priced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cyclekit.comparison.report import engine_of
from cyclekit.comparison.verdict import float64_outputs, judged
from cyclekit.machine import Machine, Progress, quiet, run_through
from cyclekit.positions import rows_of
from cyclekit.run import Run
from workloads.errors import BadInput
from workloads.points.convolution import SparseConvolution
from workloads.records import Model, Network, Shape, Workload

Work = Workload | Network | Model | Shape


@dataclass(frozen=True, eq=False)
class Played:
    """What of a workload ran apart, its first layer each, and all runs in their order. unpriced: why no energy."""

    parts: Sequence[Workload | Shape]
    runs: Sequence[Run]
    unpriced: str


class Plan:
    """A workload about to run on a design: what runs apart, on which engine, and what that will take."""

    def __init__(
        self, chosen: Machine, spec: Any, work: Work, *, engine: str | None = None, n_inputs: int | None = None,
        batch: int | None = None, check: bool = False,
    ):  # fmt: skip
        self.chosen, self.spec, self.check = chosen, spec, check
        self.engine = chosen.engine(engine or _soonest(chosen, parts_of(work)))
        # What runs apart from each other is encoded apart, too.
        self.parts = [chosen.layers_and_inputs(part, n_inputs, batch) for part in parts_of(work)]

    @property
    def expected(self) -> tuple[float, int]:
        """Return about how many seconds and bytes it takes."""
        mode = {"engine": self.engine, "check": self.check}
        estimates = [self.chosen.estimate(layers, self.spec, **mode) for layers, _ in self.parts]
        return sum(seconds for seconds, _ in estimates), max(n_bytes for _, n_bytes in estimates)

    def play(self, prices: str | None = None, progress: Progress = quiet, note: str = "") -> Played:
        """Return the runs; note: what is said of each. Raises BadInput, also for a table of prices asked for."""
        runs = []
        for layers, inputs in self.parts:
            images = self.chosen.encode(layers, self.spec)
            through = run_through(
                self.chosen.simulate, images, inputs, self.spec, engine=self.engine, check=self.check, progress=progress
            )
            runs += [run.without_arrays() for run in _judged(through, layers, inputs)]
        if note:
            runs = [replace(run, notes=(*run.notes, note)) for run in runs]
        runs, unpriced = _priced(self.chosen, runs, prices)
        return Played([layers[0] for layers, _ in self.parts], runs, unpriced)


def parts_of(work: Work) -> Sequence[Workload | Network | Shape]:
    """Return what runs apart: a model's layers, or the whole."""
    return work.layers if isinstance(work, Model) else [work]


def _soonest(chosen: Machine, parts: Sequence[Any]) -> str | None:
    """Return the engine for layers of many positions, which run thousands of products; None where there are none."""
    return engine_of(chosen) if any(getattr(part, "positions", 1) > 1 for part in parts) else None


def _judged(runs: Iterable[Run], layers: Sequence[Workload | Shape], inputs: Sequence[Any]) -> Iterator[Run]:
    """Yield the runs of every input through the layers with their errors against the weights as given."""
    if isinstance(layers[0], Shape):
        yield from runs
        return
    expected = [float64_outputs(layer, layer.activations) for layer in layers]
    runs, first = iter(runs), 0
    for signal in inputs:
        n = 1 if np.ndim(rows := rows_of(signal)) == 1 else len(rows)
        for layer, outputs in zip(layers, expected, strict=True):
            ran = next(runs)
            of_input = outputs if isinstance(layer, SparseConvolution) else outputs[first : first + n]
            yield ran if ran.outputs is None else judged(ran, of_input)
        first += n


def _priced(chosen: Machine, runs: Sequence[Run], table: str | None) -> tuple[Sequence[Run], str]:
    """Return the runs with their energy, or, where no table was asked for, without it and why."""
    try:
        return [replace(run, energy=chosen.price(run, table)) for run in runs], ""
    except BadInput as error:
        if table is not None:
            raise
        return runs, str(error)
