"""The Mapping Unit's program: which passes sort, merge and rank, and how many blocks of elements each takes."""

from __future__ import annotations

from math import ceil

import numpy as np

from pointacc_sim.image import Image
from pointacc_sim.plan import MERGE, RANK, READY, SORT, Passes, Plan, Steps, of
from pointacc_sim.spec import COORDINATE_BYTES, ENTRY_BYTES, Spec
from workloads.points.coordinates import DILATING

Row = tuple[int, int, bool, int, int]  # kind, blocks, waits, bytes read, bytes written


def mapping_passes(image: Image, spec: Spec) -> tuple[Passes, np.ndarray]:
    """Return the passes that compute a layer's map, and which of them each offset's map comes from (READY: none).

    No pass where no map is needed (pointwise) or an earlier layer has computed it.
    """
    layer, joined = image.layer, image.layer.map
    of_offset = np.full(len(joined.sizes), READY, np.int64)
    if len(joined.sizes) == 1 or (spec.reuse_maps and layer.map_from is not None):
        return passes_of([], spec), of_offset
    n_in, n_out = len(joined.inputs), len(joined.outputs)
    rows: list[Row] = []
    if not joined.is_transposed and (not image.is_sorted or not joined.is_submanifold):
        # A strided layer's outputs are its inputs, quantised, sorted, without duplicates; a dilating one has a
        # candidate for every entry.
        is_dilating = not joined.is_submanifold and joined.convention == DILATING
        rows += sorting(joined.n_maps if is_dilating else n_in, spec, n_in * COORDINATE_BYTES)
    is_read = not rows
    merge = ceil(n_in / spec.block) + ceil(n_out / spec.block)
    both = (n_in if joined.is_submanifold else n_in + n_out) * COORDINATE_BYTES
    fits = both <= spec.coordinate_bytes
    mirrored = spec.symmetry and joined.is_submanifold
    for offset, size in enumerate(joined.sizes.tolist()):
        if offset == joined.centre:
            continue  # each voxel with itself
        if mirrored and offset > joined.centre:
            of_offset[offset] = of_offset[len(joined.sizes) - 1 - offset]
            continue
        read = both if not fits or is_read else 0
        is_read = False
        waits = bool(rows) and rows[-1][0] == SORT
        of_offset[offset] = len(rows)
        rows.append((MERGE, merge, waits, read, size * ENTRY_BYTES * (1 + mirrored)))
    return passes_of(rows, spec), of_offset


def sorting(n: int, spec: Spec, read_bytes: int) -> list[Row]:
    """Return the passes that sort n keys: blocks through the sorter, then merges of runs twice as long each time."""
    width = 2 * spec.block
    n_blocks = ceil(n / width)
    rows = [(SORT, n_blocks, False, read_bytes, 0)]
    n_merges = ceil(np.log2(n_blocks)) if n_blocks > 1 else 0
    return rows + [(SORT, ceil(n / spec.block), True, 0, 0)] * n_merges


def ranking(blocks: list[int], waits: bool, spec: Spec) -> Plan:
    """Return the plan of sampling (each pass waits for the one before) or of neighbours, of blocks of distances."""
    passes = passes_of([(RANK, n, waits and place > 0, 0, 0) for place, n in enumerate(blocks)], spec)
    none = np.zeros(0, np.int64)
    steps = Steps(**dict.fromkeys(Steps.__dataclass_fields__, none))
    return of(passes, steps, none, 0, spec)


def passes_of(rows: list[Row], spec: Spec) -> Passes:
    """Return passes of (kind, blocks, waits, bytes read, bytes written), with latencies and compare-exchanges.

    Six stages as recalled: fetch, distance, sort, buffer, merge, intersection; sorter and merger take a cycle and more
    for each column of compare-exchanges.
    """
    kind, blocks, waits, read, write = np.array(rows, np.int64).reshape(-1, 5).T
    merge, sort = spec.merge_columns, spec.sort_columns
    # The first pass of a sort goes through the sorter, those after it through the merger; ranks take both.
    columns = np.where(kind == RANK, merge + sort, merge)
    columns = np.where((kind == SORT) & (waits == 0), sort, columns)
    return Passes(
        kind=kind,
        blocks=blocks,
        latency=4 + columns * spec.compare_stage_cycles,
        waits=waits,
        read_bytes=read,
        write_bytes=write,
        compares=blocks * columns * spec.block,
    )
