"""What the machine does in one layer and how long each piece takes by itself: passes, steps, tiles, for both engines.

Meaning is written once, here; when things happen is written twice, in events.py and schedule.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pointacc_sim.spec import Spec

SORT, MERGE, RANK = range(3)  # kinds of a pass, as in actions.MappingState
READY = -1  # in place of the pass whose map a step needs: it is there before cycle 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Passes:
    """The Mapping Unit's program, i64[passes] each.

    kind: SORT, MERGE or RANK. blocks: cycles in which a block enters. latency: cycles until the last result is out;
    results leave in the order of the passes. waits: whether the pass needs those of the one before. read_bytes:
    coordinates that it streams from DRAM; write_bytes: map entries that it leaves there. compares: compare-exchanges.
    """

    kind: np.ndarray
    blocks: np.ndarray
    latency: np.ndarray
    waits: np.ndarray
    read_bytes: np.ndarray
    write_bytes: np.ndarray
    compares: np.ndarray

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True, eq=False, kw_only=True)
class Steps:
    """The work of memory and array: a tile of weights and the rows of features that pass it, i64[steps] each.

    map_pass: the pass whose map it needs, or READY. rows: map entries, one a cycle. tile: the tile of outputs that it
    adds to. The bytes that it fetches: of weights, map entries and features. misses: blocks of the cache among them.
    offset; in_channels and out_channels of its tile.
    """

    map_pass: np.ndarray
    rows: np.ndarray
    tile: np.ndarray
    weight_bytes: np.ndarray
    map_bytes: np.ndarray
    feature_bytes: np.ndarray
    misses: np.ndarray
    offset: np.ndarray
    in_channels: np.ndarray
    out_channels: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """All that happens in a layer. read, write, fetch and out cycles: what the DRAM takes for a pass, step or tile."""

    passes: Passes
    steps: Steps
    write_bytes: np.ndarray  # i64[tiles]
    read_cycles: np.ndarray  # i64[passes]
    write_cycles: np.ndarray  # i64[passes]
    fetch_cycles: np.ndarray  # i64[steps]
    out_cycles: np.ndarray  # i64[tiles]
    block_points: int  # of the cache; 0 where it is not in use

    @property
    def n_tiles(self) -> int:
        return len(self.write_bytes)


def of(passes: Passes, steps: Steps, write_bytes: np.ndarray, block_points: int, spec: Spec) -> Plan:
    """Return a plan with the cycles that the DRAM takes for each of its transfers."""

    def cycles(n_bytes: np.ndarray) -> np.ndarray:
        return np.ceil(n_bytes / spec.bytes_per_cycle).astype(np.int64)

    return Plan(
        passes=passes,
        steps=steps,
        write_bytes=write_bytes,
        read_cycles=cycles(passes.read_bytes),
        write_cycles=cycles(passes.write_bytes),
        fetch_cycles=cycles(steps.weight_bytes + steps.map_bytes + steps.feature_bytes),
        out_cycles=cycles(write_bytes),
        block_points=block_points,
    )


def channel_tiles(n: int, size: int) -> list[int]:
    """Return the channels of each tile of an array side: all of that size but the last."""
    return [min(size, n - start) for start in range(0, n, size)]
