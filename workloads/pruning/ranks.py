"""Choices by rank: the largest of each row, and what may be asked of a choice."""

import math
from numbers import Real

import numpy as np

from workloads.errors import BadInput

# What is quickest depends on how long a set is (benchmarks/bench_prune.py).
COUNTED = 32  # sets up to here are ranked by counting who beats whom; longer ones are sorted
SAMPLED = 2**13  # sets from here have only those values sorted that a sample leaves in doubt


def largest(values: np.ndarray, n_kept: int) -> np.ndarray:
    """Return bool[sets, n]: True for the n_kept largest of every set, a row of values[sets, n]; of equals the earlier.

    n_kept: at most n; none where it is 0 or less.
    """
    n_sets, n = values.shape
    if n_kept <= 0 or n_kept == n:
        return np.full(values.shape, n_kept > 0)
    if n <= COUNTED:
        return _ranks(values) < n_kept
    least = np.sort(values, axis=1)[:, n - n_kept, None] if n < SAMPLED else _least_of_long(values, n_kept)
    chosen = values >= least
    if np.count_nonzero(chosen) > n_sets * n_kept:
        excess = np.count_nonzero(chosen, axis=1) - n_kept
        for i in np.flatnonzero(excess):
            chosen[i, np.flatnonzero(values[i] == least[i])[-excess[i] :]] = False
    return chosen


def checked_density(density: float) -> float:
    """Return the share kept. Raises BadInput unless it is above 0 and at most 1."""
    if isinstance(density, bool) or not isinstance(density, Real) or not 0 < density <= 1:
        raise BadInput(f"density must be a number above 0 and at most 1, got {density!r}")
    return float(density)


def checked_n_m(n_m: tuple[int, int], n_in: int | None = None) -> tuple[int, int]:
    """Return n and m. Raises BadInput unless n of every m can be kept; n_in: of a row whose groups must be whole."""
    try:
        n, m = n_m
        sound = n in range(1, m + 1) and (n_in is None or n_in % m == 0)
    except (TypeError, ValueError):
        sound = False
    if not sound:
        whole = "" if n_in is None else f" and m a divisor of the {n_in} inputs"
        raise BadInput(f"n_m must be (n, m) with 1 <= n <= m{whole}, got {n_m!r}")
    return int(n), int(m)


def _least_of_long(values: np.ndarray, n_kept: int) -> np.ndarray:
    """Return the n_kept-th largest of every row of values[sets, n], f[sets, 1].

    A sample says between which two values it lies, and only what lies there is sorted (Floyd and Rivest 1975).
    numpy.partition takes longer, and 20 times as long among many equals such as the zeros of a pruned layer.
    """
    n = values.shape[1]
    least = np.empty((len(values), 1), values.dtype)
    for row, places in zip(values, least, strict=True):
        sample = np.sort(row[:: math.isqrt(n) // 16 | 1])  # an odd step does not stay in a few columns
        place, margin = len(sample) * (n - n_kept) // n, 2 * math.isqrt(len(sample))
        low = sample[place - margin] if place > margin else -np.inf
        high = sample[place + margin] if place + margin < len(sample) else np.inf
        between, n_above = row[(row >= low) & (row <= high)], np.count_nonzero(row > high)
        if not n_above < n_kept <= n_above + len(between):
            between, n_above = row, 0  # the sample misled
        places[:] = np.sort(between)[n_above - n_kept]
    return least


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return u8[sets, n]: how many of its set come before each value of values[sets, n], n at most 255."""
    ranks = np.empty(values.shape, np.uint8)
    step = 2**16 // values.shape[1]  # what stays in the cache
    for start in range(0, len(values), step):
        block = np.ascontiguousarray(values[start : start + step].T)
        rank = np.zeros(block.shape, np.uint8)
        for i in range(1, len(block)):
            earlier_first = block[:i] >= block[i]
            rank[i] += earlier_first.sum(axis=0, dtype=np.uint8)
            rank[:i] += ~earlier_first
        ranks[start : start + step] = rank.T
    return ranks
