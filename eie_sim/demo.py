"""A first look at EIE: a trained network at 4, 16 and 64 PEs in both engines, checked, counted and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

import workloads
from cyclekit.machine import Demo, Progress, layers_and_inputs, run_through
from cyclekit.run import Run
from cyclekit.views import amount
from eie_sim.figures import draw_pe_counts, draw_utilisation
from eie_sim.simulate import encode, simulate
from eie_sim.spec import PRESETS, Spec

PE_COUNTS = (4, 16, 64)
SHOWN_PES = 16  # the design whose utilisation is drawn
N_IMAGES, N_EVENTS = 50, 2  # through the schedule, and of them through the events


def demo(folder: Path, *, progress: Progress) -> Demo:
    """Run LeNet-300-100 (Fashion-MNIST, pruned, 4-bit) over some of the shipped images."""
    network, dense = (workloads.load(name).first(N_IMAGES) for name in ("lenet-300-100", "lenet-300-100-dense"))
    layers, inputs = layers_and_inputs(network)
    by_count, n_right, n_checked, n_runs, equal = {}, {}, 0, 0, True
    for n_pes in PE_COUNTS:
        spec = PRESETS["isca2016"].replace(n_pes=n_pes)
        images = encode(layers, spec)
        events, _ = _through(images, inputs[:N_EVENTS], spec, "events", progress)
        by_count[n_pes], classes = _through(images, inputs, spec, "schedule", progress)
        n_right[n_pes] = int((classes == network.labels).sum())
        equal &= all(_same(a, b) for a, b in zip(events, by_count[n_pes], strict=False))
        checks = [run.check["passed"] for run in (*events, *by_count[n_pes])]
        n_checked, n_runs = n_checked + sum(checks), n_runs + len(checks)
        if n_pes == SHOWN_PES:
            shown = simulate(images[0], inputs[0], spec, engine="schedule"), images[0], spec
    n_images = len(inputs)
    figures = [
        draw_utilisation(*shown, folder / "eie_utilisation.png"),
        draw_pe_counts(
            by_count,
            n_images,
            folder / "eie_pe_counts.png",
            title=f"EIE, preset isca2016: {network.name}, mean of {n_images} images, all layers",
        ),
    ]
    times = {n_pes: sum(run.time_us for run in runs) / n_images for n_pes, runs in by_count.items()}
    few, *_, many = PE_COUNTS
    cycles = sum(run.cycles for run in by_count[many])
    balance = sum(run.load_balance * run.cycles for run in by_count[many]) / cycles
    is_right = equal and n_checked == n_runs
    return Demo(
        built=f"LeNet-300-100, pruned, in 4 bits, on EIE (ISCA 2016) with {', '.join(map(str, PE_COUNTS))} PEs",
        right=f"the values of {n_checked} of {n_runs} runs are the reference's; "
        f"both engines give {'the same' if equal else 'OTHER'} cycles",
        remember={
            f"an image at {many} PEs": amount(times[many], "us"),
            f"faster by {many // few} times the PEs": f"{times[few] / times[many]:.1f} times, PEs busy "
            f"{100 * balance:.0f}% of the cycles",
            f"right of {n_images} images": f"{n_right[many]} on EIE in 16 bits, {_right(dense)} dense in float32",
        },
        further=("zeroskip sweep eie alex-7 --vary n_pes=1,2,4,...,256 --into eie.db", "zeroskip validate eie"),
        figures=figures,
        passed=is_right,
    )


def _right(network: workloads.Network) -> int:
    return round(network.accuracy() * network.batch)


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
