"""The time on one core and the memory of sharing a layer by exact k-means, beside the program kmeans1d in one run.

Weights are f32 Gaussians, seconds those of the processor; every split is asserted to be at rest, and that of a million
values to be kmeans1d's. Prints one line a measurement with its target, and writes them as JSON to a path given as the
only argument.
"""

from __future__ import annotations

import time
import tracemalloc

import kmeans1d
import numpy as np
from stopwatch import report

from workloads import Workload
from workloads.quantisation.kmeans import best_starts
from workloads.quantisation.share import share

N_CENTROIDS, N_BESIDE = 15, 1_000_000
LAYERS = ((4096, 0.1), (4096, 1.0), (11008, 0.1), (11008, 1.0))
TARGET_S, TARGET_MB = 10.0, 2000.0  # of 4096 x 4096


def layer(n_out: int, density: float) -> Workload:
    rng = np.random.default_rng(1)
    weights = rng.standard_normal((n_out, 4096), dtype=np.float32)
    weights[rng.random(weights.shape, dtype=np.float32) >= density] = 0
    return Workload(name="drawn", weights=weights, activations=np.ones(4096))


def at_rest(before: Workload, after: Workload) -> bool:
    """Return whether all 15 centroids are the means of their weights, which are nearest to them."""
    codes, weights = after.codes.ravel(), before.weights.ravel()
    counts = np.bincount(codes, minlength=N_CENTROIDS + 1)[1:]
    means = np.bincount(codes, weights, minlength=N_CENTROIDS + 1)[1:] / counts
    book = after.codebook[1:]
    nearest = np.searchsorted((book[1:] + book[:-1]) / 2, weights[:N_BESIDE][weights[:N_BESIDE] != 0])
    same = (nearest == codes[:N_BESIDE][weights[:N_BESIDE] != 0] - 1).mean()
    return counts.sum() == np.count_nonzero(weights) and np.allclose(means, book, rtol=1e-6) and same > 1 - 1e-5


def measured(workload: Workload) -> tuple[float, float]:
    """Return the seconds that sharing takes, and the most MB that it holds besides the weights given."""
    begin = time.process_time()
    shared = share(workload)
    seconds = time.process_time() - begin
    assert at_rest(workload, shared)
    del shared
    tracemalloc.start()
    share(workload)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, peak / 1e6


def main() -> None:
    ordered = np.sort(np.random.default_rng(1).standard_normal(N_BESIDE, dtype=np.float32)).astype(np.float64)
    begin = time.process_time()
    clusters = kmeans1d.cluster(ordered, N_CENTROIDS).clusters
    beside = time.process_time() - begin
    begin = time.process_time()
    starts = best_starts(ordered, N_CENTROIDS)
    split = time.process_time() - begin
    assert np.array_equal(starts, np.flatnonzero(np.diff(clusters, prepend=-1)))
    rows = [
        ("kmeans1d, a million", beside, "s", 1.0, None, ""),
        ("best_starts, the same", split, "s", split / beside, 0.5, "x kmeans1d"),
    ]
    for n_out, density in LAYERS:
        seconds, mb = measured(layer(n_out, density))
        name, small = f"{n_out} x 4096, {density:.0%}", n_out == 4096
        rows.append((name, seconds, "s", seconds / TARGET_S, 1.0 if small else None, f"x {TARGET_S:g} s"))
        rows.append(("its memory", mb, "MB", mb / TARGET_MB, 1.0 if small else None, f"x {TARGET_MB:g} MB"))
    report(rows)


if __name__ == "__main__":
    main()
