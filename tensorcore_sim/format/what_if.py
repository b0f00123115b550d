"""What if a tensor core kept N of every M elements? No card does, but for 2:4 and 1:2; the format and its indices.

A group's kept values stand in order of their columns, each with an index of ceil(log2(M)) bits.
"""

from __future__ import annotations

from math import gcd

import numpy as np

from workloads.errors import BadInput


def compress(matrix: np.ndarray, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the kept values [rows, k n / m] of numbers [rows, k], and their columns i32[rows, k n / m], ascending.

    A group with fewer than n non-zeros keeps zeros beside them, those of its lowest columns. Raises BadInput for an n
    or m that makes no pattern, a k that is no multiple of m, and a group with more non-zeros, with its place.
    """
    _check_pattern(n, m)
    if matrix.ndim != 2 or not matrix.size or matrix.shape[1] % m:
        raise BadInput(f"matrix must be [rows, k] with k a multiple of {m} for {n}:{m}, got shape {list(matrix.shape)}")
    groups = (matrix != 0).reshape(len(matrix), -1, m)
    counts = np.count_nonzero(groups, axis=2)
    if (counts > n).any():
        row, group = (int(place) for place in np.argwhere(counts > n)[0])
        raise BadInput(
            f"matrix must be {n}:{m}: the group at row {row}, columns {group * m} to {group * m + m - 1} has "
            f"{counts[row, group]} non-zeros"
        )
    places = np.sort(np.argsort(~groups, axis=2, kind="stable")[:, :, :n], axis=2)
    columns = (places + np.arange(0, matrix.shape[1], m)[:, None]).reshape(len(matrix), -1).astype(np.int32)
    return np.take_along_axis(matrix, columns, axis=1), columns


def index_bits(m: int) -> int:
    """Return the bits of a kept value's index in its group of m."""
    return (m - 1).bit_length()


def columns_of_instructions(n: int, m: int, n_products: int) -> int:
    """Return how many columns of A the fewest instructions cover that end where a group does. Raises BadInput."""
    _check_pattern(n, m)
    return m * n_products // gcd(n, n_products)


def _check_pattern(n: int, m: int) -> None:
    if not all(isinstance(count, int) for count in (n, m)) or not 1 <= n <= m:
        raise BadInput(f"pattern must be N:M with 1 <= N <= M, got {n}:{m}")
