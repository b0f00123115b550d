"""What a whole model cost: a row a layer, their sum as one input takes it, and what did not run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import fsum
from statistics import fmean
from typing import Any

import numpy as np

from cyclekit.command.show import or_dash
from cyclekit.positions import NUMBER
from cyclekit.run import Run
from cyclekit.terminal import Output
from cyclekit.views import scale_of_all
from workloads.points.convolution import SparseConvolution
from workloads.records import Model, Workload

N_NOTES = 6  # of all layers that are printed
ABOUT = ("out x in", "positions", "weights [%]", "act. [%]", "reached")  # what `about` tells of a layer


def layer_row(layer: Workload | SparseConvolution) -> dict[str, Any]:
    """Return what a layer is, whatever runs it."""
    return {
        "layer": layer.name,
        "kind": layer.kind,
        "n_out": layer.n_out,
        "n_in": layer.n_in,
        "groups": layer.groups,
        "positions": layer.positions,
        "positions_run": layer.rows_of_input,
        "inputs": layer.batch,
        "density": float(np.count_nonzero(layer.blocks) / layer.blocks.size),
        "activation_density": float(np.count_nonzero(layer.activations) / layer.activations.size),
        "reached": layer.reached,
        "weight_bits": layer.weight_bits,
        "relu": layer.relu,
        "macs": layer.macs if isinstance(layer, SparseConvolution) else layer.positions * layer.blocks.size,
    }


def about(row: dict[str, Any]) -> list[str]:
    """Return the cells of a table on what a layer is, of its `layer_row`."""
    sizes, positions = f"{row['n_out']} x {row['n_in']}", f"{row['positions']:,}"
    return [
        sizes if row["groups"] == 1 else f"{sizes} / {row['groups']}",
        positions if row["positions_run"] == row["positions"] else f"{row['positions_run']:,} of {positions}",
        f"{100 * row['density']:.1f}",
        f"{100 * row['activation_density']:.1f}",
        row["reached"],
    ]


def summary(model: Model, layers: Sequence[Workload], runs: Sequence[Run]) -> dict[str, Any]:
    """Return a model's layers, their sum, what did not run and all notes, for JSON."""
    of_layer: dict[str, list[Run]] = {}
    for run in runs:
        of_layer.setdefault(run.workload, []).append(run)
    rows = [layer_row(layer) | _costs(of_layer[layer.name]) for layer in layers]
    return {
        "model": model.name,
        "provenance": model.provenance,
        "layers": rows,
        "total": _total(rows),
        "others": [vars(other) for other in model.others],
        "notes": list(dict.fromkeys(_named(*note) for note in _said(model, runs))),
    }


def of_model(work: Any) -> dict[str, Any]:
    """Return what of a model is no layer that runs, and its notes, for JSON; nothing of another workload."""
    if not isinstance(work, Model):
        return {}
    return {"others": [vars(other) for other in work.others], "notes": list(work.notes)}


def show_model(
    out: Output, model: Model, layers: Sequence[Workload], runs: Sequence[Run], told: Mapping[str, Any], balance: str
) -> None:
    """Print a model's layers, their sum and what did not run, of its `summary`."""
    rows, total = told["layers"], told["total"]
    has_energy = total["energy_pj"] is not None
    time, us = scale_of_all("us", [row["time_us"] for row in rows])
    energy, pj = scale_of_all("pJ", [row["energy_pj"] for row in rows])
    heads = ["layer", *ABOUT, "cycles", f"time [{time}]", "time [%]", f"{balance} [%]"]
    heads += [f"energy [{energy}]"] if has_energy else []
    cells = []
    for row in [*rows, total | {"layer": "all"}]:
        share = 100 * row["time_us"] / total["time_us"] if total["time_us"] else 0.0
        is_all = "n_out" not in row
        cells.append(
            [
                row["layer"],
                *([""] * len(ABOUT) if is_all else about(row)),
                f"{row['cycles']:,.0f}",
                f"{row['time_us'] / us:,.3f}",
                f"{share:.1f}",
                f"{100 * row['load_balance']:.1f}",
                *([or_dash(None if row["energy_pj"] is None else row["energy_pj"] / pj, ",.3f")] if has_energy else []),
            ]
        )
    out.table(f"{model.name}: {_what(runs, layers)}", heads, cells)
    checked = [run.check for run in runs if run.check is not None]
    if checked:
        passed = sum(check["passed"] for check in checked)
        out.line(f"  values: {passed} of {len(checked)} runs agree with the references")
    show_others(out, model)
    show_notes(out, "note", _said(model, runs), N_NOTES)


def _said(model: Model, runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Return (layer, note) of a model, whose layer is "", and of its runs."""
    return [("", note) for note in model.notes] + [(run.workload, note) for run in runs for note in run.notes]


def show_others(out: Output, model: Model) -> None:
    """Print what of a model is no product with stored weights."""
    if model.others:
        kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(other.kind for other in model.others).most_common(8))
        out.line(f"  not run and in no sum: {len(model.others)} operators that are no product: {kinds}")


def show_notes(out: Output, label: str, said: Iterable[tuple[str, str]], most: int) -> None:
    """Print (layer, note) pairs, of those that differ in layer and numbers only the first, and so at most so many."""
    first: dict[str, str] = {}
    layers: dict[str, set[str]] = {}
    for layer, note in said:
        kind = NUMBER.sub("#", note.removeprefix(layer))
        first.setdefault(kind, _named(layer, note))
        layers.setdefault(kind, set()).add(layer)
    lines = [
        note if len(layers[kind]) == 1 else f"{note} (the like in {len(layers[kind])} layers)"
        for kind, note in first.items()
    ]
    for line in lines[:most]:
        out.line(f"  {label}: {line}")
    if len(lines) > most:
        out.line(f"  {label}: and {len(lines) - most} more, which --json tells")


def _named(layer: str, note: str) -> str:
    """Return a note of a run with the layer's name, if it does not begin with it."""
    return note if note.startswith(layer) else f"{layer}: {note}"


def _costs(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the mean over a layer's runs."""
    energies = [run.energy.total_pj for run in runs if run.energy is not None]
    return {
        "cycles": fmean(run.cycles for run in runs),
        "time_us": fmean(run.time_us for run in runs),
        "load_balance": fmean(run.load_balance for run in runs),
        "energy_pj": fmean(energies) if len(energies) == len(runs) else None,
        "runs": len(runs),
    }


def _total(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the sum over the layers, run one after the other; the balance is their mean by cycles."""
    cycles, energies = fsum(row["cycles"] for row in rows), [row["energy_pj"] for row in rows]
    return {
        "cycles": cycles,
        "time_us": fsum(row["time_us"] for row in rows),
        "load_balance": fsum(row["load_balance"] * row["cycles"] for row in rows) / cycles if cycles else 0.0,
        "energy_pj": None if None in energies else fsum(energies),
    }


def _what(runs: Sequence[Run], layers: Sequence[Workload]) -> str:
    """Return what a row is the mean of."""
    n_runs, batches = len(runs) // len(layers), sorted({layer.batch for layer in layers})
    batch = batches[0] if len(batches) == 1 else f"{batches[0]} to {batches[-1]}"
    if n_runs == 1:
        return f"one run of {batch} input{'' if batch == 1 else 's'}"
    return f"mean of {n_runs} runs, {batch} inputs in all"
