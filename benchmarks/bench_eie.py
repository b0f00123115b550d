"""EIE's speed and memory, side by side with SciPy in one run; every figure asserts the work that was done.

The layer is row 1 of the conformance table: 4096 x 4096, 9% weights, 35% activations, 64 PEs, queue depth 8.
Prints one line a measurement with its target, and writes them as JSON to a path given as the only argument.
"""

from __future__ import annotations

import tracemalloc

import numpy as np
from scipy.sparse import csc_array
from stopwatch import best, report

from eie_sim import Spec, arithmetic, capacity, encode, events, schedule, simulate
from eie_sim.account import account
from workloads import Workload

N_BROADCASTS, N_ENTRIES, CYCLES, ROW_READS = 1427, 628008, 10117, 128528  # what row 1 must come to
REPEATS = 30


def layer() -> Workload:
    rng = np.random.default_rng(1)
    weights = (rng.random((4096, 4096)) < 0.09).astype(np.float32)
    activations = rng.random(4096) < 0.35
    return Workload(name="row 1", weights=weights, activations=activations, bias=np.zeros(4096))


def peak_of_a_run() -> tuple[float, float]:
    """Return the most MB that a whole run holds at once, from weights to checked values, and the dense weights' MB."""
    tracemalloc.start()
    workload, spec = layer(), Spec()
    tracemalloc.reset_peak()
    run = simulate(encode(workload, spec), workload.activations[0], spec, engine="schedule", check=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert run.check["passed"]
    assert run.actions["entries"] == N_ENTRIES
    return peak / 1e6, workload.weights.nbytes / 1e6


def main() -> None:
    workload, spec = layer(), Spec()
    image = encode(workload, spec)
    pauses = capacity.pauses(image, spec)
    non_zero = workload.activations[0] != 0
    dense, vector = workload.weights, workload.activations[0]
    sparse = csc_array(dense)

    def engine_and_books():
        timeline = schedule.timeline(image, non_zero, pauses, spec)
        return timeline, account(timeline, image, pauses, spec)

    timeline, ledger = engine_and_books()
    assert (timeline.cycles, ledger.actions["spmat_row_reads"]) == (CYCLES, ROW_READS)
    assert (ledger.actions["broadcasts"], ledger.actions["entries"]) == (N_BROADCASTS, N_ENTRIES)
    assert sparse.nnz == np.count_nonzero(dense) == image.n_entries - image.n_paddings
    product = (sparse @ vector).astype(np.float64)
    run = simulate(image, vector, spec, engine="schedule", check=True)
    assert run.check["passed"]
    assert np.array_equal(run.values, product)

    simulated, multiplied = best(engine_and_books, repeats=REPEATS), best(lambda: sparse @ vector, repeats=REPEATS)
    cold = best(engine_and_books, before=lambda: sparse @ vector, repeats=REPEATS)
    encoded = best(lambda: encode(workload, spec), repeats=5)
    converted = best(lambda: csc_array(dense), repeats=5)

    # Another input before each, or the run would find everything done; the weights by column it does find.
    def other():
        simulate(image, 2 * vector, spec, engine="schedule")

    whole = best(lambda: simulate(image, vector, spec, engine="schedule"), before=other, repeats=REPEATS)
    checked = best(lambda: simulate(image, vector, spec, engine="schedule", check=True), before=other, repeats=5)
    listed = best(lambda: arithmetic.by_column(image), repeats=5)
    played = best(lambda: events.timeline(image, non_zero, pauses, spec), repeats=2)
    assert events.timeline(image, non_zero, pauses, spec).differences(timeline) == []
    added, dense_mb = peak_of_a_run()
    rows = [
        (
            "schedule + account",
            1e3 * simulated,
            "ms",
            simulated / multiplied,
            0.3,
            "x SciPy's CSC matrix-vector product",
        ),
        ("the same, caches cold", 1e3 * cold, "ms", cold / multiplied, None, "x the product, which ran just before"),
        ("SciPy CSC product", 1e3 * multiplied, "ms", 1.0, None, ""),
        ("encode from dense", 1e3 * encoded, "ms", encoded / converted, 0.6, "x SciPy's dense-to-CSC conversion"),
        ("SciPy dense to CSC", 1e3 * converted, "ms", 1.0, None, ""),
        ("simulate, schedule", 1e3 * whole, "ms", whole / multiplied, 1.5, "x SciPy's product: with values and books"),
        ("by column, once", 1e3 * listed, "ms", listed / encoded, None, "x encode: the first values of an image"),
        ("the same, checked", 1e3 * checked, "ms", checked / whole, None, "x unchecked"),
        ("SimPy engine", played, "s", played, 5.0, "s"),
        (
            "SimPy engine",
            CYCLES / played / 1e3,
            "k cycles/s",
            spec.n_pes * CYCLES / played / 1e6,
            None,
            "M PE-cycles/s",
        ),
        ("memory of a run", added, "MB", added / dense_mb, 3.0, "x the dense weights, those included"),
    ]
    report(rows)


if __name__ == "__main__":
    main()
