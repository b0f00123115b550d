"""Choices by rank: the largest of each row, and what may be asked of a choice."""

from numbers import Real

import numpy as np

from workloads.errors import BadInput


def largest(scores: np.ndarray, n: int) -> np.ndarray:
    """Return bool[rows, items]: True for the n largest scores of each row, the earlier of equals."""
    if n <= 0:
        return np.zeros(scores.shape, bool)
    edge = -np.partition(-scores, n - 1, axis=1)[:, n - 1 : n]
    above, ties = scores > edge, scores == edge
    return above | (ties & (np.cumsum(ties, axis=1) <= n - above.sum(axis=1, keepdims=True)))


def checked_density(density: float) -> float:
    """Return the share kept. Raises BadInput unless it is above 0 and at most 1."""
    if isinstance(density, bool) or not isinstance(density, Real) or not 0 < density <= 1:
        raise BadInput(f"density must be a number above 0 and at most 1, got {density!r}")
    return float(density)


def checked_n_m(n_m: tuple[int, int], n_in: int) -> tuple[int, int]:
    """Return n and m. Raises BadInput unless n of every m weights of a row of n_in can be kept."""
    try:
        n, m = n_m
        sound = n in range(1, m + 1) and n_in % m == 0
    except (TypeError, ValueError):
        sound = False
    if not sound:
        raise BadInput(f"n_m must be (n, m) with 1 <= n <= m and m a divisor of the {n_in} inputs, got {n_m!r}")
    return int(n), int(m)
