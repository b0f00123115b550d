"""The configurable cache of the Memory Management Unit: which accesses of a step miss, for one size of a block."""

from __future__ import annotations

import numpy as np

from cyclekit.jit import kernel


def misses(
    points: np.ndarray, starts: np.ndarray, tile: np.ndarray, n_points: int, block: int, n_lines: int, ways: int
) -> np.ndarray:
    """Return how many blocks each access run fetches, i64[runs], from a cold cache on.

    points: i32[accesses], the point of each in order; starts: i64[runs + 1]; tile: i64[runs], the channel tile that a
    run reads. A block is so many consecutive points of one tile; sets of `ways` lines are replaced least recently used.
    """
    n_sets = max(1, n_lines // ways)
    blocks_of_tile = -(-n_points // block)
    return _misses(points, starts, tile, blocks_of_tile, block, n_sets, ways)


@kernel
def _misses(points, starts, tile, blocks_of_tile, block, n_sets, ways):
    tags = np.full((n_sets, ways), -1, np.int64)  # of a set the most recently used first
    counts = np.zeros(len(tile), np.int64)
    for run in range(len(tile)):
        for access in range(starts[run], starts[run + 1]):
            wanted = tile[run] * blocks_of_tile + points[access] // block
            of_set = tags[wanted % n_sets]
            way = 0
            while way < ways - 1 and of_set[way] != wanted:
                way += 1
            counts[run] += of_set[way] != wanted
            while way > 0:
                of_set[way] = of_set[way - 1]
                way -= 1
            of_set[0] = wanted
    return counts
