"""Implicit GEMM: which rows a masked kernel runs, where a tile of outputs skips an offset that none of it has."""

from __future__ import annotations

import numpy as np

from workloads.points.kernel_map import KernelMap

TILE_ROWS = 128  # outputs of a tile (TorchSparse++)


def executed_rows(joined: KernelMap, n_splits: int) -> np.ndarray:
    """Return the rows that run for each offset, i64[offsets]: all of a tile where one of its outputs has the offset.

    n_splits: parts of the offsets, for each of which the outputs are sorted by their masks; 0: one, not sorted.
    """
    n_out, n_offsets = len(joined.outputs), len(joined.sizes)
    has = np.zeros((n_out, n_offsets), bool)
    has[joined.outs, np.repeat(np.arange(n_offsets), joined.sizes)] = True
    rows = np.zeros(n_offsets, np.int64)
    starts = np.arange(0, n_out, TILE_ROWS)
    for part in np.array_split(np.arange(n_offsets), max(1, n_splits)):
        own = has[:, part]
        if n_splits:
            own = own[np.lexsort(own.T[::-1])]  # as binary numbers, the first offset highest
        some = np.logical_or.reduceat(own, starts, axis=0)
        rows[part] = some.T @ np.minimum(TILE_ROWS, n_out - starts)
    return rows
