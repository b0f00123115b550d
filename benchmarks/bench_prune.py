"""The speed of pruning by every pattern, side by side with numpy.partition in one run; every figure asserts its count.

The layer is 4096 x 4096 f32 Gaussian weights, half of which stay; a kernel has 4 weights. Then the same for a layer
that is pruned to 10% already, where numpy.partition meets many equals: its time is printed, the target stays relative
to the Gaussian layer. Prints one line a measurement; exits 1 when a target is missed.
"""

from __future__ import annotations

import sys

import numpy as np
from stopwatch import best

from workloads.pruning.patterns import mask
from workloads.pruning.scores import magnitude

SIDE, KERNEL, DENSITY = 4096, 4, 0.5
TARGET = 3.0  # times numpy.partition
REPEATS = 5
FREE = ("element", "vector 1x4", "vector 4x1", "block 4x4", "block 16x16", "kernel", "filter", "channel")
N_OF_M = ("1:2", "2:4", "4:8", "8:16", "16:32")


def seconds_of(weights: np.ndarray, name: str, within: str) -> float:
    """Return the time from weights to mask; asserts that exactly half of the weights stay, none below one dropped."""
    density = None if name in N_OF_M else DENSITY

    def prune() -> np.ndarray:
        return mask(magnitude(weights), name, density, kernel=KERNEL, within=within)

    kept_mask = prune()
    assert np.count_nonzero(kept_mask) == DENSITY * weights.size
    if (name, within) == ("element", "layer"):
        assert np.abs(weights[kept_mask]).min() >= np.abs(weights[~kept_mask]).max()
    if name in N_OF_M:
        n, m = map(int, name.split(":"))
        assert (kept_mask.reshape(-1, m).sum(axis=1) == n).all()
    return best(prune, repeats=REPEATS)


def main() -> None:
    weights = np.random.default_rng(1).standard_normal((SIDE, SIDE), dtype=np.float32)
    pruned = weights * mask(magnitude(weights), "element", 0.1)
    assert np.count_nonzero(pruned) == round(0.1 * SIDE**2)
    flat, flat_pruned = np.abs(weights).ravel(), np.abs(pruned).ravel()
    partition = best(lambda: np.partition(flat, flat.size // 2), repeats=REPEATS)
    print(f"{'numpy.partition':28} {1e3 * partition:8.1f} ms {1.0:8.2f}")
    among_equals = best(lambda: np.partition(flat_pruned, flat.size // 2), repeats=REPEATS)
    print(f"{'the same, 90% zeros':28} {1e3 * among_equals:8.1f} ms {among_equals / partition:8.2f}")
    cases = [(name, "layer") for name in (*FREE, *N_OF_M)] + [("element", "row"), ("vector 1x4", "row")]
    missed = []
    for name, within in cases:
        for layer, kind in ((weights, ""), (pruned, ", 90% zeros")):
            ratio = seconds_of(layer, name, within) / partition
            what = f"{name}{' in rows' if within == 'row' else ''}{kind}"
            verdict = "reached" if ratio <= TARGET else "MISSED"
            print(f"{what:28} {1e3 * ratio * partition:8.1f} ms {ratio:8.2f} x  target {TARGET:g}: {verdict}")
            if ratio > TARGET:
                missed.append(what)
    if missed:
        sys.exit(f"targets missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
