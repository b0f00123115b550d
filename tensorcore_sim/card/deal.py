"""Which block has which k-steps of which tile: one tile each, a tile cut along k, or all work shared out beforehand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GRID, PERSISTENT, STREAM_K = "grid", "persistent", "stream-k"


@dataclass(frozen=True, eq=False)
class Parts:
    """Of parts: tile, first k-step and length, i64[parts]; block i has those from blocks[i] up to blocks[i + 1]."""

    tile: np.ndarray
    first: np.ndarray
    length: np.ndarray
    blocks: np.ndarray


def deal(n_tiles: int, n_steps: int, n_places: int, scheduler: str, splits: int) -> Parts:
    """Return the parts of all blocks.

    "grid": a block for each tile, or with splits for each equal run of k-steps of each, all first runs first, as the
    third dimension of a grid is dealt. "persistent": as many blocks as places, each with every n_places-th tile.
    "stream-k": the same, but that the tiles beyond the last whole round, and one round more where there is one, come
    first and are shared out by k-steps (Osama et al., arXiv 2301.03598: "two-tile stream-k + data-parallel").
    """
    if scheduler == GRID:
        run = -(-n_steps // splits)
        first = np.repeat(np.arange(0, n_steps, run), n_tiles)
        tile = np.tile(np.arange(n_tiles), -(-n_steps // run))
        return Parts(tile, first, np.minimum(run, n_steps - first), np.arange(len(tile) + 1))
    n_blocks = min(n_places, n_tiles * n_steps if scheduler == STREAM_K else n_tiles)
    n_rounds, rest = divmod(n_tiles, n_blocks)
    n_shared = 0
    if scheduler == STREAM_K and rest:
        n_shared = rest + n_blocks * (n_rounds > 0)
    tile, first, length, owner = _shared(n_shared, n_steps, n_blocks)
    whole = np.arange(n_shared, n_tiles)
    owner = np.concatenate([owner, (whole - n_shared) % n_blocks])
    tile = np.concatenate([tile, whole])
    first = np.concatenate([first, np.zeros(len(whole), np.int64)])
    length = np.concatenate([length, np.full(len(whole), n_steps)])
    by_owner = np.argsort(owner, kind="stable")
    blocks = np.searchsorted(owner[by_owner], np.arange(n_blocks + 1))
    return Parts(tile[by_owner], first[by_owner], length[by_owner], blocks)


def _shared(n_tiles: int, n_steps: int, n_blocks: int) -> tuple[np.ndarray, ...]:
    """Return (tile, first, length, block) of parts: all k-steps in a row, cut at tiles and into equal runs."""
    edges = np.unique(np.concatenate([np.arange(n_tiles + 1) * n_steps, _runs(n_tiles * n_steps, n_blocks)]))
    begin, length = edges[:-1], np.diff(edges)
    owner = np.searchsorted(_runs(n_tiles * n_steps, n_blocks), begin, side="right") - 1
    return begin // max(n_steps, 1), begin % n_steps, length, owner


def _runs(total: int, n_blocks: int) -> np.ndarray:
    return np.arange(n_blocks + 1) * total // n_blocks
