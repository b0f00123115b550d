"""A first look at EIE: a trained network at 4, 16 and 64 PEs in both engines, checked, counted and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

import workloads
from cyclekit.machine import Demo, Progress, layers_and_inputs, run_through
from cyclekit.run import Run
from eie_sim.figures import draw_pe_counts, draw_utilisation, draw_validation
from eie_sim.published import validate
from eie_sim.simulate import encode, simulate, theoretical_cycles
from eie_sim.spec import PRESETS, Spec

PE_COUNTS = (4, 16, 64)
SHOWN_PES = 16  # the design whose utilisation is drawn


def demo(folder: Path, *, short: bool, progress: Progress) -> Demo:
    """Run LeNet-300-100 (Fashion-MNIST, pruned, 4-bit) over the shipped images; with `short`, over a few."""
    network, dense = workloads.load("lenet-300-100"), workloads.load("lenet-300-100-dense")
    n_fast, n_events = (20, 2) if short else (network.batch, 10)
    network, dense = network.first(n_fast), dense.first(n_fast)
    layers, inputs = layers_and_inputs(network)
    rows, where, by_count, right, passed = [], [], {}, {}, True
    for n_pes in PE_COUNTS:
        spec = PRESETS["isca2016"].replace(n_pes=n_pes)
        images = encode(layers, spec)
        events, _ = _through(images, inputs[:n_events], spec, "events", progress)
        by_count[n_pes], classes = _through(images, inputs, spec, "schedule", progress)
        right[n_pes] = float((classes == network.labels).mean())
        equal = all(_same(a, b) for a, b in zip(events, by_count[n_pes], strict=False))
        passed &= equal and all(run.check["passed"] for run in (*events, *by_count[n_pes]))
        rows.append(_summary("events", n_pes, events, n_events, "yes" if equal else "NO"))
        rows.append(_summary("schedule", n_pes, by_count[n_pes], n_fast, "yes" if equal else "NO"))
        where += [
            _where(n_pes, layer.name, [r for r in by_count[n_pes] if r.workload == layer.name]) for layer in layers
        ]
        if n_pes == SHOWN_PES:
            shown = simulate(images[0], inputs[0], spec, engine="schedule"), images[0], spec
    accuracy = [
        {"network": "dense, float32", "accuracy": f"{dense.accuracy():.1%}"},
        {"network": "pruned and 4-bit, float32", "accuracy": f"{network.accuracy():.1%}"},
        *({"network": f"pruned and 4-bit, EIE with {n} PEs", "accuracy": f"{share:.1%}"} for n, share in right.items()),
    ]
    figures = [
        draw_utilisation(*shown, folder / "eie_utilisation.png"),
        draw_pe_counts(
            by_count,
            n_fast,
            folder / "eie_pe_counts.png",
            title=f"EIE: {network.name}, mean of {n_fast} images, all layers",
        ),
    ]
    validation = None
    if not short:
        validation = validate(lambda text, done, total: progress(f"validation, {text}", done, total))
        figures += draw_validation(validation, folder)
    return Demo(
        tables={
            f"LeNet-300-100 on Fashion-MNIST: accuracy on {n_fast} test images": accuracy,
            "One image through all layers: mean": rows,
            "Where each PE's cycles went [% of cycles]": where,
        },
        remarks=[network.provenance],
        figures=figures,
        validation=validation,
        passed=passed,
    )


def _through(
    images: Sequence, inputs: np.ndarray, spec: Spec, engine: str, progress: Progress
) -> tuple[list[Run], np.ndarray]:
    """Return the runs of all inputs through all layers, checked, and the class that each input was given."""
    runs, classes = [], []

    def tell(what: str, done: float, total: float) -> None:
        progress(f"{spec.n_pes} PEs, {engine}, {what}", done, total)

    for run in run_through(simulate, images, inputs, spec, engine=engine, check=True, progress=tell):
        if run.workload == images[-1].workload.name:
            classes.append(int(run.outputs.argmax()))
        runs.append(run.without_arrays())
    return runs, np.array(classes)


def _same(a: Run, b: Run) -> bool:
    fields = ("id", "cycles", "actions", "states", "output_sha256")
    return all(getattr(a, name) == getattr(b, name) for name in fields)


def _summary(engine: str, n_pes: int, runs: Sequence[Run], n_inputs: int, equal: str) -> dict[str, str]:
    cycles = sum(run.cycles for run in runs) / n_inputs
    entries = sum(run.actions["entries"] for run in runs)
    theoretical_us = sum(theoretical_cycles(run) / run.spec["clock_mhz"] for run in runs)
    checked = sum(run.check["passed"] for run in runs)
    return {
        "PEs": str(n_pes),
        "engine": engine,
        "images": f"{n_inputs:,}",
        "cycles": f"{cycles:,.0f}",
        "time [us]": f"{sum(run.time_us for run in runs) / n_inputs:,.2f}",
        "theoretical [us]": f"{theoretical_us / n_inputs:,.2f}",
        "load balance [%]": f"{100 * entries / (n_pes * cycles * n_inputs):.1f}",
        "values checked": f"{checked:,} of {len(runs):,}",
        "engines equal": equal,
    }


def _where(n_pes: int, layer: str, runs: Sequence[Run]) -> dict[str, str]:
    row = {"PEs": str(n_pes), "layer": layer, "cycles": f"{fmean(run.cycles for run in runs):,.0f}"}
    total = sum(sum(run.states["pe"].values()) for run in runs)
    for state in runs[0].states["pe"]:
        row[state] = f"{100 * sum(run.states['pe'][state] for run in runs) / total:.1f}"
    return row
