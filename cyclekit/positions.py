"""A layer of many positions on a machine that takes one at a time: their runs, and the sum that one input costs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from statistics import fmean, stdev
from typing import Any

import numpy as np

from cyclekit.run import Run, identity
from workloads.records import SAMPLE_SEED, Workload

NUMBER = re.compile(r"\d[\d,.]*")


@dataclass(frozen=True, eq=False)
class Positions:
    """What one input brings to a layer, position by position. rows: f32[n, in], of `of` that there are."""

    rows: np.ndarray
    of: int

    @property
    def times(self) -> list[int]:
        """How often each row counts in the sum: all of them as often as there are positions."""
        n = len(self.rows)
        return [self.of // n + (place < self.of % n) for place in range(n)]


def inputs_of(layer: Workload) -> Sequence[np.ndarray | Positions]:
    """Return what each input of a layer brings: f32[in], or Positions where there are several."""
    if layer.positions == 1:
        return layer.activations
    blocks = layer.activations.reshape(layer.batch, layer.rows_of_input, layer.n_in)
    return [Positions(rows, layer.positions) for rows in blocks]


def first_row(signal: Any) -> Any:
    """Return the first position of what one input brings, or the whole where there is one."""
    return signal.rows[0] if isinstance(signal, Positions) else signal


def rows_of(signal: Any) -> Any:
    """Return the rows of what one input brings: f32[in], or f32[n, in] of several."""
    return signal.rows if isinstance(signal, Positions) else signal


def digest(signal: np.ndarray | Positions | None) -> str:
    """Return the hash of what one input brings; "" where only sizes are known."""
    if isinstance(signal, Positions):
        return identity(signal.rows, signal.of)
    return "" if signal is None else identity(signal)


def played(
    simulate: Callable[..., Run],
    image: Any,
    signal: Any,
    spec: Any,
    *,
    engine: str,
    check: bool = False,
    index: int = 0,
    progress: Callable[[float], None] = lambda share: None,
) -> Run:
    """Return the run of one input through a layer: one product's, or the sum over its positions."""
    options = {"engine": engine, "check": check, "index": index}
    if not isinstance(signal, Positions):
        return simulate(image, signal, spec, **options, progress=progress)

    values: list[np.ndarray] = []

    def runs() -> Iterable[Run]:
        for place, row in enumerate(signal.rows):
            ran = simulate(image, row, spec, **options)
            values.append(ran.values.astype(np.float32))
            yield ran.without_arrays()
            progress((place + 1) / len(signal.rows))

    return replace(summed(list(runs()), signal.times), outputs=np.stack(values), output_step=1.0)


def summed(runs: Sequence[Run], times: Sequence[int]) -> Run:
    """Return the sum of runs of one layer, each so many times; where not all positions ran, with its standard error."""
    n_all, cycles = sum(times), sum(n * run.cycles for run, n in zip(runs, times, strict=True))
    busy = sum(n * run.cycles * run.load_balance for run, n in zip(runs, times, strict=True))
    measures: dict[str, float | str] = {}
    for name, value in runs[0].measures.items():
        measures[name] = value if isinstance(value, str) else fmean(run.measures[name] for run in runs)
    measures["positions"] = n_all
    notes = _notes(runs)
    if len(runs) < n_all:
        error = _standard_error([run.cycles for run in runs], n_all)
        measures |= {"positions_run": len(runs), "cycles_standard_error": error}
        share = f"{100 * error / cycles:.2g}%" if cycles and len(runs) > 1 else "an unknown error"
        notes = (
            f"{len(runs):,} of {n_all:,} positions ran, drawn with seed {SAMPLE_SEED}, and stand for all: "
            f"cycles +- {share} (standard error)",
            *notes,
        )
    return replace(
        runs[0],
        id=identity([run.id for run in runs], list(times)),
        cycles=cycles,
        time_us=sum(n * run.time_us for run, n in zip(runs, times, strict=True)),
        load_balance=busy / cycles if cycles else 0.0,
        actions=_sums([run.actions for run in runs], times),
        states={kind: _sums([run.states[kind] for run in runs], times) for kind in runs[0].states},
        output_sha256=hashlib.sha256("".join(run.output_sha256 for run in runs).encode()).hexdigest(),
        check=None if runs[0].check is None else worst_of([run.check for run in runs]),
        measures=measures,
        notes=notes,
        outputs=None,
        timeline=None,
        ledger=None,
    )


def _sums(counts: Sequence[Mapping[str, int]], times: Sequence[int]) -> dict[str, int]:
    table = np.array([list(of_run.values()) for of_run in counts], np.int64)
    return dict(zip(counts[0], (np.array(times, np.int64) @ table).tolist(), strict=True))


def _standard_error(cycles: Sequence[int], n_all: int) -> float:
    """Return the standard error of the sum over all positions, drawn without putting back. Source: Cochran 1977, 2.4"""
    n = len(cycles)
    return n_all * stdev(cycles) / sqrt(n) * sqrt(1 - n / n_all) if n > 1 else 0.0


def worst_of(checks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what several comparisons with the references come to: all must pass, and the largest error counts."""
    return {
        name: all(check[name] for check in checks) if isinstance(value, bool) else max(check[name] for check in checks)
        for name, value in checks[0].items()
    }


def _notes(runs: Sequence[Run]) -> tuple[str, ...]:
    """Return the notes of the runs, one of each kind, with how many positions have it."""
    first, n_with = {}, {}
    for run in runs:
        for note in run.notes:
            kind = NUMBER.sub("#", note)
            first.setdefault(kind, note)
            n_with[kind] = n_with.get(kind, 0) + 1
    n = len(runs)
    return tuple(
        note if n_with[kind] == n else f"{note} (in {n_with[kind]:,} of {n:,} positions alike)"
        for kind, note in first.items()
    )
