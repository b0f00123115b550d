"""How long the table of costs takes that `zeroskip adapt` chooses by: ten layers at forty levels, and a second time.

Ten fully connected layers, no two alike: on EIE at forty densities, with two inputs; on a card at forty widths, and at
all pairs of sixteen widths with sixteen of the layer before, as `adapt` has them. A second use must simulate nothing.
Exits with 1 where a target is missed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cyclekit import machine
from cyclekit.budgets.densities import Densities
from cyclekit.budgets.knob import Knob
from cyclekit.budgets.widths import N_WIDTHS, Widths
from workloads.networks.modules import Linear
from workloads.networks.sequential import ReLU, Sequential
from workloads.records import Shape
from workloads.tasks import Task

N_LEVELS, N_INPUTS, BATCH = 40, 2, 2048
SIZES = [*range(1160, 720, -40)]  # from the inputs on: multiples of forty, each once


def network() -> Task:
    """Return ten layers with drawn weights, sixty-four inputs and labels."""
    rng, modules = np.random.default_rng(0), {}
    for place, (n_in, n_out) in enumerate(zip(SIZES, SIZES[1:], strict=False)):
        weights = rng.standard_normal((n_out, n_in), np.float32) / np.float32(np.sqrt(n_in))
        modules |= {f"ip{place}": Linear(weights=weights), f"relu{place}": ReLU()}
    inputs, labels = np.abs(rng.standard_normal((64, SIZES[0]), np.float32)), rng.integers(SIZES[-1], size=64)
    return Task(name="ten", network=Sequential(modules), provenance="drawn", inputs=inputs, labels=labels)


def levels(size: int, n: int) -> set[int]:
    """Return n widths, evenly, rounded up."""
    return {-(-size * part // n) for part in range(1, n + 1)}


def main() -> None:
    missed, task = [], network()
    about = {"task": task, "metric": "us", "epochs": 0}
    eie, card = machine.load("eie"), machine.load("tensorcore")
    ins_and_outs = list(zip(SIZES, SIZES[1:], strict=False))
    alone = {(m, n_in) for n_in, n_out in ins_and_outs for m in levels(n_out, N_LEVELS)}
    wide = {size: levels(size, N_WIDTHS) for size in SIZES[1:-1]} | {end: {end} for end in (SIZES[0], SIZES[-1])}
    pairs = {(m, k) for n_in, n_out in ins_and_outs for k in wide[n_in] for m in wide[n_out]}

    def of_shapes(knob: Knob) -> None:
        shapes = [Shape(name=f"{m}x{BATCH}x{k}", n_out=m, n_in=k, batch=BATCH) for m, k in alone]
        knob.costs.of(knob.costs.work(shape, shape.name) for shape in shapes)

    def timed(name: str, make: Callable[[], Knob], work: Callable[[Knob], object], n: int, target: float | None):
        for again in (False, True):
            knob, since = make(), time.perf_counter()
            work(knob)
            seconds = time.perf_counter() - since
            assert knob.costs.counts == {"computed": 0 if again else n, "stored": n if again else 0}
            verdict = "" if target is None else f"  target {target:g}: {'reached' if seconds <= target else 'MISSED'}"
            print(f"{name:32} {seconds:8.1f} s, {0 if again else n:6,} of {n:6,} tasks simulated{verdict}", flush=True)
            if target is not None and seconds > target:
                missed.append(name)

    with tempfile.TemporaryDirectory() as folder:

        def densities() -> Knob:
            of_eie = {"chosen": eie, "spec": eie.design(None, {}), "batch": N_INPUTS}
            return Densities(**about, **of_eie, into=Path(folder) / "eie.db")

        def of_widths(name: str) -> Knob:
            of_card = {"chosen": card, "spec": card.design(None, {}), "batch": BATCH}
            return Widths(**about, **of_card, into=Path(folder) / name)

        n_tasks = (len(SIZES) - 1) * N_LEVELS * N_INPUTS
        timed("eie, 64 PEs, 40 densities", densities, Knob.table, n_tasks, 60)
        timed("tensorcore, 40 widths", lambda: of_widths("alone.db"), of_shapes, len(alone), 30)
        timed("tensorcore, 16 x 16 widths", lambda: of_widths("pairs.db"), Knob.table, len(pairs), None)
    if missed:
        sys.exit(f"targets missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
